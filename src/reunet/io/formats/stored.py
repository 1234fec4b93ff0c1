"""What the room of a format gives: an image that is described and not open."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from reunet.io.header import ImageHeader
from reunet.slices import Slices


@dataclass(frozen=True)
class StoredImage:
    """An image, a stack of equal pages or a volume, as a file stores it. No file is open.

    header: as of other images; `axes` names those of the file, and all but Y, X and C count pages, in the
    order of `page_places`. chunk: pixels per axis of `header.size` that are decoded in one piece.
    read: a page, from 0, and a part of it to pixels (*part, C) in the sample type of the header, from any
    thread. It opens what it needs and decodes no more than the part's pieces.
    """

    header: ImageHeader
    chunk: tuple[int, ...]
    read: Callable[[int, Slices], np.ndarray]


class Room(Protocol):
    """The module of a format. Whatever its functions raise becomes an ImageReadError; an error of reunet's,
    such as BackendError of `import_extra`, goes through as it is.
    """

    def names(self, path: Path) -> tuple[str, ...]:
        """The images of a file (scenes, series, wells) by names that can name files; of one, any name."""

    def describe(self, path: Path, name: str) -> StoredImage:
        """One of them, by its name. Nothing is decoded; sizes are checked by the caller."""
