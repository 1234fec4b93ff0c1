"""Rows 35, 41 and 42: a folder in use, outputs that exist, packages that are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reunet.cli import main
from reunet.storage import folder_lock

Capture = pytest.CaptureFixture[str]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def train_words(data: Path, run: Path, backend: str) -> list[str]:
    return ["train", str(data), "-o", str(run), "--steps", "2", "--backend", backend]


# -- row 35: two runs, one folder ---------------------------------------------------------------------


@pytest.mark.parametrize("option", [None, "--overwrite", "--resume"])
def test_a_second_training_in_a_folder_is_refused(
    option: str | None, tiny_run: Path, tiny_dataset: Path, tmp_path: Path, backend: str, capsys: Capture
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = contents(run)
    with folder_lock(run):
        assert main([*train_words(tiny_dataset, run, backend), *([option] if option else [])]) == 1
        error = capsys.readouterr().err
        assert contents(run) == before | {".lock": str(os.getpid()).encode()}
    if option == "--overwrite":
        assert "another process" in error
        assert str(os.getpid()) in error


def test_the_lock_of_a_process_that_is_gone_is_taken_over(
    tiny_dataset: Path, tmp_path: Path, backend: str
) -> None:
    """A training killed before it wrote anything leaves its lock behind."""
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    run = tmp_path / "run"
    run.mkdir()
    (run / ".lock").write_bytes(gone.stdout)
    assert main(train_words(tiny_dataset, run, backend)) == 0
    assert not (run / ".lock").exists()


# -- row 41: outputs that exist -----------------------------------------------------------------------


def test_a_finished_run_is_not_overwritten_unasked(
    tiny_run: Path, tiny_dataset: Path, tmp_path: Path, backend: str, capsys: Capture
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = contents(run)
    assert main(train_words(tiny_dataset, run, backend)) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert contents(run) == before
    assert main([*train_words(tiny_dataset, run, backend), "--overwrite"]) == 0
    assert contents(run)["history.csv"] != before["history.csv"]


def test_a_folder_that_is_no_run_is_not_trained_into(
    tiny_dataset: Path, tmp_path: Path, backend: str, capsys: Capture
) -> None:
    """Even --overwrite never removes files that reunet did not write."""
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    for words in ([], ["--overwrite"]):
        main([*train_words(tiny_dataset, precious, backend), *words])
        assert (precious / "thesis.tex").read_text() == "years of work"


def test_predictions_are_not_overwritten_unasked(
    tiny_run: Path, tiny_dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    words = ["predict", str(tiny_run), str(tiny_dataset / "test" / "images"), "-o", str(out)]
    assert main(words) == 0
    mask = next((out / "masks").iterdir())
    mask.write_bytes(b"edited by hand")
    before = contents(out)
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert contents(out) == before
    assert main([*words, "--skip-existing"]) == 0
    assert contents(out) == before
    assert main([*words, "--overwrite"]) == 0
    assert mask.read_bytes() != b"edited by hand"
    assert main([*words, "--overwrite", "--skip-existing"]) == 1


def test_an_evaluation_is_not_overwritten_unasked(
    tiny_run: Path, tiny_dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "scores"
    words = ["evaluate", str(tiny_run), str(tiny_dataset), "-o", str(out)]
    assert main(words) == 0
    before = contents(out)
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert contents(out) == before
    assert main([*words, "--overwrite"]) == 0


def test_a_demo_takes_no_foreign_folder(tmp_path: Path, capsys: Capture) -> None:
    home = tmp_path / "home"
    for name in ("data", "run"):
        (home / name).mkdir(parents=True)
        (home / name / "dataset.json").write_text("{}")
    before = contents(home)
    for words in ([], ["--overwrite"]):
        assert main(["demo", "-o", str(home), *words]) == 1
        assert "something else than a demo" in capsys.readouterr().err
        assert contents(home) == before


def test_an_old_demo_is_not_overwritten_unasked(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / ".reunet-demo").touch()
    (tmp_path / "run").mkdir()
    assert main(["demo", "-o", str(tmp_path)]) == 1
    assert "--overwrite" in capsys.readouterr().err


# -- row 42: missing packages -------------------------------------------------------------------------

HIDING = """
import sys
from importlib.machinery import PathFinder
class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {hidden} else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
from reunet.cli import main
sys.exit(main({words}))
"""


def run_without(hidden: list[str], words: list[str]) -> subprocess.CompletedProcess[str]:
    """A command in a process in which some packages seem not to be installed."""
    code = HIDING.format(hidden=hidden, words=words)
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    ("hidden", "options", "hint"),
    [
        (["tensorflow", "jax", "torch"], [], "reunet[tensorflow]"),
        (["jax"], ["--backend", "jax"], "reunet[jax]"),
        (["torch"], ["--backend", "torch"], "reunet[torch]"),
        (["keras"], ["--backend", "tensorflow"], "reunet[tensorflow]"),
    ],
)
def test_a_missing_framework_names_what_to_install(
    hidden: list[str], options: list[str], hint: str, tiny_dataset: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    answer = run_without(hidden, ["train", str(tiny_dataset), "-o", str(run), "--steps", "2", *options])
    assert answer.returncode == 1, answer.stderr
    assert f'pip install "{hint}"' in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not run.exists()


def test_the_next_installed_framework_is_used(tiny_dataset: Path, tmp_path: Path, backend: str) -> None:
    others = [name for name in ("tensorflow", "jax", "torch") if name != backend]
    answer = run_without(
        others, ["plan", str(tiny_dataset), "-o", str(tmp_path / "plan.json"), "--steps", "2"]
    )
    assert answer.returncode == 0, answer.stderr
    assert f'"backend": "{backend}"' in (tmp_path / "plan.json").read_text(encoding="utf-8")


def test_checking_needs_no_framework(tiny_dataset: Path) -> None:
    answer = run_without(["keras", "grain", "tensorflow", "jax", "torch"], ["check", str(tiny_dataset)])
    assert answer.returncode == 0, answer.stderr


@pytest.mark.keras
def test_training_and_predicting_need_no_other_framework(
    tiny_dataset: Path, tmp_path: Path, backend: str
) -> None:
    others = [name for name in ("tensorflow", "jax", "torch") if name != backend]
    run = tmp_path / "run"
    answer = run_without(others, ["train", str(tiny_dataset), "-o", str(run), "--steps", "2"])
    assert answer.returncode == 0, answer.stderr
    images = str(tiny_dataset / "test" / "images")
    for engine in ("openvino", "keras"):
        out = tmp_path / engine
        words = ["predict", str(run), images, "-o", str(out), "--engine", engine, "--precision", "f32"]
        answer = run_without(others, words)
        assert answer.returncode == 0, answer.stderr
        assert len(list((out / "masks").iterdir())) == 2
