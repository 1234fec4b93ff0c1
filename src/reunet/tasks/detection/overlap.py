"""Overlap of boxes, and which predicted boxes are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.objects import Boxes


def box_iou(a: np.ndarray, b: np.ndarray) -> NDArray[np.float64]:
    """Intersection over union of boxes (..., 4) with boxes (..., 4) of a shape that broadcasts: (...)."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    common = np.maximum(high - low, 0).prod(axis=-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(axis=-1) for x in (a, b)]
    return common / np.maximum(areas[0] + areas[1] - common, np.finfo(np.float64).tiny)


def hits(truth: Boxes, predicted: Boxes, at: float = 0.5) -> NDArray[np.bool_]:
    """Which predicted boxes are right: (n,) bool.

    As COCO counts: from the highest score down, each takes the best true box of its class that is still
    free, if their IoU is at least `at`. What is found at a score is so for any threshold below it.
    """
    right = np.zeros(len(predicted), np.bool_)
    scores = np.ones(len(predicted)) if predicted.scores is None else predicted.scores
    for index in np.intersect1d(truth.classes, predicted.classes):
        true = truth.corners[truth.classes == index]
        mine = np.flatnonzero(predicted.classes == index)
        mine = mine[np.argsort(-scores[mine], kind="stable")]
        overlap = box_iou(predicted.corners[mine][:, None], true[None])
        for i, row in zip(mine, overlap, strict=True):
            best = int(row.argmax())
            if row[best] >= at:
                right[i], overlap[:, best] = True, -1.0
    return right
