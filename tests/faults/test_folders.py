"""A run folder in use by another process, and outputs that exist already."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reunet.cli import main
from reunet.storage import folder_lock

Capture = pytest.CaptureFixture[str]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def plan(
    make_plan: Callable[..., Path], tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return make_plan(tmp_path_factory.mktemp("plans") / "plan.json", tiny_dataset, steps=2)


def train_words(data: Path, run: Path, plan: Path) -> list[str]:
    return ["train", str(data), "-o", str(run), "--plan", str(plan)]


@pytest.mark.fault("two trainings in one folder", "the second is refused and told which process is first")
@pytest.mark.parametrize("option", [None, "--overwrite", "--resume"])
def test_a_second_training_in_a_folder_is_refused(
    option: str | None, tiny_run: Path, tiny_dataset: Path, tmp_path: Path, plan: Path, capsys: Capture
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = contents(run)
    words = ["train", str(tiny_dataset), "-o", str(run)]
    words += [option] if option == "--resume" else ["--plan", str(plan), *([option] if option else [])]
    with folder_lock(run):
        assert main(words) == 1
        error = capsys.readouterr().err
        assert contents(run) == before | {".lock": str(os.getpid()).encode()}
    if option == "--overwrite":
        assert "another process" in error
        assert str(os.getpid()) in error


@pytest.mark.fault("the lock of a process that was killed", "it holds nobody up")
def test_the_lock_of_a_process_that_is_gone_is_taken_over(
    tiny_dataset: Path, tmp_path: Path, plan: Path
) -> None:
    """A training killed before it wrote anything leaves its lock behind."""
    run = tmp_path / "run"
    run.mkdir()
    (run / ".lock").write_text("999999999")  # no system has so many processes
    assert main(train_words(tiny_dataset, run, plan)) == 0
    assert not (run / ".lock").exists()


@pytest.mark.fault("a run that exists", "refused unless `--overwrite`")
def test_a_finished_run_is_not_overwritten_unasked(
    tiny_run: Path, tiny_dataset: Path, tmp_path: Path, plan: Path, capsys: Capture
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = contents(run)
    assert main(train_words(tiny_dataset, run, plan)) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert contents(run) == before
    assert main([*train_words(tiny_dataset, run, plan), "--overwrite"]) == 0
    assert contents(run)["history.csv"] != before["history.csv"]


@pytest.mark.fault("a folder with other files as output", "refused, with `--overwrite` too")
def test_a_folder_that_is_no_run_is_not_trained_into(
    tiny_dataset: Path, tmp_path: Path, plan: Path, capsys: Capture
) -> None:
    """Even --overwrite never removes files that reunet did not write."""
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    for words in ([], ["--overwrite"]):
        main([*train_words(tiny_dataset, precious, plan), *words])
        assert (precious / "thesis.tex").read_text() == "years of work"


@pytest.mark.fault("predictions that exist", "refused unless `--overwrite` or `--skip-existing`")
def test_predictions_are_not_overwritten_unasked(
    make_bright_run: Callable[..., Path], tiny_dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    run, out = make_bright_run(tmp_path / "run"), tmp_path / "out"
    words = ["predict", str(run), str(tiny_dataset / "test" / "images"), "-o", str(out)]
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
