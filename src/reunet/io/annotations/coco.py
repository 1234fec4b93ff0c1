"""COCO JSON: boxes, polygons and run lengths of many images in one file.

Format: https://cocodataset.org/#format-data. Boxes are x, y, width, height. Several polygons of one object
are taken by the even-odd rule (see `polygons`). A crowd (`iscrowd`) is an area where objects are unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import Annotations, ImageBuilder, Shape, too_many
from reunet.io.annotations.files import is_below, match_files
from reunet.io.annotations.rle import check_runs, decompress_runs
from reunet.io.header import MAX_PIXELS
from reunet.storage import read_json

_FARTHEST = 1e7  # pixels: no polygon of an image reaches as far
_Builders = dict[int, ImageBuilder | None]  # None: an image that cannot be used


def read_coco(
    path: Path, folder: Path | None, problems: Findings, classes: Sequence[str] | None = None
) -> Annotations:
    """The objects of all images that a COCO file lists, without its unusable annotations.

    folder: where the image files lie, below it as `file_name` says; None when they need not be there.
    classes: names that class indices stand for; else the categories of the file by id. Categories are
    matched by name, as ids may differ between files.
    Adds an error for: a file that is no COCO JSON, entries of a wrong type, ids that are doubled or not
    listed, images without file, boxes outside or reversed, run lengths that do not fill the image. Adds a
    warning for what is left out or changed: boxes without area, polygons of less than three points, boxes
    that reach out of the image, doubled annotation ids, files that are not listed.
    """
    try:
        data = read_json(path, DataError)
    except DataError as cause:
        problems.caught("annotations-unreadable", path, cause)
        return Annotations(tuple(classes or ()), ())
    return _Reader(path, problems).read(data, folder, classes)


class _Reader:
    """One COCO file on its way to arrays."""

    def __init__(self, path: Path, problems: Findings) -> None:
        self._path, self._problems = path, problems
        self._refused: Counter[str] = Counter()

    def read(self, data: Any, folder: Path | None, classes: Sequence[str] | None) -> Annotations:
        builders = self._images(data)
        names, index = self._categories(data, classes)
        if too_many(names, self._path, self._problems):
            return Annotations(names, ())
        seen: set[int] = set()
        for name, entry in self._entries(data, "annotations", "annotation"):
            number = entry.get("id")
            if _is_id(number):
                if number in seen:
                    self._problems.warning("doubled-id", self._path, f"{name}: the id is used more than once")
                seen.add(number)
            elif number is not None:
                self._wrong("wrong-type", name, "its id is no whole number", "a whole number", number)
            self._annotation(name, entry, builders, index)
        for category, count in self._refused.items():
            message = f"{count} annotations are of a category that is not in the class list"
            expected = ", ".join(names)
            self._problems.error("unknown-class", self._path, message, expected, category)
        images = tuple(builder.build() for builder in builders.values() if builder is not None)
        if folder is not None:
            match_files(self._path, folder, [image.file for image in images], self._problems)
        return Annotations.of(names, images)

    def _entries(self, data: Any, table: str, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The objects in a list of the file, each after its name in messages, such as "image 7"."""
        entries = data.get(table) if isinstance(data, dict) else None
        if not isinstance(entries, list):
            message = f"the file is no COCO JSON: it has no list {table!r}"
            self._problems.error("not-coco", self._path, message, "images, annotations, categories")
            return
        for position, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self._wrong("wrong-type", f"{what} number {position + 1}", "not an object", "{...}", entry)
                continue
            number = entry.get("id")
            yield f"{what} {number}" if _is_id(number) else f"{what} number {position + 1}", entry

    def _categories(
        self, data: Any, classes: Sequence[str] | None
    ) -> tuple[tuple[str, ...], dict[int, int | str]]:
        """Class names, and the class index of each category id, its name where that is not in the list."""
        listed: dict[int, str] = {}
        for name, entry in self._entries(data, "categories", "category"):
            number, told = entry.get("id"), entry.get("name")
            if not _is_id(number) or not isinstance(told, str) or not told:
                self._wrong("wrong-type", name, "it needs an id and a name", "id, name", entry)
            elif number in listed or told in listed.values():
                self._wrong("doubled-id", f"{name} {told}", "its id or name is used before")
            else:
                listed[number] = told
        names = tuple(classes) if classes is not None else tuple(listed[i] for i in sorted(listed))
        known = {name: i for i, name in enumerate(names)}
        return names, {number: known.get(name, name) for number, name in listed.items()}

    def _images(self, data: Any) -> _Builders:
        found: _Builders = {}
        files: set[str] = set()
        for name, entry in self._entries(data, "images", "image"):
            number, file, size = entry.get("id"), entry.get("file_name"), _size(entry)
            if not _is_id(number):
                self._wrong("wrong-type", name, "its id is no whole number", "a whole number", number)
                continue
            if number in found:
                self._wrong("doubled-id", name, "the id is used more than once")
                continue
            found[number] = None
            if not isinstance(file, str) or not is_below(file):
                expected = "a path below the folder of the images"
                self._wrong("file-name", name, "its file_name cannot be used", expected, file)
            elif file in files:
                self._wrong("doubled-file", name, "another image has the same file_name", "", file)
            elif size is None:
                expected = f"whole numbers above 0, at most {MAX_PIXELS:,} pixels"
                received = f"{entry.get('height')}, {entry.get('width')}"
                self._wrong("image-size", name, "its height and width cannot be used", expected, received)
            else:
                files.add(file)
                found[number] = ImageBuilder(self._path, file, size, self._problems)
        return found

    def _annotation(
        self, name: str, entry: dict[str, Any], builders: _Builders, index: dict[int, int | str]
    ) -> None:
        image, category, crowd = entry.get("image_id"), entry.get("category_id"), entry.get("iscrowd", 0)
        if not _is_id(image) or image not in builders:
            self._wrong("unknown-image", name, "it belongs to no image of the file", "", image)
        elif not _is_id(category) or category not in index:
            self._wrong("unknown-class", name, "its category_id is no category of the file", "", category)
        elif crowd not in (0, 1):
            self._wrong("wrong-type", name, "iscrowd is neither 0 nor 1", "0 or 1", crowd)
        elif isinstance(label := index[category], str):
            self._refused[label] += 1  # said once
        elif (builder := builders[image]) is not None:
            self._add(name, entry, builder, None if crowd else label)

    def _add(self, name: str, entry: dict[str, Any], builder: ImageBuilder, category: int | None) -> None:
        try:
            shape = self._shape(name, entry.get("segmentation"), builder.size)
            corners = _corners(entry.get("bbox"))
            score = _score(entry.get("score"))
        except LabelError as cause:
            received = "" if cause.received is None else cause.received
            self._wrong("annotation", name, cause.what, str(cause.expected or ""), received)
            return
        if shape is not None and not shape.area(builder.size):
            message = f"{name}: its segmentation has no area and is left out"
            self._problems.warning("shape-empty", self._path, message)
            shape = None
        if shape is not None and (corners is None or corners[0] == corners[2] or corners[1] == corners[3]):
            corners = shape.bounds(builder.size[0])
        if corners is not None:
            builder.add(name, corners, category, shape, score)
        elif not entry.get("segmentation"):
            self._wrong("annotation", name, "it has neither a box nor a segmentation", "bbox")

    def _shape(self, name: str, told: Any, size: tuple[int, int]) -> Shape | None:
        """The pixels of an object, None where not told. Raises LabelError."""
        if told is None or told == []:
            return None
        if isinstance(told, dict):
            return Shape(runs=_runs(told, size))
        if not isinstance(told, list):
            raise LabelError(
                "the segmentation cannot be read", expected="polygons or run lengths", received=told
            )
        rings = [_ring(one) for one in told]
        for ring in rings:
            if len(ring) < 3:
                message = f"{name}: a polygon of {len(ring)} points is left out"
                self._problems.warning("polygon-points", self._path, message, "at least 3 points")
        usable = tuple(ring for ring in rings if len(ring) >= 3)
        return Shape(usable) if usable else None

    def _wrong(self, code: str, name: str, message: str, expected: str = "", received: Any = "") -> None:
        text = "" if isinstance(received, str) and not received else str(received)[:80]
        self._problems.error(code, self._path, f"{name}: {message}", expected, text)


