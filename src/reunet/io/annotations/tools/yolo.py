"""YOLO: a text file per image, a line per object, shares of the image's width and height as coordinates.

Format: https://docs.ultralytics.com/datasets/segment/. A line is the index of the class, then x and y of the
centre, width and height of a box, or x and y of the corners of a polygon. The names of classes are in
data.yaml, or in classes.txt or obj.names, a line each. An image without a file shows no object.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.findings import Findings, some_of
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.class_lists import (
    ClassList,
    check_alike,
    check_described,
    described_classes,
    tell_doubled,
)
from reunet.io.annotations.pictures import Pictures, blank, paired
from reunet.io.annotations.settings import listed_classes, read_settings
from reunet.io.annotations.sheet import Sheet, Sheets
from reunet.storage import read_text

LISTS = ("classes.txt", "obj.names", "labels.txt")
"""Files with a name of a class in each line."""

_OF_OTHERS = ("labels.txt",)
"""Those that hold something else in other datasets: beside another list they count if a class is in both."""

_MOST_BYTES, _MOST_LISTED = 64 << 20, 1 << 20
_MOST_CLASSES = 1 << 12
_LOOKED_AT, _FEWEST = 200, 3
"""Lines that tell the format, and how many it takes."""


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects of all images; a class is called by its number where nothing names it. Lists of classes
    that differ are an error.
    """
    names: tuple[str, ...] = ()
    settings: dict[str, Any] = {}
    with problems.noting("class-list", problems.root, "the list of classes is"):
        settings = read_settings(problems.root)
        if lists := _class_lists(files, problems):
            names = lists[0].names
            tell_doubled(lists[0], problems)
            check_alike(lists)
            if (described := described_classes(problems.root / "dataset.json")) is not None:
                check_described(lists[0], described)
    is_pose = "kpt_shape" in settings
    if not is_pose:
        _tell_other_formats(files, problems)
    sheets = paired(files, pictures, problems, partial(_fill, names=names, is_pose=is_pose))
    told = {sheet.image for sheet in sheets}
    empty = [path for path in pictures.paths if path not in told]
    if empty:
        message = f"{len(empty)} image(s) have no label file: they show no object, as YOLO takes it"
        received = some_of([problems.name(path) for path in empty], 5)
        problems.warning("image-not-listed", files[0].parent, message, "", received)
    blanks = [blank(files[0].parent, path, problems) for path in empty]
    sheets += [one for one in blanks if one is not None]
    numbers = {int(one.label) for sheet in sheets for one in sheet.entries if one.label} if not names else ()
    unnamed = [str(number) for number in range(max(numbers, default=-1) + 1)]
    return Sheets(sheets, names or unnamed)


def _tell_other_formats(files: Sequence[Path], problems: Findings) -> None:
    """Add an error where the lines are boxes with key points, a warning where they may be turned boxes: what
    follows the class is as many numbers as outlines may have.
    """
    lines = list(islice((numbers for path in files for numbers in _numbers(path)), _LOOKED_AT))
    counts = {len(numbers) for numbers in lines}
    if len(lines) < _FEWEST or len(counts) > 1 or (count := counts.pop()) < 6:
        return
    told = np.array(lines)
    if any((count - 4) % step == 0 and _are_key_points(told, step) for step in (2, 3)):
        message, fix = (
            "the lines are boxes with key points",
            "tell kpt_shape in data.yaml: the boxes are read then",
        )
        problems.error("annotation", files[0], message, "boxes or outlines", f"{count} numbers a line", fix)
    elif count == 8 and _are_turned_boxes(told.reshape(-1, 4, 2)):
        message = (
            "all outlines are turned boxes: they are learned as outlines of the objects, corners included"
        )
        problems.warning("yolo-turned-boxes", files[0], message, "outlines", "four corners a line")


def _are_turned_boxes(corners: np.ndarray) -> bool:
    """Whether opposite sides of all outlines (n, 4, 2) are alike, and not all of them upright."""
    sides = np.diff(corners, axis=1)
    alike = np.allclose(sides[:, 0], -sides[:, 2], atol=2e-3)
    return alike and bool((np.abs(sides) > 5e-3).all(axis=2).any())


