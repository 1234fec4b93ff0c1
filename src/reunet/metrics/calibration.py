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
