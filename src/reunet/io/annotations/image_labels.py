"""One class per image: from a table labels.csv, or from a folder per class."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.io.annotations.annotated_image import too_many
from reunet.io.annotations.files import is_below, match_files
from reunet.io.images import image_suffix

FILE_COLUMNS = ("file", "file_name", "filename", "image")


@dataclass(frozen=True)
class ImageLabels:
    """Class names, and for each image, a path below its folder with "/", the index of its class."""

    classes: tuple[str, ...]
    images: dict[str, int]


def read_labels(
    path: Path, folder: Path | None, problems: Findings, classes: Sequence[str] | None = None
) -> ImageLabels:
    """The classes of images from a table with the columns `file` and `label`, perhaps `label_id`.

    folder: where the image files lie; None when they need not be there. classes: the names that indices
    stand for; else those of the table, by label_id where it is told, else by name. Adds an error for what
    cannot be read, rows without file or label, files named twice, labels with several ids, ids with several
    labels, labels that are no class and images that do not exist, a warning for files that are not named.
    """
    labels: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for line, file, label, number in _rows(path, problems):
        if not is_below(file) or not label:
            message = f"line {line}: it needs a file below the folder of the images, and a label"
            problems.error("label-row", path, message, "file, label", f"{file!r}, {label!r}")
        elif file in labels:
            problems.error("doubled-file", path, f"line {line}: {file} is named more than once")
        elif classes is not None and label not in classes:
            message = f"line {line}: the label is not in the class list"
            problems.error("unknown-class", path, message, ", ".join(classes), label)
        elif number is not None and not _consistent(numbers, label, number):
            message = f"line {line}: label and label_id do not fit together"
            expected = ", ".join(f"{value} {name}" for name, value in numbers.items())
            problems.error("label-id", path, message, f"as before: {expected}", f"{number} {label}")
        else:
            labels[file] = label
    found = sorted(set(labels.values()), key=lambda name: (numbers.get(name, 0), name))
    names = tuple(classes) if classes is not None else tuple(found)
    if folder is not None:
        match_files(path, folder, labels, problems)
    return _labelled(path, names, labels, problems)


def class_folders(folder: Path, problems: Findings, classes: Sequence[str] | None = None) -> ImageLabels:
    """The classes of images that lie in a folder per class, named like it; sorted by name unless given.

    Adds an error for images outside of the class folders and for folders that are no class, a warning for
    folders without images.
    """
    labels: dict[str, str] = {}
    found = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    names = tuple(classes) if classes is not None else tuple(entry.name for entry in found if entry.is_dir())
    for entry in found:
        if not entry.is_dir():
            if image_suffix(entry):
                problems.error("label-row", entry, "the image lies in no class folder")
            continue
        images = sorted(path for path in entry.rglob("*") if image_suffix(path) and path.is_file())
        if entry.name not in names:
            message = "the folder is named like no class"
            problems.error("unknown-class", entry, message, ", ".join(names), entry.name)
        elif not images:
            problems.warning("class-empty", entry, "the folder of this class holds no images")
        else:
            labels.update({path.relative_to(folder).as_posix(): entry.name for path in images})
    return _labelled(folder, names, labels, problems)


def _labelled(path: Path, names: tuple[str, ...], labels: dict[str, str], problems: Findings) -> ImageLabels:
    too_many(names, path, problems)
    return ImageLabels(names, {file: names.index(label) for file, label in labels.items()})


def _rows(path: Path, problems: Findings) -> Iterator[tuple[int, str, str, int | None]]:
    """Line, file, label and label_id of each row."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            key = next((name for name in FILE_COLUMNS if name in columns), None)
            if key is None or "label" not in columns:
                received = ", ".join(columns)
                problems.error("label-table", path, "the table lacks columns", "file, label", received)
                return
            table = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        problems.error("annotations-unreadable", path, "could not read a table", "", str(cause))
        return
    for line, row in table:
        told = (row.get("label_id") or "").strip()
        if told and not (told.isascii() and told.isdecimal()):
            message = f"line {line}: label_id is no whole number"
            problems.error("label-id", path, message, "a whole number", told)
            told = ""
        image, label = ((row[column] or "").strip() for column in (key, "label"))
        yield line, image.replace("\\", "/"), label, int(told) if told else None


def _consistent(numbers: dict[str, int], label: str, number: int) -> bool:
    """Whether label and id go together everywhere; remembers them."""
    if label not in numbers and number not in numbers.values():
        numbers[label] = number
    return numbers.get(label) == number
