"""Who changed which label and when, in corrections.csv; the labels as they were given, beside it."""

import getpass
import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import astuple
from datetime import datetime
from pathlib import Path

from reunet.contracts.findings import relative
from reunet.datasets.corrected import COLUMNS, Entry, read_entries
from reunet.io.listing import CORRECTIONS, GIVEN_LABELS
from reunet.storage import csv_text, publish_file, publish_folder, scratch_folder, sha256_file, write_text


def keep_given(root: Path, label: Path, entries: Iterable[Entry]) -> str:
    """Copy a label, a file or a folder, unless it was last written here; where to, relative to the dataset.

    Empty where there was nothing to copy. A later label that somebody else wrote is kept too, under a name
    with a number. Raises StorageError.
    """
    if not label.exists():
        return ""
    name, content = relative(label.absolute(), root.absolute()), hash_of(label)
    written = [entry for entry in entries if entry.label == name]
    if written and written[-1].sha256 == content:
        return ""
    if not (root / CORRECTIONS).is_file():
        write_text(
            root / CORRECTIONS, csv_text(COLUMNS, [])
        )  # first, as it says what the folder beside it is
    below = Path(name).name if Path(name).is_absolute() else name
    copy, number = root / GIVEN_LABELS / below, 1
    while copy.exists():
        if hash_of(copy) == content:
            return relative(copy, root)
        number += 1
        copy = copy.with_name(f"{label.name.split('.')[0]}.{number}{''.join(label.suffixes)}")
    copy.parent.mkdir(parents=True, exist_ok=True)
    if label.is_dir():
        publish_folder(copy, lambda folder: shutil.copytree(label, folder, dirs_exist_ok=True))
    else:
        with scratch_folder(copy.parent) as folder:
            shutil.copy2(label, folder / copy.name)
            publish_file(folder / copy.name, copy)
    return relative(copy, root)


def record(root: Path, entries: Iterable[Entry]) -> None:
    """Add rows to corrections.csv. Raises StorageError, DataError."""
    rows = [*read_entries(root), *entries]
    write_text(root / CORRECTIONS, csv_text(COLUMNS, map(astuple, rows)))


def hash_of(label: Path) -> str:
    """SHA-256 of a file, of a folder that of its files and their names."""
    if not label.is_dir():
        return sha256_file(label)
    files = sorted(path for path in label.rglob("*") if path.is_file() and not path.name.startswith("."))
    told = "\n".join(f"{path.relative_to(label).as_posix()} {sha256_file(path)}" for path in files)
    return hashlib.sha256(told.encode()).hexdigest()


def now() -> str:
    """ISO 8601 with seconds and the offset from UTC."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def whoever(by: str | None) -> str:
    """The name that was given, or else that of the account."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
