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


def components(mask: np.ndarray) -> tuple[NDArray[np.int32], int]:
    """Connected components of a bool array (*space), as `connected_parts` sees them: numbers 1..n and n."""
    if mask.ndim == 2:
        count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
        return labels, count - 1
    from scipy import ndimage

    labels = np.empty(mask.shape, np.int32)
    return labels, ndimage.label(mask, ndimage.generate_binary_structure(3, 2), output=labels)


def dense(instances: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Renumber ids up to `count` in place so that those in use are 1..n."""
    used = np.zeros(count + 1, bool)
    for row in instances:
        used[row.ravel()] = True
    used[0] = False
    if not used[1:].all():
        table = np.cumsum(used, dtype=np.int32) * used
        for row in instances:
            row[...] = table[row]
    return instances


def boxes(parts: np.ndarray, margin: int = 0) -> Iterator[tuple[int, Box]]:
    """Number and bounding box, grown by `margin` pixels inside the array, of each object that is there."""
    from scipy import ndimage

    for number, box in enumerate(ndimage.find_objects(parts), 1):
        if box is not None:
            sides = zip(box, parts.shape, strict=True)
            yield number, tuple(slice(max(s.start - margin, 0), min(s.stop + margin, n)) for s, n in sides)


def blocks(shape: tuple[int, ...], side: int, halo: int) -> Iterator[tuple[Box, Box, Box]]:
    """Cover an array by blocks: for each its own pixels, those with a halo, and its own within the latter."""
    for start in product(*(range(0, length, side) for length in shape)):
        spans = [(s, min(s + side, n), max(s - halo, 0), n) for s, n in zip(start, shape, strict=True)]
        own = tuple(slice(low, high) for low, high, _, _ in spans)
        wide = tuple(slice(first, min(high + halo, n)) for _, high, first, n in spans)
        yield own, wide, tuple(slice(low - first, high - first) for low, high, first, _ in spans)
