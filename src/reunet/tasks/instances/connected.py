"""Pieces of instance maps: connected parts, boxes around them, blocks of large arrays."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, ...]

CHUNK = 2**22
"""Pixels looked up or counted at a time, as NumPy does both in 64 bits."""


def connected_parts(objects: np.ndarray) -> NDArray[np.int32]:
    """Number the connected parts of all objects 1..n: (*space) int32; an object in several pieces becomes
    several parts. Pixels that meet at a corner (voxels: at an edge) are connected: thin diagonals hold.
    """
    from skimage.measure import label

    return np.asarray(label(objects, background=0, connectivity=2), np.int32)


def components(mask: np.ndarray) -> NDArray[np.int32]:
    """Connected components of a bool array (*space), as `connected_parts` sees them: numbers 1..n."""
    if mask.ndim == 2:
        return np.asarray(cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)[1])
    return connected_parts(mask)


def boxes(parts: np.ndarray) -> Iterator[tuple[int, Box]]:
    """Number and bounding box of each object that is there."""
    from scipy import ndimage

    for number, box in enumerate(ndimage.find_objects(parts), 1):
        if box is not None:
            yield number, box


def blocks(shape: tuple[int, ...], side: int, halo: int) -> Iterator[tuple[Box, Box, Box]]:
    """Cover an array by blocks: for each its own pixels, those with a halo, and its own within the latter."""
    for start in product(*(range(0, length, side) for length in shape)):
        spans = [(s, min(s + side, n), max(s - halo, 0), n) for s, n in zip(start, shape, strict=True)]
        own = tuple(slice(low, high) for low, high, _, _ in spans)
        wide = tuple(slice(first, min(high + halo, n)) for _, high, first, n in spans)
        yield own, wide, tuple(slice(low - first, high - first) for low, high, first, _ in spans)
