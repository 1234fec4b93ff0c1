"""Scores of whole images with one class each, from confusion counts (`overlap.confusion`)."""

from __future__ import annotations

import numpy as np

from reunet.metrics.overlap import Scores, mean_defined, pixel_error, recall


def accuracy(counts: np.ndarray) -> Scores:
    """Share of the images with the right class. counts: (..., n, n) -> (...); nan without images."""
    return 1 - pixel_error(counts)


def balanced_accuracy(counts: np.ndarray) -> Scores:
    """Mean of the recall of each class that occurs in the truth. Shapes and nan as in `accuracy`."""
    return mean_defined(recall(counts), axis=-1)
