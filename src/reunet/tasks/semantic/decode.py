"""From class probabilities to one class per pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration


def positive_class(labels: LabelMap) -> int | None:
    """Index of the foreground class when there are two classes and one is background, else None."""
    return labels.foreground[0] if len(labels.classes) == 2 and len(labels.foreground) == 1 else None


def threshold(labels: LabelMap, calibration: Calibration) -> float | None:
    """The foreground probability from which a pixel is foreground; None where the argmax decides."""
    if positive_class(labels) is None:
        return None
    return 0.5 if calibration.threshold is None else calibration.threshold


def decode(probabilities: np.ndarray, labels: LabelMap, calibration: Calibration) -> NDArray[np.uint8]:
    """Classes from probabilities.

    With one foreground and one background class, foreground is where its probability reaches the
    calibrated threshold (0.5 without one); otherwise the most probable class.

    probabilities: (H, W, classes) float32, summing to 1. Returns (H, W) uint8 class indices.
    """
    cut, positive = threshold(labels, calibration), positive_class(labels)
    if cut is None or positive is None:
        return probabilities.argmax(axis=-1).astype(np.uint8)
    return np.where(probabilities[..., positive] >= np.float32(cut), positive, 1 - positive).astype(np.uint8)
