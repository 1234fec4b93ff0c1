"""How much a score would vary with another sample of images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def interval(
    values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], seed: int = 0, n: int = 1000
) -> NDArray[np.float64]:
    """Percentile bootstrap interval of 95 % (Efron 1979), resampling whole images with replacement.

    Pixels of one image are not independent, so images are what is drawn.

    Parameters
    ----------
    values: (images, ...) one entry per image.
    statistic: maps such an array, with any selection of images, to scores of shape S.
    seed, n: of the resampling.

    Returns (2, *S) float64: lower and upper end. nan with fewer than two images, and where the
    statistic was undefined in more than half of the samples.
    """
    images = len(values)
    if images < 2:
        shape = np.shape(statistic(values))
        return np.full((2, *shape), np.nan)
    rng = np.random.default_rng(seed)
    samples = np.stack(
        [np.asarray(statistic(values[rng.integers(0, images, images)]), np.float64) for _ in range(n)]
    )
    undefined = np.isnan(samples).mean(axis=0)
    ends = np.nanpercentile(np.where(undefined == 1, 0.0, samples), [2.5, 97.5], axis=0)
    return np.where(undefined > 0.5, np.nan, ends)
