"""What lies beside the images: dataset.json, and the groups that a table or the images' names tell."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings, some_of, understood
from reunet.datasets.cases import Case
from reunet.datasets.folders import SplitFolders
from reunet.errors import DataError, UsageError, closest
from reunet.io.annotations.image_labels import FILE_COLUMNS
from reunet.io.annotations.table import Table, read_table
from reunet.io.images import composed, image_suffix
from reunet.storage import read_json

_KEY_COLUMNS = ("stem", *FILE_COLUMNS)

DESCRIPTION = "dataset.json"
GROUP = "{group}"
"""What stands for the group in a pattern of names."""

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


def compare_described(root: Path, cases: Sequence[Case], problems: Findings) -> None:
    """Warn where dataset.json, in nnU-Net's words, tells of other files than there are. Raises DataError."""
    facts, file = described(root), root / DESCRIPTION
    told, found = facts.get("numTraining"), len({case.image for case in cases if case.split == "train"})
    if isinstance(told, int) and told != found:
        fix = "put the missing images back, or correct numTraining"
        message = "the number of training images is not the one that is stated"
        problems.warning("description-differs", file, message, f"{told} (numTraining)", str(found), fix)
    ending = facts.get("file_ending")
    others = [
        case.image for case in cases if isinstance(ending, str) and not case.image.name.endswith(ending)
    ]
    if others:
        message = f"{len(others)} image(s) have another ending than the one that is stated"
        fix = "keep other images elsewhere, or correct file_ending"
        problems.warning("description-differs", file, message, f"{ending} (file_ending)", others[0].name, fix)


def with_groups(
    cases: Sequence[Case], column: str, folders: Sequence[SplitFolders], problems: Findings
) -> list[Case]:
    """Cases with the group that the table's column states; adds an error for each case it does not name, and
    for images that have two. Tables of a split go before those of the dataset.

    column: or a pattern of names with `{group}`, or a table with a column `group`.
    Raises UsageError when no table has the column, DataError for tables that cannot be read.
    """
    if GROUP in column:
        return _by_name(cases, column, problems)
    if (file := Path(column)).suffix.lower() in (".csv", ".tsv"):
        groups = column_of(read_table(file, problems), "group", file, problems)
        return _told(cases, lambda case: groups.get(stem_of(case)), f"{file.name} states no group", problems)
    bases = {entry.split: dict.fromkeys((entry.base, problems.root)) for entry in folders}
    places = dict.fromkeys(base for some in bases.values() for base in some)
    files = [base / name for base in places for name in TABLES]
    tables = {file: read_table(file, problems) for file in files if file.exists()}
    told = {file: column_of(table, column, file, problems) for file, table in tables.items()}
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

    def group_of(case: Case) -> str | None:
        own = [one for base in bases.get(case.split, ()) for file, one in told.items() if file.parent == base]
        return next(filter(None, (one.get(stem_of(case)) for one in own)), None)

    return _told(cases, group_of, f"the table states no {column}", problems)


def _by_name(cases: Sequence[Case], pattern: str, problems: Findings) -> list[Case]:
    """Cases with the group that is in their names: `{group}` is any text, `*` any but "/"."""
    pieces = {GROUP: "(?P<group>.+?)", "*": "[^/]*"}
    parts = re.split(r"({group}|\*)", pattern)
    if pattern.count(GROUP) > 1 or "{" in pattern.replace(GROUP, ""):
        raise UsageError(
            "this pattern does not say which part of a name is the group",
            where="--group",
            expected='a pattern with one {group}, such as "{group}_*"',
            received=pattern,
        )
    form = re.compile("".join(pieces.get(part, re.escape(part)) for part in parts))

    def group_of(case: Case) -> str | None:
        found = form.fullmatch(stem_of(case))
        return None if found is None else found["group"]

    return _told(cases, group_of, f"the name does not fit the pattern {pattern}: there is no group", problems)


def _told(
    cases: Sequence[Case], group_of: Callable[[Case], str | None], message: str, problems: Findings
) -> list[Case]:
    """The cases with their groups; an error, which begins with `message`, for each that has none."""
    groups = [group_of(case) for case in cases]
    for case, group in zip(cases, groups, strict=True):
        if group is None:
            problems.error("no-group", case.image, f"{message} for this image")
    return [replace(case, group=group) for case, group in zip(cases, groups, strict=True)]


def stem_of(case: Case) -> str:
    """What tables call an image: its id without a page."""
    return case.id.split("#")[0] if case.page is not None else case.id


def column_of(table: Table, column: str, file: Path, problems: Findings) -> dict[str, str]:
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
    name = composed(value.replace("\\", "/").removeprefix("./"))
    return name[: len(name) - len(image_suffix(Path(name)))]
