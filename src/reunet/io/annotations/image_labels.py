"""One class per image: from a table labels.csv, or from a folder per class."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reunet.contracts.findings import Findings, some_of
from reunet.errors import DataError
from reunet.io.annotations.annotated_image import too_many
from reunet.io.annotations.files import NamedImages, is_below
from reunet.io.annotations.table import Table, read_table, rewrite_table
from reunet.io.images import image_suffix
from reunet.io.listing import image_files, visible
from reunet.storage import csv_text, write_text

FILE_COLUMNS = (
    "file", "file_name", "filename", "image", "image_name", "image_file", "image_path", "image_id", "path",
    "file_path", "filepath", "img", "img_name", "img_path", "picture", "photo", "stem", "id", "name",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "labels", "class", "class_name", "label_name", "class_label", "category", "category_name",
    "target", "diagnosis", "species", "y",
)  # fmt: skip
"""What programs call the columns of images and of classes; the first that is there counts."""

_DECIMAL = re.compile(r"[+-]?\d*[.,]\d*[1-9]\d*(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
"""A number that is not whole."""

_FORM = f"file and label, or one of: {', '.join(FILE_COLUMNS[1:8])}; {', '.join(LABEL_COLUMNS[1:])}"


def has_labels(table: Path) -> bool:
    """Whether a table states a class per image, or is one that cannot be read, which its reader says."""
    if not table.is_file():
        return False
    try:
        return read_table(table).find(LABEL_COLUMNS) is not None
    except DataError:
        return True


@dataclass(frozen=True)
class ImageLabels:
    """Class names, and for each image, a path below its folder with "/", the index of its class."""

    classes: tuple[str, ...]
    images: dict[str, int]


def read_labels(
    path: Path, folders: Sequence[Path], problems: Findings, classes: Sequence[str] | None = None
) -> ImageLabels:
    """The classes of images from a table with the columns `file` and `label`, perhaps `label_id`.

    folders: where the image files lie, each named from the first that has it, also without its suffix; none
    when they need not be there. classes: the names that indices stand for; else those of the table, by
    label_id where it is told, else by name. Adds an error for what cannot be read, rows without file or
    label, files with two labels, labels with several ids, ids with several labels, labels that are no class
    and images that do not exist, a warning for rows that are there twice, files that are not named, and
    labels that look like measured numbers.
    """
    labels: dict[str, str] = {}
    files: dict[str, Path | None] = {}
    numbers: dict[str, int] = {}
    named = NamedImages(folders)
    for line, told, label, number in _rows(path, problems):
        if not is_below(told) or not label:
            message = f"line {line}: it needs a file below the folder of the images, and a label"
            problems.error("label-row", path, message, "file, label", f"{told!r}, {label!r}"[:200])
            continue
        file, image = named.find(told)
        again, files[file] = file in files, image
        if classes is not None and label not in classes:
            message = f"line {line}: the label is not in the class list"
            problems.error("unknown-class", path, message, some_of(classes), label[:80])
        elif number is not None and not _consistent(numbers, label, number):
            message = f"line {line}: label and label_id do not fit together"
            expected = some_of([f"{value} {name}" for name, value in numbers.items()])
            problems.error("label-id", path, message, f"as before: {expected}", f"{number} {label}"[:80])
        elif (before := labels.setdefault(file, label)) != label:
            message = f"line {line}: {file} has two labels"
            problems.error("doubled-file", path, message, f"{before}, as before", label[:80])
        elif again:
            problems.warning("doubled-file", path, f"line {line}: {file} is named more than once")
    if classes is None:
        _tell_measured(path, labels, problems)
    found = sorted(set(labels.values()), key=lambda name: (numbers.get(name, 0), name))
    named.match(path, files.items(), problems)
    return _labelled(path, tuple(found if classes is None else classes), labels, problems)


def _tell_measured(path: Path, labels: Mapping[str, str], problems: Findings) -> None:
    """Add a warning where most labels are decimals that only one image has: a number is to be predicted."""
    decimals = {label for label in labels.values() if _DECIMAL.fullmatch(label)}
    if len(decimals) > max(2, len(labels) // 2):
        message = (
            f"{len(decimals)} of {len(labels)} labels are decimals: each different one is learned as a class"
        )
        problems.warning("label-decimals", path, message, "names of classes", some_of(sorted(decimals), 5))


def write_label(path: Path, image: Path, folders: Sequence[Path], label: str) -> None:
    """Let a table tell that the file `image` is of the class `label`; all other cells stay.

    folders: as of `read_labels`. An image that the table does not name gets a row; a table that does not
    exist is begun. Raises DataError, StorageError.
    """
    named, wanted = NamedImages(folders), image.absolute()
    below = next((one for one in reversed(folders) if image.is_relative_to(one)), image.parent)
    name = image.relative_to(below).as_posix()
    if not path.is_file():
        write_text(path, csv_text(("file", "label"), [(name, label)]))
        return

    def changed(table: Table) -> Iterator[Sequence[object]]:
        key, value, number = map(table.find, (FILE_COLUMNS, LABEL_COLUMNS, ("label_id", "class_id")))
        if key is None or value is None:
            raise DataError("the table lacks columns", where=path, expected=_FORM)
        numbers = {row[value]: row[number] for _, row in table.rows} if number is not None else {}
        taken = [int(one) for one in numbers.values() if one.isdecimal()]
        told = {value: label}
        if number is not None:
            told[number] = numbers.get(label) or str(max(taken, default=-1) + 1)
        is_there = False
        for _, row in table.rows:
            found = named.find(row[key])[1] if is_below(row[key]) else None
            is_this = found is not None and found.absolute() == wanted
            is_there |= is_this
            yield [told.get(i, cell) if is_this else cell for i, cell in enumerate(row)]
        if not is_there:
            told[key] = name
            yield [told.get(i, "") for i in range(len(table.columns))]

    rewrite_table(path, changed)


def class_folders(folder: Path, problems: Findings, classes: Sequence[str] | None = None) -> ImageLabels:
    """The classes of images that lie in a folder per class, named like it; sorted by name unless given.

    Adds an error for images outside of the class folders and for folders that are no class, a warning for
    folders without images.
    """
    labels: dict[str, str] = {}
    found = visible(folder)
    names = tuple(classes) if classes is not None else tuple(entry.name for entry in found if entry.is_dir())
    for entry in found:
        if not entry.is_dir():
            if image_suffix(entry):
                problems.error("label-row", entry, "the image lies in no class folder")
            continue
        images = image_files(entry)
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
        table = read_table(path, problems)
    except DataError as cause:
        problems.caught("annotations-unreadable", path, cause)
        return
    key, value, number = map(table.find, (FILE_COLUMNS, LABEL_COLUMNS, ("label_id", "class_id")))
    several = [name for name in LABEL_COLUMNS if table.find([name]) is not None]
    if key is None or value is None or (len(several) > 1 and several[0] != "label"):
        message = "several columns may be the labels" if len(several) > 1 else "the table lacks columns"
        problems.error("label-table", path, message, _FORM, some_of(table.columns))
        return
    if not table.rows:
        problems.error("label-table", path, "the table has a heading and no rows", "a row for each image")
    for line, row in table.rows:
        told = "" if number is None else row[number]
        if told and not (told.isascii() and told.isdecimal() and len(told) < 10):
            message = f"line {line}: the id of the label is no whole number"
            problems.error("label-id", path, message, "a whole number", told[:80])
            told = ""
        yield line, row[key], row[value], int(told) if told else None


def _consistent(numbers: dict[str, int], label: str, number: int) -> bool:
    """Whether label and id go together everywhere; remembers them."""
    if label not in numbers and number not in numbers.values():
        numbers[label] = number
    return numbers.get(label) == number
