"""Numbers taken from held-out images: the score that stopping follows, and the score thresholds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration
from reunet.metrics.average_precision import coco_ap, coco_precision
from reunet.metrics.overlap import mean_defined
from reunet.tasks.detection.matching import hits

Pairs = Iterable[tuple[Boxes, Boxes]]
"""True and predicted boxes per image, the latter with scores from a low floor on."""


def validation_score(pairs: Pairs, labels: LabelMap) -> float:
    """Mean over classes of the average precision at an IoU of 0.5; nan where there is no true box."""
    images = list(pairs)
    truths, predictions = [truth for truth, _ in images], [predicted for _, predicted in images]
    return float(mean_defined(coco_ap(coco_precision(truths, predictions, labels.foreground))[0]))


def fit_calibration(pairs: Pairs, labels: LabelMap) -> Calibration:
    """For each class the score threshold with the highest F1 at an IoU of 0.5 over all images.

    A class that is not among the held-out images gets the threshold that is best for all classes together.
    Without any true box there are no thresholds.
    """
    scores, right, classes, true = [], [], [], np.zeros(len(labels.classes), np.int64)
    for truth, predicted in pairs:
        scores.append(predicted.sureness)
        right.append(hits(truth, predicted))
        classes.append(predicted.classes)
        true += np.bincount(truth.classes, minlength=len(true))
    if not true.sum():
        return Calibration()
    score, hit, index = (np.concatenate(parts) for parts in (scores, right, classes))
    overall = best_f1(score, hit, int(true.sum()))
    cuts = [
        best_f1(score[index == i], hit[index == i], int(true[i])) if true[i] else overall
        for i in labels.foreground
    ]
    return Calibration(score_thresholds=tuple(cuts))


def best_f1(scores: np.ndarray, right: np.ndarray, true: int) -> float:
    """The threshold with the highest F1 = 2 TP / (predicted + true), halfway to the next lower score.

    0.5 where no predicted box is right.
    """
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(right[order])
    if not right.any():
        return 0.5
    f1 = 2 * found / (np.arange(1, len(found) + 1) + true)
    ordered = scores[order].astype(np.float64)
    f1[:-1][ordered[:-1] == ordered[1:]] = -1  # equal scores are cut together
    best = int(f1.argmax())
    below = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float(np.clip((ordered[best] + below) / 2, 1e-6, 1 - 1e-6))
