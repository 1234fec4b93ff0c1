"""What the heads of a detector should give for the boxes of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import LabelMap
from reunet.contracts.objects import Boxes
from reunet.errors import LabelError

CENTRE, BOX = "centre", "box"
"""Names of the heads."""

UNIT = 16.0
"""Distances are learned as log(distance / UNIT): 0 for the half side of an object of 32 pixels."""

MIDDLE = 0.54
"""The part of each side of a box in which its distances are learned; a sixth of it is the sigma of the peak
(alpha in TTFNet, equations 1 and 2).
"""

NEAREST = 0.1
"""Distances are at least this, in pixels: a box can be smaller than the pixel that holds its centre."""


def targets(
    boxes: Boxes, size: tuple[int, int], labels: LabelMap, known: NDArray[np.bool_] | None = None
) -> dict[str, NDArray[np.float32]]:
    """The maps to learn, by name of the head.

    centre: (H, W, foreground classes), 1 in the pixel that holds the centre of an object and falling off
    around it as a Gaussian with sigmas in proportion to the sides; nan where not known.
    box: (H, W, 5), log(distance / UNIT) from the middle of the pixel to the top, left, bottom and right
    side, then the weight of the pixel: a Gaussian in the middle of the box, with sum 1 per object; 0 where
    nothing is learned. Where two overlap, the smaller one counts.

    boxes: in pixels of the map, whole: what reaches beyond the map is not cut off, so that the maps of a
    patch are the patch of the maps, and tiles agree where they overlap. An object whose centre lies outside
    gives only what reaches in.
    known: (H, W) False where objects may have no box, such as beyond the edge of an image.
    Raises LabelError for boxes that are empty or not finite, and for classes that are not foreground.
    """
    check(boxes, labels)
    centre = np.zeros((*size, len(labels.foreground)), np.float32)
    box = np.zeros((*size, 5), np.float32)
    channel = {index: k for k, index in enumerate(labels.foreground)}
    sides = boxes.corners[:, 2:].astype(np.float64) - boxes.corners[:, :2]
    for i in np.argsort(-sides.prod(axis=1), kind="stable"):
        corners = boxes.corners[i].astype(np.float64)
        middle, sigma = (corners[:2] + corners[2:]) / 2, sides[i] * MIDDLE / 6
        rows, columns = (_reach(middle[a], sides[i, a], size[a]) for a in (0, 1))
        y, x = (np.arange(part.start, part.stop) + 0.5 for part in (rows, columns))
        peak = np.outer(_bell(y - middle[0], sigma[0]), _bell(x - middle[1], sigma[1]))
        if peak.size == 0:
            continue
        heat = centre[rows, columns, channel[int(boxes.classes[i])]]
        np.maximum(heat, peak, out=heat)
        spots = box[rows, columns]
        spots[..., 0], spots[..., 1] = _log(y - corners[0])[:, None], _log(x - corners[1])
        spots[..., 2], spots[..., 3] = _log(corners[2] - y)[:, None], _log(corners[3] - x)
        spots[..., 4] = peak / _total(middle, sides[i], sigma)
    if known is not None:
        centre[~known], box[~known] = np.nan, 0
    return {CENTRE: centre, BOX: box}


def check(boxes: Boxes, labels: LabelMap, where: object = "boxes") -> None:
    """Raise LabelError unless every box has an area and a foreground class."""
    corners = boxes.corners
    bad = ~np.isfinite(corners).all(axis=1) | (corners[:, 2:] <= corners[:, :2]).any(axis=1)
    if bad.any():
        raise LabelError(
            "a box without an area",
            where=where,
            expected="y0 < y1 and x0 < x1, all finite",
            received=f"{corners[bad][0].tolist()} and {int(bad.sum()) - 1} more",
            fix="remove it from the labels",
        )
    unknown = sorted(set(boxes.classes.tolist()) - set(labels.foreground))
    if unknown:
        raise LabelError(
            "a box of a class that is not to be detected",
            where=where,
            expected=f"one of {', '.join(labels.names[i] for i in labels.foreground)}",
            received=f"class indices {unknown}",
        )


def _reach(middle: float, side: float, length: int) -> slice:
    """The pixels along an axis in which a box is learned: at least the one that holds its middle."""
    half = max(side * MIDDLE / 2, 0.5)
    low, high = int(np.ceil(middle - half - 0.5)), int(np.floor(middle + half - 0.5)) + 1
    return slice(min(max(low, 0), length), min(max(high, 0), length))


def _bell(distance: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """exp(-d^2 / 2 sigma^2) with d counted from half a pixel on: exactly 1 in the pixel with the middle, or
    in both where the middle is between two, so that mirrored boxes have mirrored maps.
    """
    beyond = np.maximum(np.abs(distance) - 0.5, 0)
    return np.exp(-0.5 * (beyond / sigma) ** 2)


def _total(middle: NDArray[np.float64], sides: NDArray[np.float64], sigma: NDArray[np.float64]) -> float:
    """Sum of the peak over all its pixels, also those outside the map."""
    total = 1.0
    for m, side, s in zip(middle % 1, sides, sigma, strict=True):
        half = int(side) + 1
        part = _reach(m + half, side, 2 * half + 1)
        total *= float(_bell(np.arange(part.start, part.stop) + 0.5 - m - half, s).sum())
    return total


def _log(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(distance, NEAREST) / UNIT)
