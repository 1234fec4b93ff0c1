"""A volume as a picture: one slice along each axis, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.results import Prediction

LARGEST_WIDTH = 640
"""Pixels to which a picture of small slices is enlarged, at most."""

MOST_REPEATS = 12


@dataclass(frozen=True)
class Planes:
    """Which slices of a volume are shown.

    at: index along each axis (depth, height, width). repeat: how often a pixel is repeated per axis, so
    that a millimetre is as long in every direction.
    """

    at: tuple[int, ...]
    repeat: tuple[int, ...]


def telling_planes(shown: np.ndarray, spacing: Sequence[float] | None) -> Planes:
    """Per axis the slice with most of `shown` (D, H, W) bool, the middle one where there is nothing."""
    at = []
    for axis, length in enumerate(shown.shape):
        profile = shown.sum(axis=tuple(other for other in range(3) if other != axis))
        at.append(int(profile.argmax()) if profile.any() else length // 2)
    return Planes(tuple(at), _repeats(shown.shape, spacing))


def voxels_across(picture: np.ndarray, size: Sequence[int], spacing: Sequence[float] | None) -> float:
    """How many voxels of the last axis a picture (h, w, ...) of such slices of a volume is wide."""
    return picture.shape[1] / _repeats(size, spacing)[2]


def _repeats(size: Sequence[int], spacing: Sequence[float] | None) -> tuple[int, ...]:
    sides = spacing or (1.0, 1.0, 1.0)
    repeat = [min(MOST_REPEATS, max(1, round(side / min(sides)))) for side in sides]
    _, height, width = (n * length for n, length in zip(repeat, size, strict=True))
    factor = max(1, LARGEST_WIDTH // (2 * width + height))
    return tuple(factor * n for n in repeat)


def sheet(volume: np.ndarray, planes: Planes, fill: float | None = None) -> np.ndarray:
    """The slices of `planes` side by side: from above, from the front and from the side, head up.

    volume: (D, H, W) or (D, H, W, C). Returns (h, w) or (h, w, C) of the same dtype; what no slice covers
    is `fill`, or the smallest value shown.
    """
    views = []
    for axis in range(3):
        view = np.take(volume, planes.at[axis], axis)
        rows, columns = (n for other, n in enumerate(planes.repeat) if other != axis)
        view = view.repeat(rows, axis=0).repeat(columns, axis=1)
        views.append(view if axis == 0 else view[::-1])  # slices are counted from the feet
    height = max(len(view) for view in views)
    blank = min(view.min() for view in views) if fill is None else fill
    padded = []
    for view in views:
        above = (height - len(view)) // 2
        sides = ((above, height - len(view) - above), (0, 0), *((0, 0),) * (view.ndim - 2))
        padded.append(np.pad(view, sides, constant_values=blank))
    return np.concatenate(padded, axis=1)


def in_planes(
    image: np.ndarray, result: Prediction, labels: LabelMap, spacing: tuple[float, ...]
) -> tuple[np.ndarray, Prediction]:
    """A volume and what is known of its voxels as pictures of the slices that show most objects."""
    if result.labels is not None:
        planes = telling_planes(np.isin(result.labels, labels.foreground), spacing)
    elif result.instances is not None:
        planes = telling_planes(result.instances > 0, spacing)
    else:
        return image, Prediction()
    classes = None if result.labels is None else sheet(result.labels, planes, IGNORE)
    ids = None if result.instances is None else sheet(result.instances, planes, 0)
    return sheet(image[..., :1], planes), Prediction(labels=classes, instances=ids)
