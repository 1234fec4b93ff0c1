"""How well scores rank positive above negative pixels, whatever the threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reunet.metrics.overlap import divide, mean_defined

LOGIT_RANGE = (-40.0, 18.0)
"""float32 probabilities resolve much finer near 0 than near 1 (1 - 6e-8 has the logit 16.6)."""

BINS_PER_UNIT = 2048


class RankingHistogram:
    """Positive and negative pixels counted by score, so that any number of images fits in memory.

    Scores are probabilities; the bins are even in the logit, 1/2048 wide, because trained networks
    put most pixels very near 0 or 1. Pixels of one bin count as tied.
    """

    def __init__(self) -> None:
        bins = int((LOGIT_RANGE[1] - LOGIT_RANGE[0]) * BINS_PER_UNIT) + 1
        self._counts: NDArray[np.int64] = np.zeros((2, bins), np.int64)

    def add(self, scores: np.ndarray, positives: np.ndarray) -> None:
        """Count pixels. scores: probabilities in 0..1, any shape; positives: bool, the same shape."""
        p = np.clip(np.asarray(scores, np.float32).ravel(), 0, 1)  # blending may round a little past 1
        with np.errstate(divide="ignore"):
            logit = np.clip(np.log(p) - np.log1p(-p), *LOGIT_RANGE)
        index = ((logit - LOGIT_RANGE[0]) * BINS_PER_UNIT).astype(np.intp)
        size = self._counts.shape[1]
        joint = np.bincount(index + size * np.asarray(positives, bool).ravel(), minlength=2 * size)
        self._counts += joint.reshape(2, size)

    def merge(self, other: RankingHistogram) -> None:
        """Add the counts of another histogram."""
        self._counts += other._counts

    def curve(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """True and false positives at each threshold that occurs, from the highest score down."""
        used = self._counts[:, self._counts.any(axis=0)][:, ::-1]
        return np.cumsum(used[1]), np.cumsum(used[0])

    def auc(self) -> float:
        """Area under the ROC curve: the chance that a random positive outranks a random negative.

        Ties count half (Fawcett 2006). nan unless both kinds occur.
        """
        true, false = self.curve()
        if not true.size or not true[-1] or not false[-1]:
            return float("nan")
        x, y = np.r_[0.0, false / false[-1]], np.r_[0.0, true / true[-1]]
        return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))

    def average_precision(self) -> float:
        """Mean precision weighted by the gain in recall, without interpolation. nan without positives."""
        true, false = self.curve()
        if not true.size or not true[-1]:
            return float("nan")
        return float(np.sum(np.diff(true, prepend=0) * (true / (true + false))) / true[-1])


def dice_by_threshold(
    scores: np.ndarray, positives: np.ndarray, thresholds: np.ndarray
) -> NDArray[np.float64]:
    """Dice of `scores >= threshold` for each threshold.

    scores: float32 probabilities; positives: bool, the same shape; thresholds: ascending, (T,).
    Returns (T,) float64; nan where neither a positive nor a predicted pixel exists.
    """
    passed = np.searchsorted(thresholds.astype(np.float32), scores.ravel(), side="right")
    size = len(thresholds) + 1
    joint = np.bincount(passed + size * positives.ravel(), minlength=2 * size).reshape(2, size)
    false, true = np.cumsum(joint[:, ::-1], axis=1)[:, ::-1][:, 1:]
    total = 2.0 * true + false + (joint[1].sum() - true)
    return divide(2.0 * true, total)


def best_threshold(curves: np.ndarray, thresholds: np.ndarray) -> float | None:
    """The threshold with the highest mean score over images; of equals, the one nearest to 0.5.

    curves: (images, T) scores, nan where undefined. None when no score is defined.
    """
    mean = mean_defined(curves, axis=0)
    if np.isnan(mean).all():
        return None
    best = np.flatnonzero(mean >= np.nanmax(mean) - 1e-12)
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - 0.5))]])
