"""Images that are annotated with some classes only: what is background there may be one of the others."""

import numpy as np

from reunet.contracts.labels import LabelMap

Annotated = tuple[int, ...] | None
"""Indices of the classes that an image is annotated with, background included; None for all."""


def target(truth: np.ndarray, annotated: Annotated, labels: LabelMap) -> np.ndarray:
    """Class indices (*space) uint8 with, for the background of partial annotations, the number of classes
    plus the position of `annotated` in `labels.partial`.
    """
    if annotated is None:
        return truth
    merged = len(labels.classes) + labels.partial.index(annotated)
    return np.where(truth == labels.background, merged, truth).astype(np.uint8)


def merged_labels(prediction: np.ndarray, annotated: Annotated, labels: LabelMap) -> np.ndarray:
    """Predicted class indices, with background for the classes that the image is not annotated with."""
    if annotated is None or labels.background is None:
        return prediction
    others = [i for i in range(len(labels.classes)) if i not in annotated]
    return np.where(np.isin(prediction, others), labels.background, prediction).astype(np.uint8)


def merged_probabilities(probabilities: np.ndarray, annotated: Annotated, labels: LabelMap) -> np.ndarray:
    """Class probabilities (*space, classes), those of classes that are not annotated added to background."""
    if annotated is None:
        return probabilities
    others = [i for i in range(len(labels.classes)) if i not in annotated]
    merged = probabilities.copy()
    merged[..., labels.background] += probabilities[..., others].sum(axis=-1)
    merged[..., others] = 0
    return merged
