"""The history of a training as it grows."""

from __future__ import annotations

import os
from pathlib import Path

from reunet.contracts.history import COLUMNS, read_history
from reunet.storage import csv_text, write_text


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
