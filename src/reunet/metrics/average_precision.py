"""Average precision of boxes as COCO computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.metrics.overlap import Scores

RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads the precision; its thresholds of the IoU are 10 from 0.5 to 0.95, made likewise."""

PER_IMAGE = 200_000
"""Boxes that count per image. COCO itself stops at 100, which would cut images of many objects."""


def coco_precision(truths: Sequence[Boxes], predictions: Sequence[Boxes], classes: Sequence[int]) -> Scores:
    """Precision at each IoU, recall and class, (10, 101, classes), over all images, with faster-coco-eval.

    From the highest score down each predicted box takes the best true box of its class and image that is
    still free, if their IoU is at least 0.50, 0.55, ... 0.95. The precision at a recall of 0.00, 0.01, ...
    1.00 is the highest one reached at this recall or a higher one, 0 where it is not reached; it is the curve
    of a report. nan for a class without a true box.

    truths, predictions: of each image; predictions without scores all count as certain. classes: the indices
    that are scored, in the order of the result.
    """
    if len(truths) != len(predictions):
        raise ValueError(f"boxes of {len(truths)} true and {len(predictions)} predicted images")
    known = [index for boxes in truths for index in np.unique(boxes.classes)]
    shape = (10, len(RECALLS), len(classes))
    nothing = np.broadcast_to(np.where(np.isin(classes, known), 0.0, np.nan), shape).copy()
    if np.isnan(nothing).all() or not any(map(len, predictions)):
        return nothing  # the library takes neither
    from faster_coco_eval import COCO, COCOeval_faster

    dataset = {
        "images": [{"id": image} for image in range(len(truths))],
        "categories": [{"id": int(index)} for index in classes],
        "annotations": [
            {"id": i, "iscrowd": 0, "area": box["bbox"][2] * box["bbox"][3], **box}
            for i, box in enumerate(_listed(truths), start=1)
        ],
    }
    reference = COCO(dataset)
    evaluation = COCOeval_faster(reference, reference.loadRes(_listed(predictions)), "bbox")
    evaluation.params.maxDets = [1, 10, PER_IMAGE]
    evaluation.params.catIds = list(map(int, classes))
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]  # all sizes, PER_IMAGE boxes
    order = np.searchsorted(np.sort(classes), classes)  # the library sorts them
    return np.where(np.isnan(nothing), np.nan, precision[:, :, order])


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
    if not true:
        return float("nan")
    found = np.cumsum(weights * right)
    total = np.cumsum(weights)
    precision = found / np.maximum(total, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # the highest at this recall or a higher one
    place = np.searchsorted(found / true, RECALLS, side="left")
    return float(np.append(best, 0.0)[place].mean())


def _listed(images: Sequence[Boxes]) -> list[dict[str, Any]]:
    """The boxes of all images as COCO lists them: x, y, width, height."""
    rows: list[dict[str, Any]] = []
    for image, boxes in enumerate(images):
        y0, x0, y1, x1 = boxes.corners.astype(np.float64).reshape(-1, 4).T
        corners = np.stack([x0, y0, x1 - x0, y1 - y0], axis=1).tolist()
        rows += [
            {"image_id": image, "category_id": int(c), "bbox": corner, "score": float(s)}
            for corner, c, s in zip(corners, boxes.classes, boxes.sureness, strict=True)
        ]
    return rows
