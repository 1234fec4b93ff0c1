"""What lies beside the images: dataset.json, and the group column of items.csv or labels.csv."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings
from reunet.datasets.cases import Case
from reunet.datasets.folders import SplitFolders
from reunet.errors import DataError, UsageError, closest
from reunet.io.images import without_suffix
from reunet.storage import read_json

_KEY_COLUMNS = ("stem", "file", "file_name", "filename", "image", "id", "name")


DESCRIPTION = "dataset.json"
CLASSES = '[{"id": 0, "name": "background", "color": [0, 0, 0]}, ...]'


def described(root: Path) -> dict[str, Any]:
    """What the dataset says of itself in dataset.json; nothing without it. Raises DataError."""
    data = read_json(root / DESCRIPTION, DataError) if (root / DESCRIPTION).is_file() else {}
    return data if isinstance(data, dict) else {}


@contextmanager
def understood(what: str, where: object, form: str) -> Iterator[None]:
    """Tell which form JSON should have where it is read and has another. Raises DataError."""
    try:
        yield
    except (TypeError, KeyError, ValueError, AttributeError) as cause:
        received = f"{type(cause).__name__}: {str(cause)[:100]}"
        message, fix = f"{what} not understood", "write it as docs/data.md shows"
        raise DataError(message, where=where, expected=form, received=received, fix=fix) from cause


def class_names(root: Path) -> list[str] | None:
    """The names of the classes in dataset.json, None where it has none. Raises DataError."""
    entries = described(root).get("classes")
    if entries is None:
        return None
    with understood("the class list is", root / DESCRIPTION, CLASSES):
        names = [entry["name"] for entry in entries]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ValueError(entries)
    return names


def with_groups(
    cases: Sequence[Case], column: str, folders: Sequence[SplitFolders], problems: Findings
) -> list[Case]:
    """Cases with the group that the table's column states; adds an error for each case it does not name.

    Raises UsageError when no table has the column.
    """
    root = problems.root
    groups: dict[tuple[str, str], str] = {}
    seen: set[str] = set()
    for entry in folders:
        tables = [
            base / name for base in dict.fromkeys((entry.base, root)) for name in ("items.csv", "labels.csv")
        ]
        for table in tables:
            columns = _read_column(table, column, seen) if table.is_file() else {}
            groups = {(entry.split, stem): value for stem, value in columns.items()} | groups
    if column not in seen:
        raise UsageError(
            f"--group {column}: no such column in items.csv or labels.csv",
            where=root,
            expected=f"one of: {', '.join(sorted(seen))}"
            if seen
            else "a table items.csv or labels.csv with that column",
            fix=closest(column, sorted(seen)),
        )
    grouped = []
    for case in cases:
        stem = case.id.split("#")[0] if case.page is not None else case.id
        group = groups.get((case.split, stem))
        if not group:
            problems.error("no-group", case.image, f"the table states no {column} for this image")
        grouped.append(replace(case, group=group or None))
    return grouped


def _read_column(table: Path, column: str, seen: set[str]) -> dict[str, str]:
    """Stem -> value of the column; the columns of the table are added to `seen`."""
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            seen.update(columns)
            key = next((name for name in _KEY_COLUMNS if name in columns), None)
            if column not in columns:
                return {}
            if key is None:
                raise DataError(
                    "the table does not say which image a row is about",
                    where=table,
                    expected=f"a column named {' or '.join(_KEY_COLUMNS)}",
                    received=", ".join(columns),
                )
            return {_stem(str(row[key])): str(row[column] or "") for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DataError("could not read a table", where=table, received=str(cause)) from cause


def _stem(value: str) -> str:
    name = unicodedata.normalize("NFC", value.strip().replace("\\", "/"))
    return without_suffix(Path(name)).as_posix() if name else name
