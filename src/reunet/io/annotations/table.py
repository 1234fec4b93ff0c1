"""Tables as CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reunet.storage import csv_text, write_text


def write_table(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns of equal length atomically; nan is an empty field, floats have 6 digits. StorageError."""
    rows = zip(*(map(_field, np.asarray(one).tolist()) for one in columns.values()), strict=True)
    write_text(path, csv_text(columns, rows))


def _field(value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.6g}"
