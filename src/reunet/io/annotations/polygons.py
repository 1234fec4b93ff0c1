"""Polygons to pixels and back; x and y count the edges of pixels, whose centres lie at .5.

A pixel is inside where its centre is, by the even-odd rule over all rings of a part of an object: a ring
within another is a hole. The rings of a mask run along the edges of its pixels, so that nothing is lost or
gained on the way there and back, and areas are those of the pixels. Outlines that meet themselves or cross
each other are filled as COCO's own tools fill them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reunet.io.annotations.crossings import Ring, ring_groups
from reunet.io.annotations.rle import outline_runs, run_pixels

_LONGEST = 1e7  # pixels along an outline, which COCO's tools follow step by step


def fill_rings(rings: Sequence[Ring], size: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
    """Where the rings lie in an image of `size` (height, width), and which pixels there are inside, bool.

    Rings that cross each other are one area, all that lies in one of them. Such areas and the other rings are
    holes in each other.
    """
    found = [[rings[i] for i in group] for group, entangled in ring_groups(rings) if entangled]
    groups = [group for group in found if sum(map(_length, group)) < _LONGEST]
    simple = [ring for ring in rings if not any(ring is one for group in groups for one in group)]
    points = np.concatenate(rings)
    margin = int(bool(groups))  # COCO's tools round points to fifths of a pixel
    low = np.clip(np.floor(points.min(axis=0)) - margin, 0, size[::-1]).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + margin, 0, size[::-1]).astype(int)
    (left, top), (width, height) = low, np.maximum(high - low, 0)
    inside = _even_odd(simple, low, (int(height), int(width)))
    for group in groups:
        rows, columns = run_pixels(outline_runs([ring.ravel().tolist() for ring in group], size), size[0])
        inside[rows - top, columns - left] ^= True
    return (slice(int(top), int(top + height)), slice(int(left), int(left + width))), inside


def _length(ring: Ring) -> float:
    return float(np.abs(ring - np.roll(ring, 1, axis=0)).sum())


def _even_odd(rings: Sequence[Ring], low: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(height, width) bool, which pixels are inside of an odd number of rings; `low` is x, y of the first.

    Each edge toggles what lies to the right of it in every row whose centre it crosses.
    """
    height, width = size
    toggles = np.zeros((height, width + 1), np.int32)
    if rings:
        start = np.concatenate(rings) - 0.5 - low  # now centres are at whole numbers
        end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings]) - 0.5 - low
        rows = np.clip(np.ceil(np.stack([start[:, 1], end[:, 1]])), 0, height).astype(int)
        first, count = rows.min(axis=0), np.abs(rows[1] - rows[0])
        edge = np.repeat(np.arange(len(start)), count)
        row = np.arange(len(edge)) + np.repeat(first - (np.cumsum(count) - count), count)
        (x, y), (dx, dy) = start[edge].T, (end - start)[edge].T
        column = np.clip(np.ceil(x + (row - y) * dx / dy), 0, width).astype(int)
        np.add.at(toggles, (row, column), 1)
    return np.asarray(np.cumsum(toggles[:, :width], axis=1) % 2 == 1)


def mask_rings(mask: np.ndarray, corner: tuple[int, int] = (0, 0)) -> list[list[NDArray[np.int64]]]:
    """The parts of a mask (h, w) bool, each as its outer ring and its holes, (n, 2) x, y along pixel edges.

    corner: row and column of the first pixel of the mask. Pixels that touch only at a corner are different
    parts, so that no ring meets itself (a valid polygon of the OGC's simple features).
    """
    import cv2

    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    shift = np.array(corner[::-1])
    return [[ring + shift for ring in _trace(parts == part)] for part in range(1, count)]


def _trace(mask: np.ndarray) -> list[NDArray[np.int64]]:
    """The outer ring and the holes of a mask of one part."""
    import cv2

    # In an image of twice the size, corners and edges of pixels are pixels of their own; its contours are
    # the edges, but for inner corners, which a contour of 8 neighbours cuts off.
    fine = np.zeros((2 * mask.shape[0] + 1, 2 * mask.shape[1] + 1), np.uint8)
    fine[1::2, 1::2] = mask
    fine = cv2.dilate(fine, np.ones((3, 3), np.uint8))
    contours, tree = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    order = np.argsort(tree[0, :, 3] >= 0, kind="stable")  # the outer one has no parent
    return [_corners(contours[i][:, 0].astype(np.int64)) for i in order]


def _corners(contour: NDArray[np.int64]) -> NDArray[np.int64]:
    """A contour of the fine image with its inner corners put back, and only corners kept."""
    following = np.roll(contour, -1, axis=0)
    cut = np.flatnonzero((contour != following).all(axis=1))
    # Of the two ways around a cut corner, the one over a corner of pixels, where both numbers are even.
    corner = np.stack([contour[cut, 0], following[cut, 1]], axis=1)
    other = np.stack([following[cut, 0], contour[cut, 1]], axis=1)
    corner = np.where((corner % 2 == 0).all(axis=1, keepdims=True), corner, other)
    path = np.insert(contour, cut + 1, corner, axis=0)
    path = path[(path % 2 == 0).all(axis=1)] // 2
    before, after = path - np.roll(path, 1, axis=0), np.roll(path, -1, axis=0) - path
    return path[(np.sign(before) != np.sign(after)).any(axis=1)]
