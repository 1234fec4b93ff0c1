"""Detection: boxes by class."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.results import Scored
from reunet.io.render import overlay_colors
from reunet.metrics.average_precision import RECALLS
from reunet.metrics.calibration import ReliabilityHistogram
from reunet.report import plots
from reunet.report.content import (
    Color,
    Content,
    Gallery,
    Matrix,
    Table,
    TableCell,
    cells,
    image_table,
    typical,
    worst_first,
)
from reunet.report.examples import (
    ERRORS,
    FALSE_ALARM,
    FOUND,
    MISSED,
    Picture,
    display,
    display_factor,
    pale,
)
from reunet.report.tasks.mistaken_boxes import draw_frames, found, mistakes, size_of
from reunet.tasks.detection.matching import matched
from reunet.tasks.detection.scorer import ImageScore, Scorer

SCORES = ("map50", "map", "precision", "recall", "f1", "true", "predicted")
"""Of each class."""

COLUMNS = {
    "id": "image", "f1": "F1", "precision": "precision", "recall": "recall", "true": "true boxes",
    "predicted": "predicted boxes",
}  # fmt: skip

NOTHING = "nothing"
"""Stands for the class of what is not there."""

TERMS = {
    "Right": "A predicted box is right if its IoU with a true box of its class is at least 0.5; each true "
    "box is taken once, by the surest one.",
    "mAP50 and mAP": "Area under the precision-recall curve of each class as COCO computes it, at an IoU of "
    "0.5 and as the mean over 0.50, 0.55 to 0.95, then the mean over classes. All boxes count, whatever "
    "their score.",
    "Precision, recall and F1": "Of the boxes whose score reaches the threshold of their class, at an IoU of "
    "0.5, all images together.",
    "Count error": "Mean over images of |predicted - true| boxes.",
}


def content(scorer: Scorer, metrics: dict[str, Any], plain: Content) -> Content:
    """The page of the task. plain: its scores."""
    labels = scorer.labels
    return replace(
        plain,
        tables=[_classes(scorer, metrics)],
        plots=_plots(scorer),
        images=_images(scorer),
        terms=TERMS,
        galleries=[
            Gallery(
                "Best, median and worst images",
                "Chosen by F1; of the predicted boxes those that reach the threshold.",
                typical(scorer.image_scores(), "F1", lambda scored: panels(scored, labels)),
                [(_color(labels, i), labels.names[i]) for i in labels.foreground] + ERRORS[:-1],
            ),
            mistakes(scorer),
        ],
        matrix=Matrix(
            [*scorer.names, NOTHING],
            scorer.confusion,
            "boxes",
            "Boxes are paired at an IoU of 0.5, whatever their classes. The last row are predicted boxes "
            "without a true one, the last column true boxes that were missed.",
            open=True,
        ),
    )


def _color(labels: LabelMap, index: int) -> Color:
    red, green, blue = overlay_colors(labels)[index].tolist()
    return red, green, blue


def _classes(scorer: Scorer, metrics: dict[str, Any]) -> Table:
    named, cuts = metrics["per_class"], metrics["threshold"]
    rows = [
        [
            TableCell(name, f"from a score of {cuts[name]:.2f}", _color(scorer.labels, index)),
            *cells(*(named[key][name] for key in SCORES), metrics["count_error"]["per_class"][name]),
        ]
        for index, name in zip(scorer.labels.foreground, scorer.names, strict=True)
    ]
    return Table(
        "Classes",
        "Precision, recall, F1 and numbers are those of the boxes from the score below the name on.",
        ("class", "AP50", "mAP", "precision", "recall", "F1", "true boxes", "predicted boxes", "count error"),
        rows,
    )


def _plots(scorer: Scorer) -> list[str]:
    at_half = scorer.curves()[0]
    known = {
        name: (RECALLS, at_half[:, k])
        for k, name in enumerate(scorer.names)
        if not np.isnan(at_half[:, k]).any()
    }
    drawn = [plots.precision_recall(known)] if known else []
    histogram = ReliabilityHistogram()
    scores, right = (
        np.concatenate([np.zeros(0), *parts])
        for parts in zip(*((i.predicted.sureness, i.right) for i in scorer.images), strict=True)
    )
    histogram.add(scores[:, None], np.where(right, 0, 1))  # a box is right, or it is not
    if histogram.count.any():
        drawn.append(plots.reliability(*histogram.curve(), "boxes"))
    fates = zip(*(_by_fate(image) for image in scorer.images), strict=True)
    drawn += plots.sizes([np.concatenate(some) for some in fates], "area of the box in pixels")
    return drawn + plots.spread(scorer.image_scores(), "F1", "F1 of each image")


def _by_fate(image: ImageScore) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Areas of the boxes found, missed and invented."""
    hit, sizes = found(image), image.truth.areas
    return sizes[hit], sizes[~hit], image.seen.areas[image.found < 0]


def _images(scorer: Scorer) -> Table:
    rows = [
        row | {kind: sum(row[f"{kind}.{name}"] for name in scorer.names) for kind in ("true", "predicted")}
        for row in worst_first(scorer.rows(), "f1")
    ]
    return image_table(rows, COLUMNS)


def panels(example: Scored, labels: LabelMap) -> list[tuple[str, Picture]]:
    """Image, true boxes, predicted boxes, and errors, with the boxes at the size that is shown."""
    truth, predicted = example.truth.boxes, example.prediction.boxes
    if truth is None or predicted is None:
        return []
    size = size_of(example.image, (truth, predicted))
    image, _ = display(example.image, np.full(size, IGNORE, np.uint8))
    factor = display_factor(size)
    shown = [
        ("truth", _by_class(image, truth, labels, factor)),
        ("prediction", _by_class(image, predicted, labels, factor)),
        ("errors", error_picture(image, truth, predicted, factor)),
    ]
    return shown if example.image is None else [("image", image), *shown]


def _by_class(image: Picture, boxes: Boxes, labels: LabelMap, factor: float) -> Picture:
    """Boxes in the colours of their classes, which the legend tells: their names would hide the image."""
    picture = image.copy()
    for index in labels.foreground:
        draw_frames(picture, boxes.corners[boxes.classes == index] * factor, _color(labels, index), 2)
    return picture


def error_picture(image: Picture, truth: Boxes, predicted: Boxes, factor: float) -> Picture:
    """Right, missed and invented boxes on the pale image (H, W, 3) uint8, shown `factor` times as large."""
    taken = matched(truth, predicted)
    missed = np.setdiff1d(np.arange(len(truth)), taken)
    shown = np.ascontiguousarray(np.clip(pale(image), 0, 255).astype(np.uint8))
    for corners, color in (
        (predicted.corners[taken >= 0], FOUND),
        (truth.corners[missed], MISSED),
        (predicted.corners[taken < 0], FALSE_ALARM),
    ):
        draw_frames(shown, corners * factor, color, 2)
    return shown
