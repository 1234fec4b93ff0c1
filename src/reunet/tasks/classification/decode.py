"""From the class probabilities of an image to its class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration
from reunet.errors import DataError


def tempered(probabilities: np.ndarray, calibration: Calibration) -> NDArray[np.float64]:
    """Class probabilities (..., classes) with the calibrated temperature T: softmax(log p / T), which is
    softmax(logits / T) (Guo et al. 2017, section 4.2). The most probable class stays.
    """
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-30)) / (calibration.temperature or 1)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


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
    calibrated = tempered(probabilities, calibration)
    best = int(calibrated.argmax())
    return best, float(calibrated[best])
