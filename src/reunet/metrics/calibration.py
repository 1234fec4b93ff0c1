"""Whether predicted probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15


class ReliabilityHistogram:
    """Pixels counted by confidence, the probability of the most probable class (Guo et al. 2017)."""

    def __init__(self) -> None:
        self.count: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.correct: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.confidence: NDArray[np.float64] = np.zeros(BINS, np.float64)

    def add(self, probabilities: np.ndarray, truth: np.ndarray) -> None:
        """Count pixels. probabilities: (N, classes) float32; truth: (N,) class indices."""
        confidence = probabilities.max(axis=1)
        index = np.clip((confidence * BINS).astype(np.intp), 0, BINS - 1)
        right = probabilities.argmax(axis=1) == truth
        self.count += np.bincount(index, minlength=BINS)
        self.correct += np.bincount(index[right], minlength=BINS)
        self.confidence += np.bincount(index, weights=confidence.astype(np.float64), minlength=BINS)

    def merge(self, other: ReliabilityHistogram) -> None:
        """Add the counts of another histogram."""
        self.count += other.count
        self.correct += other.correct
        self.confidence += other.confidence

    def ece(self) -> float:
        """Expected calibration error: the mean gap between confidence and accuracy over 15 even bins.

        0 is perfect; nan without pixels.
        """
        total = self.count.sum()
        return float(np.abs(self.correct - self.confidence).sum() / total) if total else float("nan")

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Mean confidence, accuracy and share of the pixels, of each bin that has pixels."""
        used = self.count > 0
        count = self.count[used].astype(np.float64)
        return self.confidence[used] / count, self.correct[used] / count, count / max(count.sum(), 1.0)
