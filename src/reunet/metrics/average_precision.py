"""Average precision of boxes as COCO computes it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.metrics.box_matching import NEITHER, RIGHT, judged
from reunet.metrics.overlap import Scores

RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads the precision."""

IOU = np.linspace(0.5, 0.95, 10)
"""Its thresholds of the IoU, computed as it does."""


def coco_precision(
    truths: Sequence[Boxes],
    predictions: Sequence[Boxes],
    classes: Sequence[int],
    known: Sequence[NDArray[np.bool_] | None] | None = None,
) -> Scores:
    """Precision at each IoU, recall and class, (10, 101, classes), over all images.

    From the highest score down each predicted box takes the best true box of its class and image that is
    still free, if their IoU is at least 0.50, 0.55, ... 0.95. The precision at a recall of 0.00, 0.01, ...
    1.00 is the highest one reached at this recall or a higher one, 0 where it is not reached; it is the curve
    of a report. nan for a class without a true box. All boxes of an image count, where COCO stops at 100.

    truths, predictions: of each image; predictions without scores all count as certain. classes: the indices
    that are scored, in the order of the result. known: where boxes are told in each image, see `judged`.
    """
    if len(truths) != len(predictions):
        raise ValueError(f"boxes of {len(truths)} true and {len(predictions)} predicted images")
    where = [None] * len(truths) if known is None else known
    pairs = zip(truths, predictions, where, strict=True)
    fates = [judged(true, found, told, IOU.tolist()) for true, found, told in pairs]
    return precision_of(truths, predictions, fates, classes)


def precision_of(
    truths: Sequence[Boxes],
    predictions: Sequence[Boxes],
    fates: Sequence[NDArray[np.int8]],
    classes: Sequence[int],
) -> Scores:
    """The same from what was `judged` of each image, (T, n): (T, 101, classes)."""
    scores, kinds, true = (
        np.concatenate([np.zeros(0), *parts])
        for parts in (
            [boxes.sureness for boxes in predictions],
            [boxes.classes for boxes in predictions],
            [boxes.classes for boxes in truths],
        )
    )
    rows = len(fates[0]) if fates else len(IOU)
    fate = np.concatenate([np.zeros((rows, 0), np.int8), *fates], axis=1)
    order = np.argsort(-scores, kind="stable")
    curves = np.full((rows, len(RECALLS), len(classes)), np.nan)
    for column, index in enumerate(classes):
        mine, number = order[kinds[order] == index], float((true == index).sum())
        for row, one in enumerate(fate[:, mine]):
            curves[row, :, column] = _precision(one[one != NEITHER] == RIGHT, 1, number)
    return curves


def coco_ap(precision: np.ndarray) -> Scores:
    """Average precision per IoU and class: the mean over recall of `coco_precision`, (10, classes).

    Its mean over classes in the first row is mAP50, that over all rows mAP.
    """
    return precision.mean(axis=1)


def resampled_ap(right: np.ndarray, weights: np.ndarray, true: float) -> float:
    """Area under the precision-recall curve at RECALLS, fast enough for images drawn a thousand times; nan
    without true boxes.

    right: (n,) bool, which predicted boxes found an object, from the highest score down. weights: (n,) how
    often each is counted, for resampled images. true: the number of true boxes, counted likewise.
    """
    return float(_precision(right, weights, true).mean())


def _precision(right: np.ndarray, weights: np.ndarray | int, true: float) -> Scores:
    """At RECALLS: (101,)."""
    if not true:
        return np.full(len(RECALLS), np.nan)
    found = np.cumsum(weights * right)
    total = np.cumsum(np.broadcast_to(weights, right.shape))
    precision = found / np.maximum(total, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # the highest at this recall or a higher one
    place = np.searchsorted(found / true, RECALLS, side="left")
    return np.append(best, 0.0)[place]
