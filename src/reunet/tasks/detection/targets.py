"""What the heads of a detector should give for the boxes of an image."""

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap
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
    corners = boxes.corners.astype(np.float64)
    for i in np.argsort(-boxes.areas, kind="stable"):
        top, left, bottom, right = corners[i].tolist()
        (y, down, height), (x, along, width) = _middle(top, bottom, size[0]), _middle(left, right, size[1])
        if not (len(y) and len(x)):
            continue
        peak = down[:, None] * along
        part = slice(int(y[0]), int(y[-1]) + 1), slice(int(x[0]), int(x[-1]) + 1)
        heat = centre[(*part, channel[int(boxes.classes[i])])]
        np.maximum(heat, peak, out=heat)
        spots = box[part]
        spots[..., 0], spots[..., 1] = _log(y - top)[:, None], _log(x - left)
        spots[..., 2], spots[..., 3] = _log(bottom - y)[:, None], _log(right - x)
        spots[..., 4] = peak / (height * width)
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


def _middle(low: float, high: float, length: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Along one axis, where a box is learned: the middles of the pixels that the map has of it, the Gaussian
    there, and its sum over all pixels, also those that the map does not have.

    The distance is counted from half a pixel on: the Gaussian is exactly 1 in the pixel that holds the middle
    of the box, or in both where it lies between two, so that mirrored boxes have mirrored maps.
    """
    middle, side = (low + high) / 2, high - low
    half = max(side * MIDDLE / 2, 0.5)
    pixels = np.arange(np.ceil(middle - half - 0.5), np.floor(middle + half - 0.5) + 1) + 0.5
    beyond = np.maximum(np.abs(pixels - middle) - 0.5, 0)
    bell = np.exp(-0.5 * (beyond / (side * MIDDLE / 6)) ** 2)
    inside = (pixels > 0) & (pixels < length)
    return pixels[inside], bell[inside], float(bell.sum())


def _log(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(distance, NEAREST) / UNIT)
