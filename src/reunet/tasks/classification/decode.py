"""From the class probabilities of an image to its class, here and inside an exported file; what is fitted."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from reunet.contracts.labels import Classes, LabelMap
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.errors import DataError
from reunet.metrics.overlap import balanced_accuracy, confusion
from reunet.tasks.exports import Exports, Tensor, most_probable
from reunet.tasks.tempering import fit_temperature, tempered


def decode(probabilities: np.ndarray, labels: LabelMap, calibration: Calibration) -> tuple[int, float]:
    """The most probable class and its calibrated probability.

    probabilities: (classes,) float32, summing to 1, of one image. Raises DataError for another shape.
    """
    if probabilities.shape != (len(labels.classes),):
        raise DataError(
            "these are not the class probabilities of one image",
            where="classification",
            expected=f"shape ({len(labels.classes)},)",
            received=probabilities.shape,
        )
    calibrated = tempered(probabilities.astype(np.float64), calibration.temperature)
    best = int(calibrated.argmax())
    return best, float(calibrated[best])


def decide(
    found: Mapping[str, Tensor], classes: Classes, calibration: Calibration, ops: Any
) -> dict[str, Tensor]:
    """As `decode` decides, in the operations of an exporter."""
    logits = ops.log(ops.maximum(found["classification"], 1e-30)) / (calibration.temperature or 1.0)
    return {"category": most_probable(logits, ops), "category_probabilities": ops.softmax(logits, axis=-1)}


def decided(result: Prediction, classes: Classes) -> dict[str, np.ndarray | None]:
    """The class and the probabilities of all."""
    return {"category": np.array(result.category), "category_probabilities": result.category_probabilities}


EXPORTS = Exports(
    heads={
        "classification": "probability of each class of images, in the order of `categories`, not calibrated"
    },
    decisions={
        "category": ("B", "index of the class of the image"),
        "category_probabilities": ("BC", "calibrated probability of each class"),
    },
    decide=decide,
    decided=decided,
)


Pairs = Iterable[tuple[int, np.ndarray]]
"""The true class index and the probabilities (classes,) float32 of each image."""


def validation_score(pairs: Pairs, labels: LabelMap) -> float:
    """Balanced accuracy, the mean over classes of their recall; nan without images."""
    images = list(pairs)
    truth = np.array([true for true, _ in images], np.uint8)
    predicted = np.array([probabilities.argmax() for _, probabilities in images], np.uint8)
    return float(balanced_accuracy(confusion(truth, predicted, len(labels.classes))))


def fit_calibration(pairs: Pairs, labels: LabelMap) -> Calibration:
    """The temperature (`fit_temperature`); none with fewer than two images."""
    images = list(pairs)
    if len(images) < 2:
        return Calibration()
    probabilities = np.stack([p for _, p in images])
    return Calibration(temperature=fit_temperature(probabilities, [true for true, _ in images]))
