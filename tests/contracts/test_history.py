"""history.csv: what was written is read, rows of steps that are done again go, no other text is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from reunet.contracts.history import COLUMNS, History, read_history
from reunet.errors import ModelFileError


def written(path: Path) -> History:
    history = History(path)
    for step in (10, 20, 30):
        history.add(step, step / 7, step * 1.26, 0.1 + step, 1e-3 / step, None if step == 20 else step / 100)
    return history


def test_rows_come_back(tmp_path: Path) -> None:
    history = written(tmp_path / "history.csv")
    rows = read_history(tmp_path / "history.csv")
    assert rows == history.rows
    assert [tuple(row) for row in rows] == [COLUMNS] * 3
    assert [float(row["loss"]) for row in rows] == [10.1, 20.1, 30.1]
    assert [row["val_score"] for row in rows] == ["0.1", "", "0.3"]
    assert rows[0]["time_s"] == "12.6"


def test_a_resumed_training_goes_on_after_its_step(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    assert History.resumed(path, 5).rows == []
    written(path)
    for step, left in ((30, 3), (29, 2), (20, 2), (9, 0)):
        assert len(History.resumed(path, step).rows) == left
    history = History.resumed(path, 20)
    history.add(25, 1, 1, 1, 1, 1)
    assert [row["step"] for row in read_history(path)] == ["10", "20", "25"]


@pytest.mark.parametrize(
    ("row", "column"),
    [(",1,1,1,1,1", "step"), ("1.5,1,1,1,1,1", "step"), ("-1,,,,,", "step"), ("1,x,1,1,1,1", "epoch"),
     ("1,1,1,nan,1,1", "loss"), ("1,1,1,1e999,1,1", "loss"), ("1,1,1,1,1,٣", "val_score")],
)  # fmt: skip
def test_what_is_no_number_is_named_by_line_and_column(row: str, column: str, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(f"{','.join(COLUMNS)}\n7,,,,,\n{row}\n", encoding="utf-8")
    with pytest.raises(ModelFileError, match=rf"line 3, column {column}\b"):
        read_history(path)
