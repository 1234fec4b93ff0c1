"""Average precision as COCO computes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.objects import Boxes

PER_IMAGE = 200_000
"""Boxes that count per image; COCO's own 100 would cut images with many objects."""


def coco_precision(
    truths: Sequence[Boxes], predictions: Sequence[Boxes], classes: Sequence[int]
) -> NDArray[np.float64]:
    """Average precision (10, classes) at IoU 0.50, 0.55, ... 0.95, nan for a class without a true box.

    One truth and one prediction per image; of 101 points of recall, with faster-coco-eval.
    """
    if not any(len(truth) for truth in truths):
        return np.full((10, len(classes)), np.nan)
    if not any(len(predicted) for predicted in predictions):
        present = np.concatenate([truth.classes for truth in truths])
        return np.tile(np.where(np.isin(classes, present), 0.0, np.nan), (10, 1))
    from faster_coco_eval import COCO, COCOeval_faster

    rows = np.concatenate([_rows(image, boxes) for image, boxes in enumerate(truths)])
    annotations = [
        {"id": number, "image_id": int(row[0]), "category_id": int(row[6]), "bbox": row[1:5].tolist(),
         "area": float(row[3] * row[4]), "iscrowd": 0}
        for number, row in enumerate(rows, start=1)
    ]  # fmt: skip
    images = [{"id": image} for image in range(len(truths))]
    truth = COCO(
        {"images": images, "categories": [{"id": int(i)} for i in classes], "annotations": annotations}
    )
    found = truth.loadRes(np.concatenate([_rows(image, boxes) for image, boxes in enumerate(predictions)]))
    evaluation = COCOeval_faster(truth, found, "bbox")
    evaluation.params.maxDets = [1, 10, PER_IMAGE]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # IoU, recall, class; all areas, most boxes
    order = np.argsort(np.argsort(classes))  # the library sorts the classes
    return np.where(precision < 0, np.nan, precision).mean(axis=1)[:, order]


def average_precision(right: np.ndarray, weights: np.ndarray, true: float) -> float:
    """Area under the precision-recall curve at 101 points of recall; nan without true boxes.

    right: (n,) bool, which predicted boxes found an object, from the highest score down. weights: (n,) how
    often each is counted, for resampled images. true: the number of true boxes, counted likewise.
    """
    if not true:
        return float("nan")
    found = np.cumsum(weights * right)
    total = np.cumsum(weights)
    precision = found / np.maximum(total, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # the highest at this recall or a higher one
    place = np.searchsorted(found / true, np.linspace(0, 1, 101), side="left")
    return float(np.append(best, 0.0)[place].mean())


def _rows(image: int, boxes: Boxes) -> NDArray[np.float64]:
    """(n, 7): image, x, y, width, height, score, class."""
    y0, x0, y1, x1 = boxes.corners.astype(np.float64).T
    scores = np.ones(len(boxes)) if boxes.scores is None else boxes.scores
    return np.stack([np.full(len(boxes), image), x0, y0, x1 - x0, y1 - y0, scores, boxes.classes], axis=1)
