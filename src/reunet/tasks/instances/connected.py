"""Pieces of instance maps: connected parts, and boxes around them."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from reunet.slices import Slices

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


def boxes(parts: np.ndarray) -> Iterator[tuple[int, Slices]]:
    """Number and bounding box of each object that is there."""
    from scipy import ndimage

    for number, box in enumerate(ndimage.find_objects(parts), 1):
        if box is not None:
            yield number, box
