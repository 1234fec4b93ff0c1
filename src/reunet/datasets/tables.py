"""What lies beside the images: dataset.json, and the group column of items.csv or labels.csv."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings, some_of, understood
from reunet.datasets.cases import Case
from reunet.datasets.folders import SplitFolders
from reunet.errors import DataError, UsageError, closest
from reunet.io.annotations.image_labels import FILE_COLUMNS
from reunet.io.annotations.table import Table, read_table
from reunet.io.images import image_suffix
from reunet.storage import read_json

_KEY_COLUMNS = ("stem", *FILE_COLUMNS)

DESCRIPTION = "dataset.json"
TABLES = ("items.csv", "labels.csv")
CLASSES = '[{"id": 0, "name": "background", "color": [0, 0, 0]}, ...]'


def described(root: Path) -> dict[str, Any]:
    """What the dataset says of itself in dataset.json; nothing without it. Raises DataError."""
    file = root / DESCRIPTION
    data = read_json(file, DataError) if file.exists() else {}
    if not isinstance(data, dict):
        raise DataError(
            "the file does not describe a dataset", where=file, expected="{...}", received=str(data)[:80]
        )
    return data


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
    """Cases with the group that the table's column states; adds an error for each case it does not name, and
    for images that have two. Tables of a split go before those of the dataset.

    Raises UsageError when no table has the column, DataError for tables that cannot be read.
    """
    bases = {entry.split: dict.fromkeys((entry.base, problems.root)) for entry in folders}
    places = dict.fromkeys(base for some in bases.values() for base in some)
    files = [base / name for base in places for name in TABLES]
    tables = {file: read_table(file, problems) for file in files if file.exists()}
    told = {file: _column(table, column, file, problems) for file, table in tables.items()}
    if not any(table.find([column]) is not None for table in tables.values()):
        seen = sorted({name for table in tables.values() for name in table.columns})
        raise UsageError(
            f"--group {column}: no such column in items.csv or labels.csv",
            where=problems.root,
            expected=f"one of: {some_of(seen)}"
            if seen
            else "a table items.csv or labels.csv with that column",
            fix=closest(column, seen),
        )
    grouped = []
    for case in cases:
        stem = case.id.split("#")[0] if case.page is not None else case.id
        own = [one for base in bases.get(case.split, ()) for file, one in told.items() if file.parent == base]
        group = next(filter(None, (one.get(stem) for one in own)), None)
        if group is None:
            problems.error("no-group", case.image, f"the table states no {column} for this image")
        grouped.append(replace(case, group=group))
    return grouped


def _column(table: Table, column: str, file: Path, problems: Findings) -> dict[str, str]:
    """Stem -> value of the column; nothing where there is none. Raises DataError."""
    key, value = table.find(_KEY_COLUMNS), table.find([column])
    if value is None:
        return {}
    if key is None:
        raise DataError(
            "the table does not say which image a row is about",
            where=file,
            expected=f"a column named {some_of(_KEY_COLUMNS)}",
            received=some_of(table.columns),
        )
    found: dict[str, str] = {}
    for line, row in table.rows:
        stem = _stem(row[key])
        if found.setdefault(stem, row[value]) != row[value]:
            message = f"line {line}: {stem} has another {column} before"
            problems.error("doubled-file", file, message, found[stem][:80], row[value][:80])
    return found


def _stem(value: str) -> str:
    name = unicodedata.normalize("NFC", value.replace("\\", "/").removeprefix("./"))
    return name[: len(name) - len(image_suffix(Path(name)))]
