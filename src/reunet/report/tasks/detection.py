"""Detection: boxes by class."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE, Color, LabelMap
from reunet.contracts.results import Scored
from reunet.io.render import overlay_colors
from reunet.metrics.average_precision import RECALLS
from reunet.metrics.box_matching import box_iou, matched
from reunet.report import plots
from reunet.report.content import (
    Content,
    Gallery,
    Matrix,
    Pictures,
    Table,
    TableCell,
    cells,
    image_table,
    typical,
)
from reunet.report.cutouts import MOST_PER_IMAGE, PREDICTED, TRUE, enlarge, mistakes, window
from reunet.report.examples import (
    ERRORS,
    FALSE_ALARM,
    FOUND,
    MISSED,
    Panel,
    Picture,
    display,
    display_factor,
    ground,
    pale,
    panels_of,
)
from reunet.report.tasks.sureness import TERMS as SURE_TERMS
from reunet.report.tasks.sureness import sure_plots, sure_tables
from reunet.tasks.detection.scorer import ImageScore, Scorer, counted

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
        tables=[_classes(scorer, metrics), *sure_tables(metrics, "boxes")],
        plots=_plots(scorer),
        images=_images(scorer),
        terms=TERMS | SURE_TERMS,
        galleries=[
            typical(
                scorer,
                "F1",
                "Chosen by F1; of the predicted boxes those that reach the threshold.",
                partial(panels, labels=labels),
                [(overlay_colors(labels)[i], labels.names[i]) for i in labels.foreground] + ERRORS[:-1],
            ),
            _mistakes(scorer),
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


def _classes(scorer: Scorer, metrics: dict[str, Any]) -> Table:
    named, cuts = metrics["per_class"], metrics["threshold"]
    rows = [
        [
            TableCell(name, f"from a score of {cuts[name]:.2f}", overlay_colors(scorer.labels)[index]),
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
    fates = zip(*(_by_fate(image) for image in scorer.images), strict=True)
    return [
        *plots.precision_recall(known),
        *sure_plots(*scorer.sureness(), "boxes"),
        *plots.sizes([np.concatenate(some) for some in fates], "area of the box in pixels"),
        *plots.spread(scorer.image_scores(), "F1", "F1 of each image"),
    ]


def _by_fate(image: ImageScore) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Areas of the boxes found, missed and invented."""
    hit, sizes = _found(image), image.truth.areas
    return sizes[hit], sizes[~hit], image.seen.areas[image.found < 0]


def _images(scorer: Scorer) -> Table:
    rows = [
        row | {kind: sum(row[f"{kind}.{name}"] for name in scorer.names) for kind in ("true", "predicted")}
        for row in scorer.rows()
    ]
    return image_table(rows, "f1", COLUMNS)


def panels(example: Scored, labels: LabelMap) -> list[Panel]:
    """Image, true boxes, predicted boxes, and errors, with the boxes at the size that is shown."""
    truth, predicted = example.truth.boxes, example.prediction.boxes
    if truth is None or predicted is None:
        return []
    size = _size_of(example.image, (truth, predicted))
    image, _ = display(example.image, np.full(size, IGNORE, np.uint8))
    factor = display_factor(size)
    shown = {
        "truth": _by_class(image, truth, labels, factor),
        "prediction": _by_class(image, predicted, labels, factor),
        "errors": error_picture(image, truth, counted(predicted, example.truth), factor),
    }
    return panels_of(example, image, shown, float(size[1]))


def _by_class(image: Picture, boxes: Boxes, labels: LabelMap, factor: float) -> Picture:
    """Boxes in the colours of their classes, which the legend tells: their names would hide the image."""
    picture = image.copy()
    for index in labels.foreground:
        _draw_frames(
            picture, boxes.corners[boxes.classes == index] * factor, overlay_colors(labels)[index], 2
        )
    return picture


