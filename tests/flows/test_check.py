"""check: the list as a result and as a file."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from reunet.errors import DataError
from reunet.flows.check import check


class Recorder:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0

    def start(self, task: str, total: int | None) -> None:
        self.total = total

    def advance(self, n: int = 1, **info: object) -> None:
        self.done += n

    def message(self, text: str) -> None:
        raise AssertionError(text)


def test_result_list_and_progress(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    data = make_dataset(tmp_path / "data", train=3, test=1)
    (data / "train/masks/train_00.png").unlink()
    (data / "train/images/train_01.png").write_text("no image, at all")
    progress = Recorder()
    result = check(data, fix_list=tmp_path / "list.csv", on_progress=progress)
    assert result.counts == {"train": 2, "test": 1}
    assert len(result.errors) == 2
    assert progress.done == progress.total == 3
    with open(tmp_path / "list.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["severity"], row["code"], row["file"]) for row in rows] == [
        (problem.severity, problem.code, problem.file) for problem in result.problems
    ]


def test_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        check(tmp_path / "nowhere")
    with pytest.raises(DataError, match="images=DIR masks=DIR"):
        check()
