"""Scores of classes of images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import LabelError
from reunet.metrics.bootstrap import interval
from reunet.metrics.calibration import ReliabilityHistogram
from reunet.metrics.overlap import accuracy, balanced_accuracy, precision, recall
from reunet.tasks.scorer import Scorer as Skeleton


@dataclass(frozen=True)
class ImageScore:
    """One image: its true class and the calibrated probabilities of all."""

    id: str
    truth: int
    probabilities: NDArray[np.float64]

    @property
    def best(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())


class Scorer(Skeleton[ImageScore]):
    """Scores of image classification over one split."""

    task = "classification"
    has_probabilities = True

    def add(self, case: str, truth: Truth, prediction: Prediction) -> None:
        """Score one image, known as `case`. Raises LabelError for what does not fit the classes."""
        found = prediction.category_probabilities
        if found is None and prediction.category is not None:
            self.has_probabilities = False
            found = np.eye(len(self.labels.classes))[prediction.category]
        if truth.category is None or found is None:
            return
        n = len(self.labels.classes)
        if not 0 <= truth.category < n or np.shape(found) != (n,):
            raise LabelError(
                "truth and probabilities do not fit the classes",
                where=case,
                expected=f"a class index 0..{n - 1} and {n} probabilities",
                received=f"class {truth.category} and probabilities of shape {np.shape(found)}",
            )
        self.images.append(ImageScore(case, int(truth.category), np.asarray(found, np.float64)))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) images by true and predicted class."""
        return self._stack().sum(axis=0)

    def reliability(self) -> ReliabilityHistogram:
        """Images by the probability of their most probable class."""
        probabilities, truth = self._arrays()
        return self._reliability(probabilities, truth)

    def _arrays(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Probabilities (images, classes) and true classes (images,)."""
        probabilities = np.array([image.probabilities for image in self.images], np.float64)
        truth = np.array([image.truth for image in self.images], np.int64)
        return probabilities.reshape(len(truth), len(self.labels.classes)), truth

    def main_scores(self) -> list[float]:
        """1 for each image whose most probable class is right, else 0."""
        return [float(i.best == i.truth) for i in self.images]

    def scores(self) -> dict[str, Any]:
        """What metrics.json tells beside its header; nan where undefined."""
        counts = self._stack()
        total = counts.sum(axis=0)
        right = interval(counts, lambda some: accuracy(some.sum(axis=0)))
        balanced = interval(counts, lambda some: balanced_accuracy(some.sum(axis=0)))
        probabilities, truth = self._arrays()
        ece = interval(
            np.arange(len(truth)),
            lambda drawn: np.array(self._reliability(probabilities[drawn], truth[drawn]).ece()),
        )
        return {
            "temperature": self.calibration.temperature,
            "accuracy": accuracy(total),
            "balanced_accuracy": balanced_accuracy(total),
            "per_class": {"recall": self._named(recall(total)), "precision": self._named(precision(total))},
            "confusion": total,
            "ece": self.reliability().ece(),
            "ci95": {"accuracy": right, "balanced_accuracy": balanced, "ece": ece},
        }

    def image_rows(self) -> Iterator[dict[str, Any]]:
        """True and predicted class of each image, whether right, probabilities."""
        for image in self.images:
            yield {
                "true": self.labels.names[image.truth],
                "predicted": self.labels.names[image.best],
                "right": int(image.best == image.truth),
                **{f"probability.{name}": p for name, p in self._named(image.probabilities).items()},
            }

    def _stack(self) -> NDArray[np.int64]:
        """(images, classes, classes), a single 1 for each."""
        n = len(self.labels.classes)
        counts = np.zeros((len(self.images), n, n), np.int64)
        for number, image in enumerate(self.images):
            counts[number, image.truth, image.best] = 1
        return counts

    def _reliability(self, probabilities: np.ndarray, truth: np.ndarray) -> ReliabilityHistogram:
        histogram = ReliabilityHistogram()
        if self.has_probabilities:
            histogram.add(probabilities, truth)
        return histogram

    def _named(self, values: np.ndarray) -> dict[str, Any]:
        return dict(zip(self.labels.names, values, strict=True))