def error_picture(image: Picture, truth: Boxes, predicted: Boxes, factor: float) -> Picture:
    """Right, missed and invented boxes on the pale image (H, W, 3) uint8, shown `factor` times as large."""
    taken = matched(truth, predicted)
    missed = np.setdiff1d(np.arange(len(truth)), taken)
    shown = pale(image)
    for corners, color in (
        (predicted.corners[taken >= 0], FOUND),
        (truth.corners[missed], MISSED),
        (predicted.corners[taken < 0], FALSE_ALARM),
    ):
        _draw_frames(shown, corners * factor, color, 2)
    return shown


def _mistakes(scorer: Scorer) -> Gallery:
    """The surest false alarms and the largest misses, of predicted boxes above the thresholds."""
    note = (
        f"False alarms, the surest first, and missed objects, the largest first; at most {MOST_PER_IMAGE} of "
        "an image. The one that is meant has the thick frame."
    )
    return mistakes(scorer.images, _badness, partial(_told, scorer.labels), note)


def _badness(image: ImageScore, side: int) -> NDArray[np.float64]:
    if side == PREDICTED:
        return np.where(image.found < 0, image.seen.sureness, np.nan)
    return np.where(_found(image), np.nan, image.truth.areas)


def _told(labels: LabelMap, image: ImageScore, side: int, i: int) -> tuple[str, Pictures]:
    """A box with what is there on the other side."""
    sides = (image.truth, image.seen)
    own, other = sides[side], sides[1 - side]
    iou = box_iou(own.corners[i], other.corners)
    best = int(iou.argmax()) if iou.any() else -1
    against = f"IoU {iou[best]:.2f} with {_named(other, best, labels)}" if best >= 0 else "nothing there"
    return f"{_named(own, i, labels)}: {against}", partial(_cut, sides=sides, side=side, i=i)


def _cut(scored: Scored, sides: tuple[Boxes, Boxes], side: int, i: int) -> list[Panel]:
    """The surroundings of box `i` of one side, with the boxes of both."""
    size = _size_of(scored.image, sides)
    rows, columns = window(sides[side].corners[i].tolist(), size)
    (picture,) = enlarge(ground(scored.image, size)[rows, columns])
    picture = picture.copy()
    factor = picture.shape[0] / (rows.stop - rows.start)
    moved = [(boxes.corners - [rows.start, columns.start] * 2) * factor for boxes in sides]
    _draw_frames(picture, moved[TRUE], MISSED, 1)
    _draw_frames(picture, moved[PREDICTED], FALSE_ALARM, 1)
    _draw_frames(picture, moved[side][i : i + 1], (MISSED, FALSE_ALARM)[side], 3)
    return [Panel("cutout", picture, float(columns.stop - columns.start))]


def _draw_frames(picture: Picture, corners: np.ndarray, color: Color, width: int) -> None:
    """Draw boxes (n, 4) onto a picture (H, W, 3) uint8."""
    import cv2

    for y0, x0, y1, x1 in np.round(corners).astype(int).tolist():
        cv2.rectangle(picture, (x0, y0), (max(x1 - 1, x0), max(y1 - 1, y0)), color, width)


def _named(boxes: Boxes, i: int, labels: LabelMap) -> str:
    name = labels.names[boxes.classes[i]]
    return f"true {name}" if boxes.scores is None else f"{name} {boxes.scores[i]:.2f}"


def _size_of(image: np.ndarray | None, boxes: tuple[Boxes, Boxes]) -> tuple[int, int]:
    """Height and width of the image, or of what the boxes need."""
    if image is not None:
        return image.shape[0], image.shape[1]
    ends = np.concatenate([one.corners[:, 2:].reshape(-1, 2) for one in boxes])
    height, width = np.ceil(ends.max(axis=0, initial=1)).astype(int).tolist()
    return height, width


def _found(image: ImageScore) -> NDArray[np.bool_]:
    """Which true boxes are found."""
    return np.isin(np.arange(len(image.truth)), image.found)
