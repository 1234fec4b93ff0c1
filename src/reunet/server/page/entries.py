"""The images of the list: where their pages lie, and their pixels."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.errors import DataError, TooLargeError
from reunet.io.header import ImageHeader
from reunet.io.images import read_channel_files, read_header
from reunet.io.lazy import LazyImage, is_array, lazy_header, open_lazily
from reunet.io.render import overlay_colors
from reunet.server.page.kept import Kept
from reunet.server.problems import RefusedError

WHOLE = 2**24
"""Pixels of a picture that is sent, predicted and corrected in one piece."""

PIXELS = Kept[np.ndarray](2**29, lambda array: array.nbytes)
"""Images that were read, (H, W, C) or (D, H, W, C)."""

Box = tuple[int, int, int, int]
"""Top, left, bottom and right edge in pixels."""


@dataclass(frozen=True)
class Place:
    """Where one page of an image lies. page: of its file; None for a file of one image, or a volume.
    case: its name in the dataset.
    """

    path: Path
    page: int | None = None
    channels: tuple[Path, ...] = ()
    case: str | None = None


@dataclass
class Entry:
    """An image, stack, volume or sequence of the list.

    name: for people. places: of its pages; one for a file whose pages are told by its header. split: of the
    dataset. labelled, corrected: whether the dataset has labels of it, and whether a person has mended them.
    """

    id: str
    name: str
    places: tuple[Place, ...]
    split: str | None = None
    labelled: bool = False
    corrected: bool = False
    case: str | None = field(default=None, repr=False)

    @cached_property
    def header(self) -> ImageHeader:
        """Of its first page. Raises ImageReadError."""
        path = self.places[0].path
        if is_array(path):
            return lazy_header(path, rank=2)
        try:
            return read_header(path)
        except TooLargeError:
            return lazy_header(path, rank=2)

    @property
    def is_volume(self) -> bool:
        return self.header.is_volume

    @property
    def is_lazy(self) -> bool:
        """Whether only parts of it are read."""
        path = self.places[0].path
        return is_array(path) or (prod(self.size) > WHOLE and path.suffix.lower() in (".tif", ".tiff"))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a page."""
        height, width = self.header.size[-2:]
        return height, width

    @property
    def pages(self) -> int:
        if self.is_volume:
            return self.header.size[0]
        return max(len(self.places), 1 if len(self.places) > 1 or self.is_lazy else self.header.pages)

    @property
    def is_cut(self) -> bool:
        """Whether it is shown as tiles, and predicted where one looks."""
        return prod(self.size) > WHOLE

    @property
    def pixel_um2(self) -> float | None:
        """Area of a pixel in square micrometres, where the file states it."""
        spacing = self.header.spacing
        return None if spacing is None or self.is_volume else float(prod(spacing))

    def place(self, page: int) -> Place:
        """Raises RefusedError for a page that it does not have."""
        if not 0 <= page < self.pages:
            raise RefusedError(
                404, "the image has no such page", expected=f"0 to {self.pages - 1}", received=page
            )
        if self.is_volume or self.is_lazy:
            return self.places[0]
        if len(self.places) > 1:
            return self.places[page]
        one = self.places[0]
        return Place(one.path, page if self.header.pages > 1 else one.page, one.channels, one.case)

    def volume(self) -> np.ndarray:
        """(D, H, W, C) of a volume."""
        return self._read(self.places[0])

    def pixels(self, page: int) -> np.ndarray:
        """(H, W, C) of a page, as it was read. Raises ImageReadError, DataError for one that is cut."""
        place = self.place(page)
        if self.is_lazy:
            if self.is_cut:
                raise DataError("the image is too large to be taken whole", where=self.name)
            return self.part(page, (0, 0, *self.size))
        pixels = self._read(place)
        return pixels[page] if self.is_volume else pixels

    def _read(self, place: Place) -> np.ndarray:
        key = (place.path, place.page, place.channels)
        files = (place.path, *place.channels)
        return PIXELS.get(key, lambda: read_channel_files(files, page=place.page)[1])

    def part(self, page: int, box: Box, step: int = 1) -> np.ndarray:
        """Every `step`-th pixel per axis of a part, (h, w, C); of a file that is read in parts a stretch of
        rows at a time.
        """
        y0, x0, y1, x1 = box
        if not self.is_lazy:
            return self.pixels(page)[y0:y1:step, x0:x1:step]
        with self.opened(page) as image:
            rows = max(1, WHOLE // max(1, (x1 - x0) * image.header.channels)) // step * step or step
            columns = slice(x0, x1)
            parts = [
                image.read((slice(y, min(y + rows, y1)), columns))[::step, ::step]
                for y in range(y0, y1, rows)
            ]
        return np.concatenate(parts)

    @contextmanager
    def opened(self, page: int) -> Iterator[LazyImage]:
        """The file of a page, to be read in parts."""
        with open_lazily(self.places[0].path, rank=2, page=page) as image:
            yield image

    def listed(self) -> dict[str, Any]:
        """What the list tells."""
        pages = len(self.places) if len(self.places) > 1 else self.__dict__.get("header") and self.pages
        return {
            "id": self.id, "name": self.name, "split": self.split, "pages": pages or 1,
            "truth": self.labelled, "corrected": self.corrected,
        }  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """All of it, for whoever looks at it. Raises ImageReadError."""
        height, width = self.size
        return {
            **self.listed(),
            "pages": self.pages,
            "height": height,
            "width": width,
            "tiles": self._tiles(),
        }

    def _tiles(self) -> dict[str, int] | None:
        return {"size": TILE, "levels": levels(self.size)} if self.is_cut else None


TILE = 512
"""Pixels per side of a tile."""


def levels(size: tuple[int, int]) -> int:
    """How many sizes of a picture there are, each half of the next; the first one is a single tile."""
    return max(0, (max(size) - 1).bit_length() - TILE.bit_length() + 1) + 1


def class_list(labels: LabelMap) -> list[dict[str, Any]]:
    """Names and colours, which are never grey, for the page."""
    colors = overlay_colors(labels)
    return [
        {"name": one.name, "color": list(color), "foreground": one.foreground}
        for one, color in zip(labels.classes, colors, strict=True)
    ]