def _is_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    if not _is_id(height) or not _is_id(width) or min(height, width) < 1 or height * width > MAX_PIXELS:
        return None
    return height, width


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: Any, what: str) -> np.ndarray:
    """Finite float64 numbers. Raises LabelError."""
    if not isinstance(value, list) or not all(map(_is_number, value)):
        raise LabelError(f"{what} is no list of numbers", received=value)
    if not all(abs(x) <= _FARTHEST for x in value):  # false for NaN, too
        raise LabelError(f"{what} has a number beyond any image", received=value)
    return np.array(value, np.float64)


def _corners(box: Any) -> tuple[float, float, float, float] | None:
    """y0, x0, y1, x1 of a COCO box, None without one. Raises LabelError."""
    if box is None or box == []:
        return None
    numbers = _numbers(box, "the box").tolist()
    if len(numbers) != 4:
        raise LabelError("the box has not four numbers", expected="x, y, width, height", received=box)
    x, y, width, height = numbers
    return y, x, y + height, x + width


def _score(value: Any) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0 <= value <= 1:
        raise LabelError("the score cannot be used", expected="a number in 0..1", received=value)
    return float(value)


def _ring(told: Any) -> np.ndarray:
    """(n, 2) x, y of a polygon. Raises LabelError."""
    numbers = _numbers(told, "a polygon")
    if len(numbers) % 2:
        raise LabelError(
            "a polygon has an x without its y", expected="x, y, x, y ...", received=f"{len(numbers)} numbers"
        )
    return numbers.reshape(-1, 2)


def _runs(told: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Run lengths that fill an image of `size`. Raises LabelError."""
    if told.get("size") != list(size):
        raise LabelError(
            "the run lengths are of another size", expected=f"{list(size)}", received=told.get("size")
        )
    counts = told.get("counts")
    if isinstance(counts, str):
        runs = decompress_runs(counts, size)
    else:
        numbers = counts if isinstance(counts, list) else [None]
        if not all(_is_id(x) and 0 <= x <= MAX_PIXELS for x in numbers):
            raise LabelError("the run lengths are no whole numbers", received=counts)
        runs = np.array(numbers, np.int64)
    check_runs(runs, size)
    return runs
