"""Semantic segmentation: each pixel gets one class."""

from __future__ import annotations

from reunet.contracts.labels import LabelMap
from reunet.contracts.network import HeadSpec
from reunet.tasks.semantic.decode import decode, positive_class, threshold
from reunet.tasks.semantic.fit import fit_calibration, validation_score
from reunet.tasks.semantic.scorer import Scorer

__all__ = [
    "Scorer",
    "decode",
    "fit_calibration",
    "heads",
    "positive_class",
    "threshold",
    "validation_score",
]


def heads(labels: LabelMap) -> tuple[HeadSpec, ...]:
    """One softmax head with a channel per class."""
    return (HeadSpec(name="semantic", channels=len(labels.classes), activation="softmax"),)
