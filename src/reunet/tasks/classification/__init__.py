"""Classification: a class for each image."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reunet.contracts.labels import Classes, LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import PlanError
from reunet.tasks.base import Maps, Pairs, Task
from reunet.tasks.classification.decode import EXPORTS, decode, fit_calibration, validation_score
from reunet.tasks.classification.given import is_there, read
from reunet.tasks.classification.scorer import Scorer
from reunet.tasks.given import Reader
from reunet.tasks.headline import Headline, headlines
from reunet.tasks.outputs import Page, PageRows
from reunet.tasks.scorer import as_json
from reunet.tasks.tempering import tempered

HEADLINES = {
    "accuracy": ("Accuracy", "share of the images that are right"),
    "balanced_accuracy": ("Balanced accuracy", "mean of the recall of the classes"),
    "ece": ("Calibration error", "mean gap between confidence and accuracy (ECE); lower is better"),
}


class Classification(Task):
    """The task: one class per image, from pooled features of the encoder."""

    name = "classification"
    title = "Classification"
    score = "balanced accuracy"
    reader = Reader(is_there, read)
    exports = EXPORTS
    learned_from = ("categories",)

    def heads(self, classes: Classes, rank: int) -> tuple[HeadSpec, ...]:
        """One softmax over the classes of images."""
        count = len(_categories(classes).classes)
        return (HeadSpec(name=self.name, channels=count, of="image", loss="classification"),)

    def named_channels(self, classes: Classes) -> Mapping[str, tuple[str, ...]]:
        return {self.name: _categories(classes).names}

    def targets(self, truth: Truth, classes: Classes) -> dict[str, np.ndarray]:
        return {} if truth.category is None else {self.name: np.array(truth.category, np.uint8)}

    def decode(self, maps: Maps, classes: Classes, calibration: Calibration) -> Prediction:
        probabilities = maps.heads[self.name]
        best, _ = decode(probabilities, _categories(classes), calibration)
        calibrated = tempered(probabilities.astype(np.float64), calibration.temperature).astype(np.float32)
        return Prediction(category=best, category_probabilities=calibrated)

    def decided(self, maps: Maps, classes: Classes, calibration: Calibration) -> np.ndarray:
        return np.atleast_1d(maps.heads[self.name].argmax(axis=-1))

    def scorer(self, classes: Classes, calibration: Calibration, split: str) -> Scorer:
        return Scorer(_categories(classes), calibration, split)

    def headlines(self, metrics: Mapping[str, Any]) -> list[Headline]:
        return headlines(metrics, HEADLINES)

    def validation_score(self, pairs: Pairs, classes: Classes) -> float:
        return validation_score(self._arrays(pairs), _categories(classes))

    def described(self, result: Prediction, page: Page) -> PageRows:
        if result.category is None or page.categories is None:
            return PageRows()
        facts: dict[str, Any] = {"class": page.categories.names[result.category]}
        if result.category_probabilities is not None:
            chances = dict(zip(page.categories.names, result.category_probabilities, strict=True))
            facts["probabilities"] = as_json(chances)
        return PageRows(facts=facts)

    def fit(self, pairs: Pairs, classes: Classes) -> Calibration:
        return fit_calibration(self._arrays(pairs), _categories(classes))

    def _arrays(self, pairs: Pairs) -> Iterator[tuple[int, np.ndarray]]:
        return (
            (truth.category, maps.heads[self.name]) for truth, maps in pairs if truth.category is not None
        )


def _categories(classes: Classes) -> LabelMap:
    if classes.categories is None:
        raise PlanError("this plan names no classes of images", where="categories")
    return classes.categories


TASK = Classification()
