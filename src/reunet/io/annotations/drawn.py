"""Outlines that a person drew or mended in another program, as the objects of one image."""

from collections.abc import Mapping

import numpy as np

from reunet.contracts.findings import some_of
from reunet.io.annotations.annotated_image import Annotations, ImageBuilder, ObjectMap
from reunet.io.annotations.sheet import Sheet

_MOST_NUMBER = 2**24
"""Above it a number in a name is no id: a date, or the name of a slide."""


def object_map(sheet: Sheet, classes: Mapping[str, int]) -> ObjectMap:
    """The objects of a sheet, under the ids they had where each has one of its own, else from 1.

    classes: class indices by name; an object whose class is not told is of the only one. Where outlines
    overlap, the smaller one lies on top. Adds an error for unknown classes and for outlines that lie outside
    of the image, since they were drawn on another one.
    """
    image = ImageBuilder(sheet.source, sheet.source.name, sheet.size, sheet.problems)
    numbers: dict[int, int | None] = {}
    for one in sheet.entries:
        category = None if one.unknown else category_of(one.label, classes)
        if one.unknown:
            image.add(one.name, one.corners, None, one.shape)
        elif category is None:
            message = f"{one.name}: its class is none of the dataset"
            received = (one.label or "no classification")[:80]
            sheet.problems.error("unknown-class", sheet.source, message, some_of(list(classes)), received)
        elif one.shape is not None:
            image.add(one.name, one.corners, category, one.shape)
            numbers[id(one.shape)] = one.number
    built = image.build()
    found = Annotations.of((), (built,)).images[0].objects()
    if found is None:
        return ObjectMap(np.zeros(sheet.size, np.int32), np.zeros(1, np.uint8), None)
    told = [numbers[id(shape)] for shape in built.shapes]
    known = [one for one in told if one is not None and 0 < one <= _MOST_NUMBER]
    if len(set(known)) < len(told):
        return found
    table = np.array([0, *known], np.int32)
    moved = np.zeros(table.max() + 1, np.uint8)
    moved[table] = found.classes
    return ObjectMap(table[found.ids], moved, found.known)


def number_in(name: object) -> int | None:
    """The whole number that a name is; None for any other."""
    text = str(name).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def category_of(name: str | None, classes: Mapping[str, int]) -> int | None:
    """The class index of an outline: by its name, or the only one where it has none; else None."""
    if name is None:
        return next(iter(classes.values())) if len(classes) == 1 else None
    return classes.get(name)
