"""history.csv: one row per stretch of steps, the source of the curves."""

from __future__ import annotations

import re
from pathlib import Path

from reunet.errors import ModelFileError, shortened
from reunet.storage import read_csv

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
