"""What a file tells of one image, whichever program wrote it: outlines and boxes with names of classes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings, some_of, understood
from reunet.contracts.labels import BACKGROUND_NAMES
from reunet.errors import ReunetError
from reunet.io.annotations.annotated_image import AnnotatedImage, ImageBuilder, Shape, shaped_alike, too_many

NAMELESS = "object"
"""The class of objects where a program knows none."""

Corners = tuple[float, float, float, float]

MOST_BYTES = 1 << 30
"""Of a file that tells objects; images may lie in it."""


@dataclass(frozen=True)
class Entry:
    """An object. name: says which, for messages. label: the name of its class; None where none is told.

    corners: y0, x0, y1, x1. shape: its pixels where they are told. unknown: it is an area where objects are
    not told. number: the id that it had before, if any.
    """

    name: str
    label: str | None
    corners: Corners
    shape: Shape | None
    unknown: bool
    number: int | None


class Sheet:
    """Collects what the file `source` tells of an image of `size` (height, width).

    image: the file of the image. by: who drew it, where the file says so. named: what the file calls the
    image, where it is not found by that.
    """

    def __init__(
        self, source: Path, image: Path, size: tuple[int, int], problems: Findings, by: str = ""
    ) -> None:
        self.source, self.image, self.size, self.problems, self.by = source, image, size, problems, by
        self.entries: list[Entry] = []
        self.named = ""

    @contextmanager
    def about(self, name: str) -> Iterator[None]:
        """Add an error about the object `name` for whatever is raised."""
        try:
            with understood("it is", self.source):
                yield
        except ReunetError as cause:
            details = ("" if one is None else str(one) for one in (cause.expected, cause.received, cause.fix))
            self.problems.error("annotation", self.source, f"{name}: {cause.what}", *details)

    def add(
        self,
        name: str,
        label: str | None,
        told: Shape | Corners,
        *,
        unknown: bool = False,
        number: int | None = None,
    ) -> None:
        """Add an object, told as its pixels or as a box. A shape without area is left out with a warning, one
        whose points are not finite with an error.
        """
        points = told.rings if isinstance(told, Shape) else (told,)
        if not all(np.isfinite(one).all() for one in points):
            message, fix = f"{name}: its points are no finite numbers", "draw it again, or delete it"
            self.problems.error("annotation", self.source, message, "finite numbers", "", fix)
        elif not isinstance(told, Shape):
            self.entries.append(Entry(name, label, told, None, unknown, number))
        elif told.area(self.size):
            corners = told.bounds(self.size[0])
            self.entries.append(Entry(name, label, corners, told, unknown, number))
        else:
            message = f"{name}: the outline has no area and is left out"
            self.problems.warning("shape-empty", self.source, message)


@dataclass(frozen=True)
class Sheets:
    """All that files tell. classes: their names in order, where the files list them."""

    sheets: Sequence[Sheet]
    classes: Sequence[str] | None = None


def labels_of(sheets: Iterable[Sheet]) -> list[str]:
    """The classes that occur, sorted."""
    return sorted({one.label for sheet in sheets for one in sheet.entries if one.label})


def together(
    told: Sheets, problems: Findings, classes: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[tuple[Path, str], AnnotatedImage]]:
    """The names of the classes, and by the file of each image, and by who drew them, its objects.

    classes: names that class indices stand for; else those that the files list, or all that occur. An object
    whose class is not told is of the only one. Adds an error for classes that are not listed.
    """
    names = list(dict.fromkeys(classes or told.classes or labels_of(told.sheets)))
    if not names and any(sheet.entries for sheet in told.sheets):
        names = [NAMELESS]
    if told.sheets and too_many(names, told.sheets[0].source, problems):
        return tuple(names), {}
    index: dict[str | None, int] = {name: i for i, name in enumerate(names)}
    alone = [i for i, name in enumerate(names) if name.lower() not in BACKGROUND_NAMES]
    if len(alone) == 1:
        index[None] = alone[0]
    images: dict[tuple[Path, str], AnnotatedImage] = {}
    for sheet in told.sheets:
        where, key = problems.name(sheet.image), (sheet.image.absolute(), sheet.by)
        image = _image(sheet, where, index, names, problems)
        if images.setdefault(key, image).content() != image.content():
            message = f"{where} is told of more than once, and each time otherwise"
            received = f"{len(images[key].boxes)} and {len(image.boxes)} objects"
            fix = "keep one of the entries, or tell the images apart by their folders"
            problems.error("doubled-file", sheet.source, message, "one entry of an image", received, fix)
    return tuple(names), shaped_alike(images)


def _image(
    sheet: Sheet, where: str, index: dict[str | None, int], names: Sequence[str], problems: Findings
) -> AnnotatedImage:
    image = ImageBuilder(sheet.source, where, sheet.size, problems)
    refused: Counter[str] = Counter()
    for one in sheet.entries:
        if one.unknown:
            image.add(one.name, one.corners, None, one.shape)
        elif one.label in index:
            image.add(one.name, one.corners, index[one.label], one.shape)
        else:
            refused[one.label or "no class"] += 1
    for label, count in refused.items():
        message = f"{count} object(s) are of a class that is not in the class list"
        problems.error("unknown-class", sheet.source, message, some_of(names), label[:80])
    return image.build()
