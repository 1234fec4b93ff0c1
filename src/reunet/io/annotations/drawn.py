"""Outlines that a person drew or mended in another program, as the objects of one image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings, understood
from reunet.errors import ReunetError
from reunet.io.annotations.annotated_image import Annotations, ImageBuilder, ObjectMap, Shape

_MOST_NUMBER = 2**24
"""Above it a number in a name is no id: a date, or the name of a slide."""


class DrawnObjects:
    """Collects the outlines that `path` tells of an image of `size` (height, width)."""

    def __init__(self, path: Path, size: tuple[int, int], problems: Findings) -> None:
        self.path, self.problems, self._size = path, problems, size
        self._image = ImageBuilder(path, path.name, size, problems)
        self._numbers: dict[int, int | None] = {}

    @contextmanager
    def about(self, name: str) -> Iterator[None]:
        """Add an error about the outline `name` for whatever is raised."""
        try:
            with understood("it is", self.path):
                yield
        except ReunetError as cause:
            details = (cause.expected, cause.received, cause.fix)
            told = ("" if one is None else str(one) for one in details)
            self.problems.error("annotation", self.path, f"{name}: {cause.what}", *told)

    def add(self, name: str, shape: Shape, category: int, number: int | None) -> None:
        """Add an outline; `name` says which, for messages. number: the id that it had before, if any.

        One without a pixel is left out with a warning; one outside of the image is an error, since it was
        drawn on another image.
        """
        if not shape.area(self._size):
            message = f"{name}: the outline has no area and is left out"
            self.problems.warning("shape-empty", self.path, message)
            return
        self._image.add(name, shape.bounds(self._size[0]), category, shape)
        self._numbers[id(shape)] = number

    def objects(self) -> ObjectMap:
        """The objects under the ids they had where each has one of its own, else from 1.

        Where outlines overlap, the smaller one lies on top.
        """
        image = self._image.build()
        shaped = Annotations.of((), (image,)).images[0]
        found = shaped.objects()
        if found is None:
            return ObjectMap(np.zeros(self._size, np.int32), np.zeros(1, np.uint8), None)
        told = [self._numbers[id(shape)] for shape in image.shapes]
        numbers = [one for one in told if one is not None and 0 < one <= _MOST_NUMBER]
        if len(set(numbers)) < len(told):
            return found
        table = np.array([0, *numbers], np.int32)
        classes = np.zeros(table.max() + 1, np.uint8)
        classes[table] = found.classes
        return ObjectMap(table[found.ids], classes, found.known)


def number_in(name: object) -> int | None:
    """The whole number that a name is; None for any other."""
    text = str(name).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def category_of(name: str | None, classes: dict[str, int]) -> int | None:
    """The class index of an outline: by its name, or the only one where it has none; else None."""
    if name is None:
        return next(iter(classes.values())) if len(classes) == 1 else None
    return classes.get(name)
