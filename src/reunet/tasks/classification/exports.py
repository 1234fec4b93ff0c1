"""Classes of images inside an exported file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.tasks.classes import Classes
from reunet.tasks.exports import Exports, Tensor, most_probable


def decide(
    found: Mapping[str, Tensor], classes: Classes, calibration: Calibration, ops: Any
) -> dict[str, Tensor]:
    """As `reunet.tasks.classification.decode` decides."""
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
