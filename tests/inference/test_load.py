"""Opening a run: which engine and precision, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.facts import EngineFacts
from reunet.errors import BackendError, ModelFileError, PlanError, UsageError
from reunet.inference import onnx_runtime, openvino_runtime
from reunet.inference.choice import choose
from reunet.inference.load import load
from reunet.inference.openvino_runtime import OpenVINORuntime, native_bf16

MakeRun = Callable[..., Path]


@pytest.fixture
def run(make_bright_run: MakeRun, tmp_path: Path) -> Path:
    return make_bright_run(tmp_path / "run")


@pytest.mark.parametrize(("option", "value"), [("engine", "tensorrt"), ("engine", ""), ("precision", "int4")])
def test_an_unknown_name_lists_the_known_ones(run: Path, option: str, value: str) -> None:
    with pytest.raises(UsageError, match="auto") as caught:
        load(run, **{option: value})
    assert f"--{option}" in str(caught.value)


@pytest.mark.parametrize("ppm", [None, 4999.0, 5000.0])
def test_auto_takes_bf16_only_where_it_is_fast_and_harmless(
    make_bright_run: MakeRun, tmp_path: Path, ppm: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_bright_run(tmp_path / "run", bf16_ppm=ppm)
    harmless = ppm is not None and ppm < 5000
    assert load(run).runtime.precision == ("bf16" if harmless and native_bf16() else "f32")
    monkeypatch.setattr(openvino_runtime, "native_bf16", lambda: False)
    assert load(run).runtime.precision == "f32"
    with pytest.raises(BackendError, match="bfloat16"):
        load(run, precision="bf16")


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_the_engine_computes_in_the_precision_it_says(run: Path, precision: str) -> None:
    if precision == "bf16" and not native_bf16():
        pytest.skip("this CPU has no bfloat16 arithmetic")
    runtime = OpenVINORuntime(run / "engine" / "model.xml", (32, 32), precision)
    hint = runtime._compiled.get_property("INFERENCE_PRECISION_HINT")
    assert str(hint.get_type_name()) == precision


@pytest.mark.fault("other batch sizes", "the same result")
def test_many_tiles_give_what_single_tiles_give(run: Path) -> None:
    runtime = OpenVINORuntime(run / "engine" / "model.xml", (32, 32))
    tiles = np.random.default_rng(0).normal(0, 50, (9, 32, 32, 1)).astype(np.float32)
    together = runtime(tiles)["semantic"]
    assert together.shape == (9, 32, 32, 2)
    for tile, result in zip(tiles, together, strict=True):
        np.testing.assert_array_equal(runtime(tile[None])["semantic"][0], result)
    np.testing.assert_allclose(together[..., 1:], 1 / (1 + np.exp(-0.05 * tiles)), atol=1e-6)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="not a run"):
        load(tmp_path)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_a_number_of_threads_that_is_none(run: Path, threads: object) -> None:
    with pytest.raises(UsageError, match="not a number of threads"):
        load(run, threads=threads)


def test_thresholds_that_are_missing_are_not_guessed(run: Path) -> None:
    """The engine is exported after the calibration: without it the run is not whole."""
    (run / "calibration.json").unlink()
    with pytest.raises(ModelFileError, match=r"calibration\.json.* is missing"):
        load(run)


def test_a_run_without_an_engine(run: Path) -> None:
    shutil.rmtree(run / "engine")
    with pytest.raises(ModelFileError, match="--engine keras"):
        load(run, engine="openvino")
    (run / "calibration.json").write_text("{}")
    with pytest.raises(ModelFileError, match="no finished weights"):
        load(run)  # auto turns to Keras, which finds no weights either


def test_auto_refuses_a_training_that_has_not_finished(run: Path) -> None:
    """Its best weights so far are used only when somebody asks for them."""
    shutil.rmtree(run / "engine")
    (run / "calibration.json").unlink()
    with pytest.raises(ModelFileError, match="has not finished") as caught:
        load(run)
    assert "--resume" in str(caught.value)
    assert "--engine keras" in str(caught.value)
    with pytest.raises(ModelFileError, match="no finished weights"):
        load(run, engine="keras")


@pytest.mark.parametrize("name", ["model.xml", "model.bin"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_engine_is_refused(run: Path, name: str, damage: str) -> None:
    file = run / "engine" / name
    content = bytearray(file.read_bytes() or b"\0")
    content[-1] ^= 1
    file.write_bytes(content if damage == "flip" else content[:-1] + b"xy")
    if damage == "remove":
        file.unlink()
    with pytest.raises(ModelFileError):
        load(run, engine="openvino")


def test_an_engine_of_other_weights_or_another_plan_is_refused(run: Path) -> None:
    (run / "weights").mkdir()
    (run / "weights" / "weights.json").write_text('{"sha256": "another"}')
    with pytest.raises(ModelFileError, match="other weights"):
        load(run)
    plan = json.loads((run / "plan.json").read_text())
    plan["network"]["filters"] = [8, 16]
    (run / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(ModelFileError, match="another network"):
        load(run)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"schema_version": 2}', '{"schema_version": 1}', "\x00"]
)
def test_unreadable_engine_facts_are_refused(run: Path, content: str) -> None:
    (run / "engine" / "engine.json").write_text(content)
    with pytest.raises(ModelFileError):
        load(run)


def test_a_plan_of_another_version_is_refused(run: Path) -> None:
    plan = json.loads((run / "plan.json").read_text()) | {"schema_version": 99}
    (run / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(PlanError, match="newer"):
        load(run)


def test_a_moved_run_loads(run: Path) -> None:
    moved = run.rename(run.with_name("moved ü"))
    assert load(str(moved))(np.full((3, 3), 200, np.uint8)).labels.all()


def facts_of(**measured: dict[str, float | None] | None) -> EngineFacts:
    """engine.json of a run where these engines were measured."""
    precision = {name: measured.get(name) for name in ("f32", "bf16", "int8")}
    return EngineFacts.parse({"precision": precision, "onnx": measured.get("onnx")}, where="test")


def entry(speed: float, ppm: float | None = 0.0, drop: float | None = 0.0) -> dict[str, float | None]:
    return {"tiles_per_second": speed, "labels_differ_ppm": ppm, "score_drop": drop}


@pytest.mark.parametrize(
    ("int8", "bf16", "expected"),
    [
        (entry(200), entry(130), "int8"),
        (entry(100), entry(130), "bf16"),
        (entry(200, ppm=5000), entry(130), "bf16"),
        (entry(200, drop=0.005), entry(130, drop=0.002), "f32"),
        (entry(200, drop=0.0049), entry(130), "int8"),
        (entry(200, ppm=None), entry(130, drop=None), "bf16"),
        (entry(200, drop=-0.1), entry(50), "int8"),
        (None, None, "f32"),
    ],
)
def test_auto_takes_the_fastest_that_is_harmless(
    int8: dict[str, float | None] | None,
    bf16: dict[str, float | None] | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openvino_runtime, "native_bf16", lambda: True)
    facts = facts_of(f32=entry(70), int8=int8, bf16=bf16)
    assert choose(facts, "auto", "auto").precision == expected
    assert choose(facts, "openvino", "auto").precision == expected


def test_onnx_is_taken_where_it_is_faster_and_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = facts_of(f32=entry(70), onnx=entry(90))
    for installed, expected in ((True, "onnx"), (False, "openvino")):
        monkeypatch.setattr(onnx_runtime, "is_installed", lambda installed=installed: installed)
        assert choose(facts, "auto", "auto").engine == expected
        assert choose(facts, "openvino", "auto").engine == "openvino"
    with pytest.raises(UsageError, match="f32"):
        choose(facts, "onnx", "bf16")
    with pytest.raises(ModelFileError, match="int8"):
        choose(facts, "auto", "int8")


def test_the_onnx_engine_gives_what_openvino_gives(run: Path) -> None:
    pytest.importorskip("onnxruntime")
    image = np.random.default_rng(0).integers(0, 256, (50, 41), np.uint8)
    one, other = load(run, engine="onnx"), load(run, engine="openvino", precision="f32")
    assert one.runtime.name == "onnx"
    np.testing.assert_allclose(one(image).probabilities, other(image).probabilities, atol=1e-5)


def test_a_missing_onnx_runtime_names_its_extra(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match=r"\.\[onnx\]"):
        load(run, engine="onnx")
