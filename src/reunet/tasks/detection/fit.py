"""Numbers taken from held-out images: the score that stopping follows, and the score thresholds."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration
from reunet.contracts.truth import Truth
from reunet.metrics.average_precision import coco_ap, precision_of
from reunet.metrics.box_matching import NEITHER, RIGHT, judged
from reunet.metrics.overlap import mean_defined
from reunet.tasks.confidence import BIAS, Weights, confidence, fit_confidence, log_odds, sizes
from reunet.tasks.detection.decode import suppressed

Pairs = Iterable[tuple[Truth, Boxes]]
"""What is known of each image, with boxes, and what was predicted, with scores from a low floor on, doubles
included.
"""

Judged = tuple[list[Boxes], list[Boxes], list[NDArray[np.int8]]]
"""True and predicted boxes of each image, and whether the latter are right at an IoU of 0.5."""


def validation_score(pairs: Pairs, labels: LabelMap) -> float:
    """Mean over classes of the average precision at an IoU of 0.5, by confidences fitted to the same images;
    nan where there is no true box.
    """
    (truths, predictions, fates), _ = _rated(pairs)
    curves = precision_of(truths, predictions, [fate[None] for fate in fates], labels.foreground)
    return float(mean_defined(coco_ap(curves)[0]))


def fit_calibration(pairs: Pairs, labels: LabelMap) -> Calibration:
    """How the confidence of a box follows from its score and size, and for each class the confidence from
    which a box counts, by F1 at an IoU of 0.5 over all images, without what was found where nothing is known.

    It lies halfway between the one with the highest F1 on these images, which a few of them place at random,
    and half of that F1, which is the best for probabilities that hold (Lipton et al. 2014, arXiv 1402.1892,
    theorem 1). A class that is not among the held-out images gets the threshold that is best for all
    classes together. Without any true box there are no thresholds; without a fitted confidence they are the
    best ones of the scores.
    """
    (truths, predictions, fates), weights = _rated(pairs)
    true = np.bincount(np.concatenate([[], *(one.classes for one in truths)]).astype(np.intp), minlength=256)
    if not true.sum():
        return Calibration()
    counted = [fate != NEITHER for fate in fates]
    score, index, hit = (
        np.concatenate([part[mine] for part, mine in zip(parts, counted, strict=True)])
        for parts in (
            [one.sureness for one in predictions],
            [one.classes for one in predictions],
            [fate == RIGHT for fate in fates],
        )
    )
    overall = best_f1(score, hit, int(true.sum()))
    best = [
        best_f1(score[index == i], hit[index == i], int(true[i])) if true[i] else overall
        for i in labels.foreground
    ]
    cuts = tuple((cut + f1 / 2) / 2 if weights else cut for cut, f1 in best)
    return Calibration(score_thresholds=cuts, box_confidence=weights)


def rated(boxes: Boxes, weights: Weights) -> Boxes:
    """The boxes with their confidence for a score, in the same order; as they are without weights of these
    facts.
    """
    facts = _facts(boxes)
    if weights.keys() != {*facts, BIAS}:
        return boxes
    return replace(boxes, scores=confidence(facts, weights), is_rated=True)


def _facts(boxes: Boxes) -> dict[str, np.ndarray]:
    """What tells how likely each of the boxes is right, (n,) float64: a network can be as sure of small ones
    as of large ones, and wrong more often.
    """
    return {"score": log_odds(boxes.sureness), **sizes(boxes.areas)}


def _rated(pairs: Pairs) -> tuple[Judged, dict[str, float]]:
    """The images with the confidence that fits them best, and its weights."""
    told = [(truth, found) for truth, found in pairs if truth.boxes is not None]
    _, predictions, fates = plain = _judged([(truth, suppressed(found)) for truth, found in told])
    known = [fate != NEITHER for fate in fates]
    facts = [_facts(one.chosen(mine)) for one, mine in zip(predictions, known, strict=True)]
    right = [fate[mine] == RIGHT for fate, mine in zip(fates, known, strict=True)]
    if not facts:
        return plain, {}
    columns = {name: np.concatenate([one[name] for one in facts]) for name in facts[0]}
    weights = fit_confidence(columns, np.concatenate(right))
    return _judged([(truth, suppressed(rated(found, weights))) for truth, found in told]), weights


def _judged(pairs: Pairs) -> Judged:
    images = [(truth.boxes, found, truth.boxes_told) for truth, found in pairs]
    told = [(true, found, known) for true, found, known in images if true is not None]
    return [one[0] for one in told], [one[1] for one in told], [judged(*one)[0] for one in told]


def best_f1(scores: np.ndarray, right: np.ndarray, true: int) -> tuple[float, float]:
    """The threshold with the highest F1 = 2 TP / (predicted + true), halfway to the next lower score, and
    that F1.

    0.5 and 0 where no predicted box is right.
    """
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(right[order])
    if not right.any():
        return 0.5, 0.0
    f1 = 2 * found / (np.arange(1, len(found) + 1) + true)
    ordered = scores[order].astype(np.float64)
    f1[:-1][ordered[:-1] == ordered[1:]] = -1  # equal scores are cut together
    best = int(f1.argmax())
    below = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float(np.clip((ordered[best] + below) / 2, 1e-6, 1 - 1e-6)), float(f1[best])
