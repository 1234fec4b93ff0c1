"""COCO JSON: boxes, polygons and run lengths of many images in one file.

Format: https://cocodataset.org/#format-data. Boxes are x, y, width, height. All that lies in
one of the polygons of an object belongs to it: none is a hole. A crowd (`iscrowd`) is an area where objects
are unknown.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings
from reunet.errors import DataError, LabelError
from reunet.io.annotations.agreement import Agreement
from reunet.io.annotations.annotated_image import Annotations, ImageBuilder, Shape, too_many
from reunet.io.annotations.coco_fields import (
    Id,
    corners_of,
    identity,
    image_size,
    is_unknown,
    score_of,
    shape_of,
)
from reunet.io.annotations.files import NamedImages, is_below, size_of
from reunet.storage import read_json

_Builders = dict[Id, ImageBuilder | None]  # None: an image that cannot be used


def read_coco(
    path: Path, folders: Sequence[Path], problems: Findings, classes: Sequence[str] | None = None
) -> Annotations:
    """The objects of all images that a COCO file lists, without its unusable annotations.

    folders: where the image files lie, each named from the first that has it; none when they need not be
    there. An image whose size is not told has that of its file. classes: names that class indices stand for;
    else the categories of the file by id. Categories are matched by name, as ids may differ between files.
    Adds an error for: a file that is no COCO JSON, entries of a wrong type, ids that are doubled or not
    listed, images without file, boxes outside or reversed, boxes that are x0, y0, x1, y1, run lengths that do
    not fill the image. Adds a warning for what is left out or changed: boxes without area, polygons of less
    than three points, boxes that reach out of the image, doubled annotation ids, files that are not listed;
    for boxes that contradict outlines or areas, and for areas that take polygons for holes.
    """
    found: list[Annotations] = []
    with problems.noting("annotations-unreadable", path, "the file is"):
        data = read_json(path, DataError)
        found.append(_Reader(path, problems, NamedImages(folders)).read(data, classes))
    return found[0] if found else Annotations(tuple(classes or ()), ())


class _Reader:
    """One COCO file on its way to arrays."""

    def __init__(self, path: Path, problems: Findings, named: NamedImages) -> None:
        self._path, self._problems, self._named = path, problems, named
        self._files: dict[str, Path | None] = {}
        self._builders: _Builders = {}
        self._agreement = Agreement(path, problems)
        self._refused: Counter[str] = Counter()
        self._nameless = 0

    def read(self, data: Any, classes: Sequence[str] | None) -> Annotations:
        for name, entry in self._entries(data, "images", "image"):
            with self._noting("wrong-type", name):
                self._image(name, entry)
        names, index = self._categories(data, classes)
        if too_many(names, self._path, self._problems):
            return Annotations(names, ())
        seen: set[Id] = set()
        for name, entry in self._entries(data, "annotations", "annotation"):
            with self._noting("annotation", name):
                self._number(name, entry.get("id"), seen)
                self._annotation(name, entry, index)
        self._summary(names)
        images = [builder.build() for builder in self._builders.values() if builder is not None]
        return Annotations.of(names, images)

    def _summary(self, names: Sequence[str]) -> None:
        """What is said once of a file."""
        for category, count in self._refused.items():
            message = f"{count} annotations are of a category that is not in the class list"
            expected = ", ".join(names)
            self._problems.error("unknown-class", self._path, message, expected, category)
        if self._nameless:
            message = f"{self._nameless} annotations have no category_id and are taken for the only class"
            self._problems.warning("unknown-class", self._path, message, "category_id")
        self._agreement.tell()
        self._named.match(self._path, self._files.items(), self._problems)

    def _noting(self, code: str, name: str) -> AbstractContextManager[None]:
        return self._problems.noting(code, self._path, f"{name} is")

    def _entries(self, data: Any, table: str, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The objects in a list of the file, each after its name in messages, such as "image 7"."""
        entries = data.get(table) if isinstance(data, dict) else None
        if not isinstance(entries, list):
            message = f"the file is no COCO JSON: it has no list {table!r}"
            self._problems.error("not-coco", self._path, message, "images, annotations, categories")
            return
        for position, entry in enumerate(entries):
            name = f"{what} number {position + 1}"
            if isinstance(entry, dict):
                number = identity(entry.get("id"))
                yield name if number is None else f"{what} {str(number)[:40]}", entry
            else:
                self._wrong("wrong-type", name, "not an object", "{...}", type(entry).__name__)

    def _number(self, name: str, told: Any, seen: set[Id]) -> None:
        number = identity(told)
        if number is None and told is not None:
            self._wrong("wrong-type", name, "its id is no whole number", "a whole number", told)
        elif number in seen:
            self._problems.warning("doubled-id", self._path, f"{name}: the id is used more than once")
        elif number is not None:
            seen.add(number)

    def _categories(
        self, data: Any, classes: Sequence[str] | None
    ) -> tuple[tuple[str, ...], dict[Id, int | str]]:
        """Class names, and the class index of each category id, its name where that is not in the list."""
        listed: dict[Id, str] = {}
        for name, entry in self._entries(data, "categories", "category"):
            number, told = identity(entry.get("id")), entry.get("name")
            if number is None or not isinstance(told, str) or not told:
                self._wrong("wrong-type", name, "it needs an id and a name", "id, name", entry)
                continue
            if listed.get(number, told) != told:
                self._wrong(
                    "doubled-id", f"{name} {told}", "its id is used before", "another id", listed[number]
                )
            elif told in listed.values():
                message = f"{name} {told}: its name is used before, and both are one class"
                self._problems.warning("doubled-id", self._path, message)
            listed.setdefault(number, told)
        order = sorted(listed, key=lambda number: (isinstance(number, str), number))
        names = dict.fromkeys(classes if classes is not None else (listed[number] for number in order))
        known = {name: i for i, name in enumerate(names)}
        return tuple(names), {number: known.get(name, name) for number, name in listed.items()}

    def _image(self, name: str, entry: dict[str, Any]) -> None:
        number, told = identity(entry.get("id")), entry.get("file_name")
        if number is None:
            self._wrong("wrong-type", name, "its id is no whole number", "a whole number", entry.get("id"))
        elif number in self._builders:
            self._wrong("doubled-id", name, "the id is used more than once")
        else:
            self._builders[number] = None
            if not isinstance(told, str) or not is_below(told):
                expected = "a path below the folder of the images"
                self._wrong("file-name", name, "its file_name cannot be used", expected, told)
                return
            file, path = self._named.find(told)
            if file in self._files:
                self._wrong("doubled-file", name, "another image has the same file_name", "", file)
                return
            self._files[file] = path
            try:
                size = image_size(entry) or size_of(path)
            except DataError as cause:
                self._wrong("image-size", name, cause.what, cause.expected or "", cause.received or "")
                return
            if size is not None:
                self._builders[number] = ImageBuilder(self._path, file, size, self._problems)

    def _annotation(self, name: str, entry: dict[str, Any], index: dict[Id, int | str]) -> None:
        image, told = identity(entry.get("image_id")), entry.get("category_id")
        category = identity(told)
        if told is None and len(set(index.values())) == 1:
            category, self._nameless = next(iter(index)), self._nameless + 1
        if image is None or image not in self._builders:
            self._wrong(
                "unknown-image", name, "it belongs to no image of the file", "", entry.get("image_id")
            )
        elif category is None or category not in index:
            self._wrong("unknown-class", name, "its category_id is no category of the file", "", told)
        elif isinstance(label := index[category], str):
            self._refused[label] += 1  # said once
        elif (builder := self._builders[image]) is not None:
            try:
                self._add(name, entry, builder, label)
            except LabelError as cause:
                self._wrong("annotation", name, cause.what, cause.expected or "", cause.received or "")

    def _add(self, name: str, entry: dict[str, Any], builder: ImageBuilder, label: int) -> None:
        """Add an object to its image. Raises LabelError."""
        shape = self._shape(name, entry.get("segmentation"), builder.size)
        if shape is not None:
            self._agreement.add_rings(f"{builder.file}, {name}", shape, builder.size, entry.get("area"))
        corners, score = corners_of(entry.get("bbox")), score_of(entry.get("score"))
        category = None if is_unknown(entry) else label
        if shape is not None and (corners is None or corners[0] == corners[2] or corners[1] == corners[3]):
            corners = shape.bounds(builder.size[0])
        elif corners is not None and category is not None:
            self._agreement.add(f"{builder.file}, {name}", corners, builder.size, shape, entry.get("area"))
        if corners is not None:
            builder.add(name, corners, category, shape, score)
        elif not entry.get("segmentation"):
            self._wrong("annotation", name, "it has neither a box nor a segmentation", "bbox")

    def _shape(self, name: str, told: Any, size: tuple[int, int]) -> Shape | None:
        """The pixels of an object, None where not told. Raises LabelError."""
        shape, left_out = shape_of(told, size)
        for points in left_out:
            message = f"{name}: a polygon of {points} points is left out"
            self._problems.warning("polygon-points", self._path, message, "at least 3 points")
        if shape is not None and not shape.area(size):
            message = f"{name}: its segmentation has no area and is left out"
            self._problems.warning("shape-empty", self._path, message)
            return None
        return shape

    def _wrong(self, code: str, name: str, message: str, expected: Any = "", received: Any = "") -> None:
        text = "" if isinstance(received, str) and not received else str(received)[:80]
        self._problems.error(code, self._path, f"{name}: {message}", str(expected), text)
