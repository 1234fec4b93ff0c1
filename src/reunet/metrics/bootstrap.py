"""How much a score would vary with another sample of images."""

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
        return np.full((2, *np.shape(statistic(values))), np.nan)
    rng = np.random.default_rng(seed)
    samples = np.stack(
        [np.asarray(statistic(values[rng.integers(0, images, images)]), np.float64) for _ in range(n)]
    )
    undefined = np.isnan(samples).mean(axis=0)
    ends = np.nanpercentile(np.where(undefined == 1, 0.0, samples), [2.5, 97.5], axis=0)
    return np.where(undefined > 0.5, np.nan, ends)


def crossed_interval(
    sums: np.ndarray, counts: np.ndarray, seed: int = 0, n: int = 5000
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of 95 % for a mean over trainings and images.

    Trainings (seeds) and images are both drawn with replacement, the same images for every drawn training:
    an image is as hard for one training as for another, so it is one source of chance, not many (Owen 2007,
    "The pigeonhole bootstrap"). Images that are not independent, such as neighbouring frames, are drawn as
    one unit.

    Parameters
    ----------
    sums: (trainings, units) float64, the sum of the values of a unit of images; 0 where there is none.
    counts: (trainings, units), how many values are in each sum.
    seed, n: of the resampling.

    With a single training only the units are drawn, and the interval does not cover another training. None
    with fewer than two units, and where more than half of the samples hold no value.
    """
    trainings, units = sums.shape
    if units < 2:
        return None
    rng = np.random.default_rng(seed)
    drawn = [
        rng.multinomial(size, np.full(size, 1 / size), n).astype(np.float64) for size in (trainings, units)
    ]
    total = ((drawn[0] @ sums) * drawn[1]).sum(axis=1)
    number = ((drawn[0] @ counts) * drawn[1]).sum(axis=1)
    means = total[number > 0] / number[number > 0]
    if len(means) < n / 2:
        return None
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
