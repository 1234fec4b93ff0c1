"""Semantic segmentation: scores of pixels per class."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.results import Scored
from reunet.io.planes import sheet, telling_planes, voxels_across
from reunet.io.render import overlay, overlay_colors
from reunet.metrics.overlap import precision, recall
from reunet.report import plots
from reunet.report.content import (
    Content,
    Matrix,
    Table,
    TableCell,
    cells,
    format_interval,
    format_score,
    image_table,
    typical,
)
from reunet.report.examples import (
    ERRORS,
    FALSE_ALARM,
    FOUND,
    MISSED,
    UNKNOWN,
    Panel,
    Picture,
    display,
    pale,
    panels_of,
)
from reunet.tasks.semantic.scorer import Scorer

COLUMNS = {
    "id": "image", "dice.mean_foreground": "Dice", "iou.mean_foreground": "IoU", "pixel_error": "pixel error",
    "auc": "AUC", "v_rand": "V_rand", "cl_dice": "clDice", "hd95": "HD95",
    "labelled_pixels": "labelled pixels",
}  # fmt: skip

TERMS = {
    "Dice (F1) and IoU": (
        "Dice = 2 TP / (2 TP + FP + FN), IoU = TP / (TP + FP + FN), from pixels of one class; 1 is "
        "perfect. Means run over the foreground classes. Unlabelled pixels, and those outside a field of "
        "view, never count."
    ),
    "Mean over images and pooled": (
        "The mean over images gives every image the same weight; pooled counts the pixels of all images "
        "together, so large objects weigh more."
    ),
    "AUC and average precision": (
        "How well the probabilities rank foreground over background pixels, whatever the threshold; each "
        "foreground class against the rest, then the mean."
    ),
    "Calibration error": (
        "Expected calibration error over 15 bins of the probability of the most probable class (Guo et "
        "al. 2017)."
    ),
    "V_rand and V_info": (
        "Arganda-Carreras et al. 2015, alpha 0.5, per image: the components of the interior, grown by a "
        "watershed on the boundary probability, against the true regions; true boundary pixels are left "
        "out. V_rand is 1 minus the adapted Rand error."
    ),
    "clDice": (
        "Shit et al. 2021, of classes that are thin in the truth: the share of the predicted skeleton inside "
        "the true mask and of the true skeleton inside the predicted one, their harmonic mean."
    ),
}

ONLY_WITH = {
    "AUC and average precision": "auc", "Calibration error": "ece", "V_rand and V_info": "v_rand",
    "clDice": "cl_dice",
}  # fmt: skip
"""Terms that are explained only where the score is defined."""


def content(scorer: Scorer, metrics: dict[str, Any], plain: Content) -> Content:
    """The page of the task. plain: its scores."""
    labels = scorer.labels
    colors = overlay_colors(labels)
    absent = {name for name, key in ONLY_WITH.items() if _mean(metrics[key]) is None}
    shown = {name: title for name, title in COLUMNS.items() if _mean(metrics.get(name, 0)) is not None}
    return replace(
        plain,
        tables=[*([_regions(scorer, metrics)] if labels.regions else []), _classes(scorer, metrics)],
        plots=_plots(scorer),
        images=image_table(scorer.rows(), "dice.mean_foreground", shown),
        terms={name: text for name, text in TERMS.items() if name not in absent},
        galleries=[
            typical(
                scorer,
                "Dice",
                "Chosen by mean foreground Dice.",
                partial(panels, labels=labels),
                [(colors[i], labels.names[i]) for i in labels.foreground] + ERRORS,
            )
        ],
        matrix=Matrix(labels.names, scorer.confusion, "pixels"),
    )


def _mean(score: Any) -> float | None:
    """The score itself, or its mean where it is told by class."""
    found: float | None = score["mean_foreground"] if isinstance(score, dict) else score
    return found


def _overlaps(metrics: dict[str, Any], group: str, name: str) -> list[TableCell]:
    """Dice and IoU of a class or region with their intervals. group: `per_class` or `per_region`."""
    places = (("dice", "per_image"), ("dice", "pooled"), ("iou", "pooled"))
    return [
        TableCell(format_score(metrics[score][kind][group][name]),
                  format_interval(metrics["ci95"][score][kind][group][name]))
        for score, kind in places
    ]  # fmt: skip


def _regions(scorer: Scorer, metrics: dict[str, Any]) -> Table:
    rows = [
        [
            TableCell(region.name, ", ".join(scorer.labels.names[i] for i in region.classes), region.color),
            *_overlaps(metrics, "per_region", region.name),
            *cells(metrics["undefined"]["per_region"][region.name]),
        ]
        for region in scorer.labels.regions
    ]
    columns = ("region", "Dice, mean over images", "Dice, pooled", "IoU, pooled", "images without it")
    return Table(
        "Regions", "Classes taken together; they may overlap, and the means are theirs.", columns, rows
    )


def _classes(scorer: Scorer, metrics: dict[str, Any]) -> Table:
    confusion, cut = scorer.confusion, metrics["threshold"]
    share = 100 * confusion.sum(axis=1) / max(int(confusion.sum()), 1)
    exact, found = precision(confusion), recall(confusion)
    colors = overlay_colors(scorer.labels)
    rows = []
    for i, entry in enumerate(scorer.labels.classes):
        small = "" if entry.foreground else "background, not in the means"
        absent = metrics["undefined"]["per_class"][entry.name]
        rows.append([
            TableCell(entry.name, small, colors[i]), *_overlaps(metrics, "per_class", entry.name),
            *cells(exact[i], found[i], f"{share[i]:.2f} %", absent),
        ])  # fmt: skip
    fitted = "fitted on held-out training images" if scorer.calibration.threshold else "the default"
    note = "" if cut is None else f"A pixel is foreground from a probability of {cut:.2f}, {fitted}. "
    return Table(
        "Classes",
        note + "The small figures are 95 % confidence intervals.",
        ("class", "Dice, mean over images", "Dice, pooled", "IoU, pooled", "precision", "recall",
         "share of true pixels", "images without it"),
        rows,
    )  # fmt: skip


def _plots(scorer: Scorer) -> list[str]:
    counts = {scorer.labels.outputs[index]: one.curve() for index, one in scorer.ranking.items()}
    curves = {
        name: (true / true[-1], true / (true + false))
        for name, (true, false) in counts.items()
        if true.size and true[-1]
    }
    return [
        *plots.spread(scorer.image_scores(), "mean foreground Dice", "Dice of each image"),
        *plots.precision_recall(curves),
        *plots.reliability(scorer.reliability.curve(), "pixels"),
    ]


def panels(example: Scored, labels: LabelMap) -> list[Panel]:
    """Captions and pictures of one example, side by side in this order.

    Of a volume, three slices through most of its foreground are shown.
    """
    truth, prediction = example.truth.labels, example.prediction.labels
    if truth is None or prediction is None:
        return []
    picture, across = example.image, float(truth.shape[1])
    if truth.ndim == 3:
        foreground = np.isin(truth, labels.foreground) | np.isin(prediction, labels.foreground)
        planes = telling_planes(foreground, example.spacing)
        picture = None if picture is None else sheet(picture[..., :1], planes)
        truth, prediction = sheet(truth, planes, IGNORE), sheet(prediction, planes, 0)
        across = voxels_across(truth, foreground.shape, example.spacing)
    image, (truth, prediction) = display(picture, truth, prediction)
    seen = prediction.copy()
    seen[truth == IGNORE] = IGNORE  # where nothing is known there is nothing to compare
    shown = {
        "truth": overlay(image, truth, labels),
        "prediction": overlay(image, seen, labels),
        "errors": error_picture(image, truth, prediction, labels),
    }
    return panels_of(example, image, shown, across)


def error_picture(image: Picture, truth: np.ndarray, prediction: np.ndarray, labels: LabelMap) -> Picture:
    """Where the prediction is right and wrong, on the pale image.

    Foreground that is found, missed, or a false alarm; a foreground class taken for another one counts
    as missed. image: (H, W, 3) uint8; truth, prediction: (H, W). Unlabelled pixels stay grey.
    """
    foreground = np.zeros(256, bool)
    foreground[list(labels.foreground)] = True
    labelled, wrong = truth != IGNORE, truth != prediction
    shown = pale(
        image,
        (labelled & ~wrong & foreground[truth], FOUND, 0.45),
        (labelled & wrong & foreground[prediction], FALSE_ALARM, 0.9),
        (labelled & wrong & foreground[truth], MISSED, 0.9),
    )
    shown[~labelled] = UNKNOWN
    return shown
