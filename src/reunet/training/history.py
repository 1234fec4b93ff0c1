"""history.csv: one row per stretch of steps, the source of the curves."""

from __future__ import annotations

from pathlib import Path

from reunet.storage import csv_text, read_csv, write_text

COLUMNS = ("step", "epoch", "time_s", "loss", "learning_rate", "val_score")


class History:
    """Rows kept in memory and written as a whole, so that the file is never half a row.

    rows: values for COLUMNS; val_score is empty where no validation took place.
    """

    def __init__(self, path: Path, rows: list[dict[str, str]] | None = None) -> None:
        self.path, self.rows = path, rows or []

    @classmethod
    def resumed(cls, path: Path, step: int) -> History:
        """The rows up to `step`; later ones belong to steps that are done again."""
        if not path.is_file():
            return cls(path)
        return cls(path, [row for row in read_csv(path) if int(row["step"]) <= step])

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
