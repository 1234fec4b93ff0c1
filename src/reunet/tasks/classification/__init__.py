"""Classification: a class for each image."""

from __future__ import annotations

from reunet.contracts.labels import LabelMap
from reunet.contracts.network import HeadSpec
from reunet.tasks.classification.decode import decode, tempered
from reunet.tasks.classification.fit import fit_calibration, validation_score
from reunet.tasks.classification.scorer import Scorer

__all__ = ["Scorer", "decode", "fit_calibration", "heads", "tempered", "validation_score"]


def heads(labels: LabelMap) -> tuple[HeadSpec, ...]:
    """One softmax over the classes of images."""
    return (HeadSpec(name="classification", channels=len(labels.classes), activation="softmax"),)
