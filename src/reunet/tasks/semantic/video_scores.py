"""J and F of the one object of a video, as DAVIS averages them."""

from __future__ import annotations

from typing import Any

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.truth import Truth
from reunet.metrics.davis import boundary_measure, region_similarity
from reunet.metrics.overlap import mean_defined


class VideoScores:
    """Region similarity J and boundary measure F of sequences with a single foreground class."""

    def __init__(self, labels: LabelMap) -> None:
        self._foreground = labels.foreground
        self._sequences: dict[str, dict[int, tuple[float, float]]] = {}

    def add(self, truth: Truth, prediction: np.ndarray) -> None:
        """Add one frame; prediction: (H, W) class indices."""
        if truth.sequence is None or truth.labels is None or truth.labels.ndim != 2:
            return
        if len(self._foreground) != 1:
            return
        true = truth.labels == self._foreground[0]
        found = (prediction == self._foreground[0]) & (truth.labels != IGNORE)
        scores = region_similarity(true, found), boundary_measure(true, found)
        self._sequences.setdefault(truth.sequence, {})[truth.frame] = scores

    def merge(self, other: VideoScores) -> None:
        """Add the sequences of another one."""
        self._sequences |= other._sequences

    def metrics(self) -> dict[str, Any]:
        """Means over sequences, and of each the means over its frames but the first and the last, which DAVIS
        leaves out; nan where undefined.
        """
        each = {name: _means(frames) for name, frames in self._sequences.items()}
        all_scores = np.array([list(scores.values()) for scores in each.values()], np.float64).reshape(-1, 3)
        means = mean_defined(all_scores, axis=0)
        return {**dict(zip(("j", "f", "j_and_f"), means.tolist(), strict=True)), "sequences": each}


def _means(frames: dict[int, tuple[float, float]]) -> dict[str, float]:
    scores = np.array([frames[t] for t in sorted(frames)[1:-1]], np.float64).reshape(-1, 2)
    j, f = mean_defined(scores, axis=0).tolist()
    return {"j": j, "f": f, "j_and_f": (j + f) / 2}
