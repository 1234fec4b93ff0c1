"""Scores of the frames of a video: J and F of its one object, as DAVIS averages them, and flicker."""

from __future__ import annotations

from typing import Any

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.truth import Truth
from reunet.metrics.overlap import mean_defined
from reunet.metrics.video import boundary_measure, flicker, region_similarity

MEANS = ("j", "f", "j_and_f", "flicker")


class VideoScores:
    """Of sequences: region similarity J and boundary measure F, where there is a single foreground class, and
    flicker between frames that follow each other.
    """

    def __init__(self, labels: LabelMap) -> None:
        self._labels = labels
        self._sequences: dict[str, dict[int, tuple[float, float, float]]] = {}
        self._last: tuple[Truth, np.ndarray] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None}  # a sequence is scored in one process

    def add(self, truth: Truth, labels: np.ndarray, probabilities: np.ndarray | None = None) -> None:
        """Add one frame; labels: (H, W) class indices, probabilities: (H, W, K) where there are any."""
        if truth.sequence is None or truth.labels is None:
            return
        told = labels if probabilities is None else probabilities
        scores = *self._overlap(truth.labels, labels), self._change(truth, told)
        self._sequences.setdefault(truth.sequence, {})[truth.frame] = scores
        self._last = truth, told

    def _overlap(self, truth: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        if truth.ndim != 2 or len(self._labels.foreground) != 1:
            return float("nan"), float("nan")
        true = truth == self._labels.foreground[0]
        found = (labels == self._labels.foreground[0]) & (truth != IGNORE)
        return region_similarity(true, found), boundary_measure(true, found)

    def _change(self, truth: Truth, told: np.ndarray) -> float:
        """Flicker from the frame before; nan where that is not the last one added."""
        if self._last is None or truth.labels is None:
            return float("nan")
        before, earlier = self._last
        follows = (before.sequence, before.frame + 1) == (truth.sequence, truth.frame)
        if not follows or before.labels is None or earlier.shape != told.shape:
            return float("nan")
        pairs = (before.labels, truth.labels), (earlier, told)
        return flicker(*pairs, overlapping=bool(self._labels.regions))

    def merge(self, other: VideoScores) -> None:
        """Add the sequences of another one."""
        self._sequences |= other._sequences

    def metrics(self) -> dict[str, Any]:
        """Means over sequences, and of each the means over its frames; J and F without the first and the
        last, which DAVIS leaves out. nan where undefined.
        """
        each = {name: _means(frames) for name, frames in self._sequences.items()}
        all_scores = np.array([list(scores.values()) for scores in each.values()], np.float64)
        means = mean_defined(all_scores.reshape(-1, len(MEANS)), axis=0)
        return {**dict(zip(MEANS, means.tolist(), strict=True)), "sequences": each}


def _means(frames: dict[int, tuple[float, float, float]]) -> dict[str, float]:
    scores = np.array([frames[t] for t in sorted(frames)], np.float64)
    j, f = mean_defined(scores[1:-1, :2], axis=0).tolist()
    return {"j": j, "f": f, "j_and_f": (j + f) / 2, "flicker": float(mean_defined(scores[:, 2]))}