def _are_key_points(told: np.ndarray, step: int) -> bool:
    """Whether what follows four numbers lies inside the box that they tell, but for points that are not seen.

    told: (lines, numbers). step: numbers of a point, x, y and whether it is seen.
    """
    centre, half = told[:, None, :2], told[:, None, 2:4] / 2
    points = told[:, 4:].reshape(len(told), -1, step)
    seen = points[..., 2] > 0 if step == 3 else points[..., :2].any(axis=2)
    inside = (np.abs(points[..., :2] - centre) <= half + 0.01).all(axis=2)
    marks = step == 2 or bool(np.isin(points[..., 2], (0, 1, 2)).all())
    return marks and bool(seen.any()) and bool(inside[seen].all())


def _numbers(path: Path) -> Iterator[list[float]]:
    """What follows the class in each line, as far as it is understood."""
    with suppress(DataError, ValueError):
        for line in read_text(path, DataError, "the labels of an image", _MOST_BYTES).splitlines():
            if line.strip():
                yield list(map(float, line.split()[1:]))


def _class_lists(files: Sequence[Path], problems: Findings) -> list[ClassList]:
    """The classes of every file that lists any, in the dataset's folder or beside the labels; the first one
    counts. Raises DataError (LabelError) for that; a later one that cannot be read is none.
    """
    lists = [one for one in listed_classes(problems.root) if one.names]
    near = [folder for path in files[:1] for folder in (path.parent, path.parent.parent)]
    for path in (folder / name for folder in dict.fromkeys((problems.root, *near)) for name in LISTS):
        try:
            names = _lines(path) if path.is_file() else ()
        except DataError:
            if not lists:
                raise
            continue
        is_other = path.name in _OF_OTHERS and bool(lists) and not {*names} & {*lists[0].names}
        if names and not is_other:
            lists.append(ClassList(path, problems.name(path), names))
    return lists


def _lines(path: Path) -> tuple[str, ...]:
    """The classes of a file with one in each line. Raises DataError."""
    lines = read_text(path, DataError, "the list of classes", _MOST_LISTED).splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def _fill(path: Path, sheet: Sheet, *, names: Sequence[str], is_pose: bool) -> None:
    """Add the objects of a file. Raises DataError for one that is no text."""
    text = read_text(path, DataError, "the labels of an image", _MOST_BYTES)
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            with sheet.about(f"line {number}"):
                _add(sheet, f"line {number}", line.split(), names, is_pose=is_pose)


def _add(sheet: Sheet, name: str, words: list[str], names: Sequence[str], *, is_pose: bool) -> None:
    """Add the object of a line. Raises LabelError."""
    most = len(names) or _MOST_CLASSES
    if not (words[0].isascii() and words[0].isdecimal() and int(words[0]) < most):
        expected = f"0 to {most - 1}" + f": {some_of(names)}" * bool(names)
        fix = "correct the number, or add the class to `names` in data.yaml"
        raise LabelError("its class is out of range", expected=expected, received=words[0][:40], fix=fix)
    label = names[int(words[0])] if names else str(int(words[0]))
    numbers = list(_shares(words[1:]))
    height, width = sheet.size
    if len(numbers) in (4, 5) or is_pose:  # a fifth is the confidence of a prediction
        x, y, w, h = (a * b for a, b in zip(numbers[:4], (width, height, width, height), strict=True))
        sheet.add(name, label, (y - h / 2, x - w / 2, y + h / 2, x + w / 2))
    elif len(numbers) < 6 or len(numbers) % 2:
        expected = "x y width height, or x and y of at least 3 points"
        raise LabelError("it is no box and no polygon", expected=expected, received=f"{len(numbers)} numbers")
    else:
        ring = np.array(numbers, np.float64).reshape(-1, 2) * (width, height)
        sheet.add(name, label, Shape.of(ring))


def _shares(words: Sequence[str]) -> Iterator[float]:
    """Raises LabelError for what is no share of an image."""
    for word in words:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not -1 <= value <= 2:  # false for NaN, too; programs round, and draw over the edge
            fix = "divide x by the width of the image and y by its height"
            raise LabelError("its coordinates are no shares", expected="0 to 1", received=word[:40], fix=fix)
        yield value
