"""Semantic segmentation: each pixel gets one class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.tasks.base import Classes, Maps, Pairs, Task
from reunet.tasks.semantic.decode import decode, positive_class, threshold
from reunet.tasks.semantic.fit import fit_calibration, validation_score
from reunet.tasks.semantic.partial import merged_probabilities, target
from reunet.tasks.semantic.scorer import Scorer

__all__ = [
    "Scorer",
    "Semantic",
    "decode",
    "fit_calibration",
    "head",
    "positive_class",
    "threshold",
    "validation_score",
]


class Semantic(Task):
    """The task: one softmax head with a channel per class, cross-entropy and Dice; where the dataset has
    regions, a sigmoid head with a channel per region.
    """

    name = "semantic"
    score = "mean foreground Dice"
    learned_from = ("masks", "instances")

    def heads(self, classes: Classes, rank: int) -> tuple[HeadSpec, ...]:
        return (head(classes.labels),)

    def targets(self, truth: Truth, classes: Classes) -> dict[str, np.ndarray]:
        return (
            {} if truth.labels is None else {self.name: target(truth.labels, truth.classes, classes.labels)}
        )

    def decode(self, maps: Maps, classes: Classes, calibration: Calibration) -> Prediction:
        probabilities = maps.full(self.name)
        return Prediction(decode(probabilities, classes.labels, calibration), probabilities)

    def decided(self, maps: Maps, classes: Classes, calibration: Calibration) -> np.ndarray:
        return decode(maps.heads[self.name], classes.labels, calibration)

    def scorer(self, classes: Classes, calibration: Calibration, split: str) -> Scorer:
        return Scorer(classes.labels, calibration, split)

    def validation_score(self, pairs: Pairs, classes: Classes) -> float:
        return validation_score(self._arrays(pairs, classes.labels), classes.labels)

    def fit(self, pairs: Pairs, classes: Classes) -> Calibration:
        return fit_calibration(self._arrays(pairs, classes.labels), classes.labels)

    def _arrays(self, pairs: Pairs, labels: LabelMap) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (
            (truth.labels, merged_probabilities(maps.full(self.name), truth.classes, labels))
            for truth, maps in pairs
            if truth.labels is not None
        )


def head(labels: LabelMap) -> HeadSpec:
    """The head that tells the classes of pixels, or their regions."""
    kind = {"activation": "sigmoid", "loss": "regions"} if labels.regions else {}
    return HeadSpec.parse({"name": "semantic", "channels": len(labels.outputs), **kind}, where="semantic")


TASK = Semantic()
