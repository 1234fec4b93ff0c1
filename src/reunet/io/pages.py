"""Stacks of pages, written without all of them in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reunet.slices import Slices
from reunet.storage import atomic_path


def write_pages(
    path: Path, stack: np.ndarray, values: Callable[[np.ndarray], np.ndarray], dtype: np.dtype, **tags: Any
) -> None:
    """Write (H, W) or (N, H, W) atomically as one compressed TIFF, each page as `values` makes it of `dtype`.

    tags: of tifffile, such as the colours of a palette; grey without any. Raises StorageError, and what
    `values` raises.
    """
    import tifffile

    tags = {"photometric": "minisblack", "compression": "zlib", "metadata": None, **tags}
    tags["bigtiff"] = stack.size * dtype.itemsize > 2**31
    with atomic_path(path) as temporary:
        pages = map(values, stack if stack.ndim == 3 else stack[None])
        tifffile.imwrite(temporary, pages, shape=stack.shape, dtype=dtype, **tags)


class Spool:
    """Pages of one shape and dtype on disk until all are there, so that their number takes no memory."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._count, self._shape, self._dtype = 0, (), np.dtype(np.uint8)

    def add(self, page: np.ndarray) -> None:
        """The next page. Raises OSError."""
        self._shape, self._dtype = page.shape, page.dtype
        self._count += 1
        with open(self._file, "ab") as file:
            file.write(page.tobytes())

    def pages(self) -> np.ndarray | None:
        """All pages, (N, *page), read as they are used; None without any."""
        if not self._count:
            return None
        return np.memmap(self._file, self._dtype, "r", shape=(self._count, *self._shape))


def write_maps(path: Path, values: np.ndarray) -> None:
    """Write (*space, channels) float32 atomically; the channels come before rows and columns."""
    import tifffile

    stored = np.ascontiguousarray(np.moveaxis(values, -1, -3), np.float32)
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, stored, metadata=_axes(stored.ndim), photometric="minisblack")


def create_maps(path: Path, size: tuple[int, ...], channels: int) -> None:
    """A file for an image of `size` (*space), all zero; it is as large as it will be."""
    import tifffile

    shape = (*size[:-2], channels, *size[-2:])
    told: dict[str, Any] = {"metadata": _axes(len(shape)), "photometric": "minisblack"}
    tifffile.memmap(path, shape=shape, dtype=np.float32, **told)


def write_part(path: Path, part: Slices, values: np.ndarray) -> None:
    """Write a part, (*part, channels), into such a file; nothing of it stays in memory."""
    import tifffile

    np.moveaxis(tifffile.memmap(path, mode="r+"), -3, -1)[part] = values


def _axes(count: int) -> dict[str, str]:
    return {"axes": "ZCYX"[-count:]}
