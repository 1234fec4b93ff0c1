"""history.csv: one row per stretch of steps, the source of the curves."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reunet.errors import ModelFileError, shortened
from reunet.storage import csv_text, read_csv, write_text

COLUMNS = ("step", "epoch", "time_s", "loss", "learning_rate", "val_score")

_WHOLE = re.compile(r"[0-9]{1,15}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,2})?")


def read_history(path: Path) -> list[dict[str, str]]:
    """The rows, by `COLUMNS`, as they are written; all but the step may be empty.

    Raises ModelFileError, with line and column, for what is no number.
    """
    rows = [{name: row.get(name) or "" for name in COLUMNS} for row in read_csv(path, ModelFileError)]
    for line, row in enumerate(rows, 2):
        for name, text in row.items():
            pattern = _WHOLE if name == "step" else _NUMBER
            if not pattern.fullmatch(text) and (text or name == "step"):
                raise ModelFileError(
                    "the history of this run is not one that reunet wrote",
                    where=f"{path}, line {line}, column {name}",
                    expected="a number",
                    received=shortened(text),
                    fix="copy the file again from its source, or remove it: it is needed for the curves only",
                )
    return rows


class History:
    """Rows kept in memory and written as a whole, so that the file is never half a row.

    rows: values for COLUMNS; val_score is empty where no validation took place.
    """

    def __init__(self, path: Path, rows: list[dict[str, str]] | None = None) -> None:
        self.path, self.rows = path, rows or []

    @classmethod
    def resumed(cls, path: Path, step: int) -> History:
        """The rows up to `step`; later ones belong to steps that are done again. Raises ModelFileError."""
        if not os.path.lexists(path):
            return cls(path)
        return cls(path, [row for row in read_history(path) if int(row["step"]) <= step])

    def add(
        self,
        step: int,
        epoch: float,
        time_s: float,
        loss: float,
        learning_rate: float,
        val_score: float | None,
    ) -> None:
        """Append a row and write the file."""
        values = (
            str(step), f"{epoch:.3f}", f"{time_s:.1f}", repr(loss), repr(learning_rate),
            "" if val_score is None else repr(val_score),
        )  # fmt: skip
        self.rows.append(dict(zip(COLUMNS, values, strict=True)))
        write_text(self.path, csv_text(COLUMNS, (row.values() for row in self.rows)))
