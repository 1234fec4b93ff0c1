"""Nikon's ND2 files, frame by frame; the positions of a stage are images of their own (nd2)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.errors import ImageReadError
from reunet.io.formats.planes import Place, distinct, of_planes
from reunet.io.formats.stored import StoredImage
from reunet.io.header import check_size
from reunet.slices import Slices

POSITION = "P"
_FRAME = "CYXS"
"""Axes of a frame, which the file stores in one piece."""


def names(path: Path) -> tuple[str, ...]:
    """Those of the positions."""
    with _opened(path) as file:
        count = file.sizes.get(POSITION, 1)
        if count == 1:
            return ("",)
        loops = (loop for loop in file.experiment if loop.type == "XYPosLoop")
        points = [point.name for loop in loops for point in loop.parameters.points]
        told = points if len(points) == count else [None] * count
        return distinct([name or f"position{number}" for number, name in enumerate(told)])


def describe(path: Path, name: str) -> StoredImage:
    """One position."""
    number = names(path).index(name)
    with _opened(path) as file:
        # An axis of length 1 is not named; without channels or colours a frame is (Y, X).
        sizes = {axis: side for axis, side in file.sizes.items() if axis != POSITION}
        check_size(path, sizes["Y"], sizes["X"])
        channels = file.metadata.channels if file.metadata else None
        size = file.voxel_size()
        return of_planes(
            path,
            sizes,
            np.dtype(file.dtype),
            partial(_read, path, number),
            spacing=(float(size.y), float(size.x)),
            channel_names=[one.channel.name or "" for one in channels or ()],
        )


def _read(path: Path, number: int, places: Sequence[Place], part: Slices) -> list[np.ndarray]:
    """All channels of a frame lie together."""
    with _opened(path) as file:
        loops = {axis: side for axis, side in file.sizes.items() if axis not in _FRAME}
        at = tuple((places[0] | {POSITION: number})[axis] for axis in loops)
        frame = _frame(path, file, int(np.ravel_multi_index(at, tuple(loops.values()))) if loops else 0)
        axes = [axis for axis in "CYXS" if axis in file.sizes]
        index = tuple(dict(zip("YX", part, strict=True)).get(axis, slice(None)) for axis in axes)
        pixels = np.array(frame[index])  # the file is mapped into memory only while it is open
        del frame
    return list(pixels) if "C" in axes else [pixels]


def _frame(path: Path, file: Any, index: int) -> np.ndarray:
    """A frame. One that is not whole would be zeros, which nobody has measured."""
    offsets = getattr(file._rdr, "_frame_offsets", None)
    raw = file.attributes.compressionType is None
    if offsets is not None:
        needed = file.attributes.heightPx * (file.attributes.widthBytes or 0) if raw else 1
        if index not in offsets or offsets[index] + needed > path.stat().st_size:
            raise ImageReadError(
                f"frame {index + 1} is missing", where=path, fix="copy or export the file again"
            )
    frame: np.ndarray = file.read_frame(index)
    return frame


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    nd2 = import_extra("nd2", "microscopy", path)
    with nd2.ND2File(path) as file:
        yield file
