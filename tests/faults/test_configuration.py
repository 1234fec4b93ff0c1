"""Mistyped keys and values, plans of other versions, parts of different runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from reunet.cli import main
from reunet.contracts.run import RunFolder

Capture = pytest.CaptureFixture[str]


def edit(file: Path, **changes: Any) -> None:
    """Set keys of a JSON file; a value of None removes the key."""
    content = json.loads(file.read_text(encoding="utf-8"))
    content |= changes
    kept = {key: value for key, value in content.items() if value is not None}
    file.write_text(json.dumps(kept), encoding="utf-8")


@pytest.fixture
def plan_file(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(tiny_run / "plan.json", tmp_path / "plan.json"))


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_run, tmp_path / "copy")


def train_error(plan: Path, data: Path, out: Path, capsys: Capture) -> str:
    assert main(["train", str(data), "-o", str(out), "--plan", str(plan)]) == 1
    assert not out.exists() or not any(out.iterdir()), "a refused plan leaves nothing behind"
    return capsys.readouterr().err


def predict_error(run: Path, data: Path, capsys: Capture, engine: str = "auto") -> str:
    out = run.parent / "out"
    images = data / "test" / "images"
    assert main(["predict", str(run), str(images), "-o", str(out), "--engine", engine]) == 1
    assert not out.exists() or not any(out.iterdir()), "a refused run leaves no outputs"
    return capsys.readouterr().err


@pytest.mark.fault("a mistyped name", "an error with the nearest name; nothing else is taken instead")
def test_a_mistyped_preset_is_suggested(
    tiny_dataset: Path, tmp_path: Path, capsys: Capture, backend: str
) -> None:
    words = ["train", str(tiny_dataset), "-o", str(tmp_path / "run"), "--steps", "2", "--preset", "unett"]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert "'unet'" in error or " unet" in error
    assert "unett" in error
    assert not (tmp_path / "run" / "plan.json").exists()


@pytest.mark.fault("a mistyped field in a plan", "an error with the nearest field")
def test_a_mistyped_key_of_a_plan_is_suggested(
    plan_file: Path, tiny_dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    edit(plan_file, bacth=4)
    error = train_error(plan_file, tiny_dataset, tmp_path / "run", capsys)
    assert "bacth" in error
    assert "did you mean 'batch'" in error


@pytest.mark.fault("a wrong value in a plan", "an error that names the field and the value")
@pytest.mark.parametrize(
    "changes",
    [
        {"batch": 0}, {"batch": "many"}, {"patch": [100]}, {"backend": "caffe"}, {"labels": {"classes": []}},
        {"seed": -1}, {"schedule": {"minutes": 1, "steps": 5}}, {"network": {"preset": "unet"}},
        {"input": None},
    ],
)  # fmt: skip
def test_a_wrong_value_of_a_plan_is_named(
    changes: dict[str, Any], plan_file: Path, tiny_dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    edit(plan_file, **changes)
    error = train_error(plan_file, tiny_dataset, tmp_path / "run", capsys)
    assert next(iter(changes)) in error
    assert str(plan_file) in error


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "7", '"plan"', "{}", "\x00", "[" * 100_000])
def test_a_file_that_is_no_plan(content: str, tiny_dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(content, encoding="utf-8")
    assert str(plan) in train_error(plan, tiny_dataset, tmp_path / "run", capsys)


@pytest.mark.fault(
    "a plan of a newer or unknown version",
    "refused; what this version wrote before is read (a run of 0.1.0 is kept)",
)
@pytest.mark.parametrize("version", [999, 0, -1, "1", None])
def test_a_plan_of_another_version_is_refused(
    version: Any, plan_file: Path, run: Path, tiny_dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    edit(plan_file, schema_version=version)
    error = train_error(plan_file, tiny_dataset, tmp_path / "run", capsys)
    assert "schema version" in error
    if version == 999:
        assert "newer reunet" in error
    edit(run / "plan.json", schema_version=version)
    assert "schema version" in predict_error(run, tiny_dataset, capsys)


@pytest.mark.fault("plan and weights of different runs", "refused")
def test_weights_and_plan_of_different_networks(run: Path, tiny_dataset: Path, capsys: Capture) -> None:
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    other = "instance" if plan["network"]["normalisation"] != "instance" else "batch"
    edit(run / "plan.json", network=plan["network"] | {"normalisation": other})
    for engine in ("keras", "openvino"):
        assert "another network" in predict_error(run, tiny_dataset, capsys, engine)


@pytest.mark.fault(
    "damaged, exchanged or missing weights or engine", "refused by their hash; the output folder stays empty"
)
@pytest.mark.parametrize("engine", ["keras", "openvino"])
@pytest.mark.parametrize("damage", ["exchanged", "truncated", "missing"])
def test_damaged_weights_or_engine_are_refused(
    engine: str, damage: str, run: Path, tiny_dataset: Path, capsys: Capture
) -> None:
    folder = RunFolder(run)
    file = folder.weights_file if engine == "keras" else folder.engine_file.with_suffix(".bin")
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    error = predict_error(run, tiny_dataset, capsys, engine)
    assert str(run) in error
    assert "fix:" in error


@pytest.mark.fault("a folder that is no run", "an error that says what a run is")
@pytest.mark.parametrize("where", ["nothing here", "a file", "an empty folder"])
def test_what_is_no_run_is_refused(where: str, tmp_path: Path, tiny_dataset: Path, capsys: Capture) -> None:
    run = tmp_path / where
    if where == "a file":
        run.write_text("not a run")
    elif where == "an empty folder":
        run.mkdir()
    assert "not a run" in predict_error(run, tiny_dataset, capsys)
