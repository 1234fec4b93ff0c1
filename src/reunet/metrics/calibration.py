"""Whether predicted probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15


class ReliabilityHistogram:
    """Pixels counted by confidence, the probability of the most probable class (Guo et al. 2017)."""

    def __init__(self) -> None:
        self._sums: NDArray[np.float64] = np.zeros((3, BINS))  # pixels, right ones, confidence

    def add(self, probabilities: np.ndarray, truth: np.ndarray) -> None:
        """Count pixels. probabilities: (N, classes) float32; truth: (N,) class indices."""
        confidence = probabilities.max(axis=1)
        index = np.clip((confidence * BINS).astype(np.intp), 0, BINS - 1)
        right = probabilities.argmax(axis=1) == truth
        self._sums += [
            np.bincount(index, weights=weights, minlength=BINS)
            for weights in (None, right, confidence.astype(np.float64))
        ]

    def merge(self, other: ReliabilityHistogram) -> None:
        """Add the counts of another histogram."""
        self._sums += other._sums

    @property
    def count(self) -> NDArray[np.float64]:
        """Pixels by bin."""
        return self._sums[0]

    def ece(self) -> float:
        """Expected calibration error: the mean gap between confidence and accuracy over 15 even bins.

        0 is perfect; nan without pixels.
        """
        count, correct, confidence = self._sums
        return float(np.abs(correct - confidence).sum() / count.sum()) if count.any() else float("nan")

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Mean confidence, accuracy and share of the pixels, of each bin that has pixels."""
        count, correct, confidence = self._sums[:, self._sums[0] > 0]
        return confidence / count, correct / count, count / max(count.sum(), 1.0)


def curve_of(
    chances: np.ndarray, right: np.ndarray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean confidence, accuracy and share of what was found, in 15 bins that hold equally much.

    chances: (n,) in 0..1 that each is right. right: (n,) bool. Fewer than 15 have a bin each.
    """
    order = np.argsort(chances, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    means = [(chances[part].mean(), right[part].mean(), len(part) / len(order)) for part in parts]
    confidence, accuracy, share = np.array(means, np.float64).reshape(-1, 3).T
    return confidence, accuracy, share


def ece_of(chances: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over the bins of `curve_of`; nan of nothing."""
    confidence, accuracy, share = curve_of(chances, right)
    return float((np.abs(confidence - accuracy) * share).sum()) if len(share) else float("nan")


def auroc(chances: np.ndarray, right: np.ndarray) -> float:
    """The probability that one that is right has a higher chance than one that is wrong, ties counting half
    (Hanley and McNeil 1982); nan where all are right, or all are wrong.
    """
    from scipy.stats import rankdata

    n, m = int(right.sum()), int((~right).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(chances)[right].sum() - n * (n + 1) / 2) / (n * m))
