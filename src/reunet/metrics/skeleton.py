"""Thin structures such as vessels, scored along their centre lines."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from reunet.metrics.overlap import mutual_share
from reunet.metrics.surface import distance_to_outside


def skeleton(mask: np.ndarray) -> NDArray[np.bool_]:
    """Centre lines of a mask, one pixel wide: Zhang and Suen 1984 in an image, Lee et al. 1994 in a volume.

    mask: (H, W) or (D, H, W) bool; returns the same.
    """
    from skimage.morphology import skeletonize

    return np.asarray(skeletonize(mask.astype(bool)), bool)


def cl_dice(
    truth: np.ndarray, prediction: np.ndarray, true_lines: np.ndarray, predicted_lines: np.ndarray
) -> float:
    """Centre line Dice of Shit et al. 2021 (CVPR).

    The harmonic mean of the share of the predicted skeleton inside the true mask and of the share of the true
    skeleton inside the predicted mask.
    truth, prediction: (H, W) or (D, H, W) bool, and their skeletons. nan when both are empty, 0 when one is.
    """
    return mutual_share((predicted_lines, true_lines), (truth, prediction))


def elongation(mask: np.ndarray) -> float:
    """How many times as long as wide the parts of a mask are, on average: 1 or less for what is round.

    Pixels per part over the power of the width (twice the 95th percentile of the distance to the edge) that
    has as many axes. mask: (*space) bool. 0 without a pixel.
    """
    from scipy import ndimage

    if not mask.any():
        return 0.0
    inside = np.pad(mask, 1)
    parts = ndimage.label(inside, np.ones((3,) * mask.ndim))[1]
    width = 2 * np.percentile(distance_to_outside(inside)[inside], 95)
    return float(mask.sum() / parts / width**mask.ndim)


def skeleton_length(lines: np.ndarray, spacing: Sequence[float] | None = None) -> float:
    """Length of a skeleton in the units of the spacing (None: in pixels).

    lines: (*space) bool. The sum of the steps between neighbouring pixels, diagonal ones included; a step is
    left out where the same two pixels are joined by shorter ones through a pixel between them. A single pixel
    has no length, and a straight line at another angle than 0 or 45 degrees is up to 8 % too long.
    """
    lines = np.pad(lines.astype(bool), 1)
    scale = np.ones(lines.ndim) if spacing is None else np.asarray(spacing, np.float64)
    total = 0.0
    for step in product((-1, 0, 1), repeat=lines.ndim):
        if step <= (0,) * lines.ndim:  # each step once, not back
            continue
        joined = lines & _shifted(lines, step)
        for between in product(*({0, s} for s in step)):
            if any(between) and between != step:
                joined &= ~_shifted(lines, between)
        total += joined.sum() * float(np.linalg.norm(scale * step))
    return total


def _shifted(lines: np.ndarray, step: tuple[int, ...]) -> np.ndarray:
    """At each pixel the value of the one a step further; the margin of the array is empty, so may wrap."""
    return np.roll(lines, [-s for s in step], axis=tuple(range(lines.ndim)))
