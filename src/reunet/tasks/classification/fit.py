"""Numbers taken from held-out images: the score that stopping follows, and the temperature."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration
from reunet.metrics.overlap import balanced_accuracy, confusion
from reunet.tasks.tempering import fit_temperature

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
