"""Numbers taken from held-out images: the score that stopping follows, and the temperature."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration
from reunet.metrics.overlap import balanced_accuracy, confusion
from reunet.tasks.classification.decode import tempered

Pairs = Iterable[tuple[int, np.ndarray]]
"""The true class index and the probabilities (classes,) float32 of each image."""

COLDEST, HOTTEST = 0.1, 10.0


def validation_score(pairs: Pairs, labels: LabelMap) -> float:
    """Balanced accuracy, the mean over classes of their recall; nan without images."""
    images = list(pairs)
    truth = np.array([true for true, _ in images], np.uint8)
    predicted = np.array([probabilities.argmax() for _, probabilities in images], np.uint8)
    return float(balanced_accuracy(confusion(truth, predicted, len(labels.classes))))


def fit_calibration(pairs: Pairs, labels: LabelMap) -> Calibration:
    """The temperature in 0.1 .. 10 with the lowest cross-entropy; none with fewer than two images.

    Where every image is right the cross-entropy falls with the temperature to the end of the range: then
    there is nothing to learn from, and it stays 1.
    """
    from scipy.optimize import minimize_scalar

    images = list(pairs)
    if len(images) < 2:
        return Calibration()
    truth = np.array([true for true, _ in images])
    probabilities = np.stack([p for _, p in images])
    if (probabilities.argmax(axis=1) == truth).all():
        return Calibration(temperature=1.0)

    def cross_entropy(log_temperature: float) -> float:
        p = tempered(probabilities, Calibration(temperature=float(np.exp(log_temperature))))
        return float(-np.log(np.maximum(p[np.arange(len(truth)), truth], 1e-30)).mean())

    bounds = (float(np.log(COLDEST)), float(np.log(HOTTEST)))
    best = minimize_scalar(cross_entropy, bounds=bounds, method="bounded")
    return Calibration(temperature=float(np.exp(best.x)))
