"""Instances: objects found, missed and invented."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import class_color
from reunet.contracts.results import Scored
from reunet.io.planes import sheet, telling_planes, voxels_across
from reunet.io.render import contour
from reunet.metrics.matching import assign
from reunet.metrics.object_overlap import known_overlap
from reunet.report import plots
from reunet.report.content import (
    Content,
    Gallery,
    Pictures,
    Table,
    cells,
    format_count,
    format_interval,
    image_table,
    typical,
)
from reunet.report.cutouts import MOST_PER_IMAGE, enlarge, mistakes, window
from reunet.report.examples import (
    ERRORS,
    FALSE_ALARM,
    FOUND,
    MISSED,
    UNKNOWN,
    Panel,
    Picture,
    display,
    ground,
    pale,
    panels_of,
)
from reunet.report.tasks.sureness import TERMS as SURE_TERMS
from reunet.report.tasks.sureness import sure_plots, sure_tables
from reunet.report.tasks.tracks import TERMS as TRACK_TERMS
from reunet.report.tasks.tracks import shown_sequences, track_tables
from reunet.tasks.instances.scorer import ImageScore, Objects, Scorer

COLUMNS = {
    "id": "image", "ap.0.50": "AP at 0.5", "ap.0.75": "AP at 0.75", "pq": "PQ", "aji": "AJI",
    "true": "true objects", "predicted": "predicted objects",
}  # fmt: skip

RIGHT, LOST, INVENTED = 1, 2, 3
"""States of an object."""

MISFIT = (204, 121, 167)
"""Colour of what is in a missed and in an invented object; of the same palette as the others."""

TERMS = {
    "Found": "A true and a predicted object are a pair if their IoU (shared pixels / pixels of either) is at "
    "least the threshold, 0.5 where none is told; each is in one pair at most.",
    "AP": "TP / (TP + FP + FN) of objects, as in the Data Science Bowl 2018 and StarDist; not the area under "
    "a curve.",
    "PQ": "Panoptic quality (Kirillov et al. 2019): sum of the IoU of the pairs / (TP + FP / 2 + FN / 2).",
    "AJI": "Aggregated Jaccard index (Kumar et al. 2017): pixels that pairs share / pixels of all objects.",
}


def content(scorer: Scorer, metrics: dict[str, Any], plain: Content) -> Content:
    """The page of the task. plain: its scores."""
    return replace(
        plain,
        tables=[_thresholds(metrics), *sure_tables(metrics, "objects"), *track_tables(metrics)],
        plots=_plots(scorer, metrics),
        images=image_table(scorer.rows(), "ap.0.50", COLUMNS),
        terms=TERMS | SURE_TERMS | (TRACK_TERMS if metrics["tracking"]["sequences"] else {}),
        sequences=shown_sequences(metrics, scorer.tracks.images),
        galleries=[
            typical(
                scorer,
                "AP",
                "Chosen by AP at IoU 0.5.",
                panels,
                [*ERRORS, (MISFIT, "missed and false alarm at once: the outlines do not fit")],
            ),
            _mistakes(scorer),
        ],
    )


def _thresholds(metrics: dict[str, Any]) -> Table:
    pooled, mean, ends = (
        metrics["ap"]["pooled"],
        metrics["ap"]["per_image"],
        metrics["ci95"]["ap"]["pooled"],
    )
    rows = [
        cells(f"IoU {name}", pooled[name], format_interval(ends[name]), mean[name], metrics["f1"][name])
        for name in pooled
    ]
    fitted = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in metrics["thresholds"].items())
    note = f" Fitted on held-out training images: {fitted}." if fitted else ""
    return Table(
        "How exact must an outline be",
        f"Scores by the IoU from which an object counts as found.{note}",
        ("found from", "AP, pooled", "its 95 % CI", "AP, mean over images", "F1, pooled"),
        rows,
    )


def _plots(scorer: Scorer, metrics: dict[str, Any]) -> list[str]:
    true, predicted = [i.true for i in scorer.images], [i.predicted for i in scorer.images]
    fates = [
        np.concatenate([objects.areas[objects.paired == found] for objects in some])
        for some, found in ((true, True), (true, False), (predicted, False))
    ]
    drawn = _curve(predicted, sum(map(len, true))) + plots.sizes(fates, "pixels")
    if drawn:
        drawn.insert(0, plots.by_threshold({"AP": metrics["ap"]["pooled"], "F1": metrics["f1"]}))
    drawn += sure_plots(*scorer.sureness(), "objects")
    return drawn + plots.spread(scorer.image_scores(), "AP at IoU 0.5", "AP of each image")


def _curve(predicted: list[Objects], true: int) -> list[str]:
    """Precision and recall of the surest objects, down to all of them; where their scores are known."""
    scores, right = (
        np.concatenate(parts) for parts in zip(*((one.scores, one.paired) for one in predicted), strict=True)
    )
    if not true or not len(scores) or np.isnan(scores).any():
        return []
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    return plots.precision_recall({"objects at IoU 0.5": (hits / true, precision)})


def panels(example: Scored) -> list[Panel]:
    """Image, outlines of the true and of the predicted objects, and errors; of a volume three slices."""
    truth, prediction, known = example.truth.objects, example.prediction.instances, example.truth.told
    if truth is None or prediction is None:
        return []
    known = np.ones(truth.shape, np.bool_) if known is None else known
    maps = [truth, prediction, *states(truth, prediction, known), known.astype(np.uint8)]
    picture, across = example.image, float(truth.shape[1])
    if truth.ndim == 3:
        planes = telling_planes((truth > 0) | (prediction > 0), example.spacing)
        picture = None if picture is None else sheet(picture[..., :1], planes)
        maps = [sheet(part, planes, 0) for part in maps]
        across = voxels_across(maps[0], known.shape, example.spacing)
    image, (truth, prediction, *rest) = display(picture, *maps)
    errors = error_picture(image, (truth, prediction), (rest[0], rest[1]), rest[2] > 0)
    shown = {"truth": _tinted(image, truth), "prediction": _tinted(image, prediction), "errors": errors}
    return panels_of(example, image, shown, across)


def _tinted(image: Picture, ids: np.ndarray) -> Picture:
    """Objects filled and outlined, neighbouring ids in other hues. image: (H, W, 3) uint8; ids: (H, W)."""
    hues = np.array([class_color(10 + i) for i in range(64)], np.uint8)[ids % 64]
    strength = np.where(contour(ids, 1), 1.0, 0.35)[..., None] * (ids > 0)[..., None]
    return np.round(image + strength * (hues - image.astype(np.float64))).astype(np.uint8)


def states(
    truth: np.ndarray, prediction: np.ndarray, known: np.ndarray
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What became of the true objects (RIGHT or LOST) and of the predicted ones (RIGHT or INVENTED).

    Two (*space) maps, 0 outside of objects and of what is known; pairs at an IoU of 0.5 as in the scores.
    """
    overlap = known_overlap(truth, prediction, known)
    found = overlap.pairs[assign(overlap, 0.5)]
    maps = []
    for side, (ids, objects, wrong) in enumerate(
        ((overlap.true_ids, truth, LOST), (overlap.predicted_ids, prediction, INVENTED))
    ):
        table = np.zeros(int(objects.max(initial=0)) + 1, np.uint8)
        table[ids] = wrong
        table[ids[found[:, side]]] = RIGHT
        maps.append(np.where(known, table[objects], 0).astype(np.uint8))
    return maps[0], maps[1]


def error_picture(
    image: Picture,
    ids: tuple[np.ndarray, np.ndarray],
    kinds: tuple[np.ndarray, np.ndarray],
    known: NDArray[np.bool_],
) -> Picture:
    """Found (as predicted), missed and invented objects on the pale image, filled and outlined.

    image: (H, W, 3) uint8. ids, kinds: of true and predicted objects, (H, W) each, see `states`.
    """
    right, lost, invented = kinds[1] == RIGHT, kinds[0] == LOST, kinds[1] == INVENTED
    shown = pale(
        image,
        (right, FOUND, 0.35),
        (lost & ~invented, MISSED, 0.6),
        (invented & ~lost, FALSE_ALARM, 0.6),
        (lost & invented, MISFIT, 0.5),
    )
    for side, where, color in ((1, right, FOUND), (0, lost, MISSED), (1, invented, FALSE_ALARM)):
        shown[where & contour(ids[side], 1)] = color
    shown[~known] = UNKNOWN
    return shown


def _mistakes(scorer: Scorer) -> Gallery:
    """The largest objects without a partner."""
    note = (
        f"False alarms and missed objects, the largest first, at most {MOST_PER_IMAGE} of an image. The one "
        "that is meant has the thick outline."
    )
    return mistakes(scorer.images, _badness, _told, note)


def _badness(image: ImageScore, side: int) -> NDArray[np.float64]:
    objects = (image.true, image.predicted)[side]
    return np.where(objects.paired, np.nan, objects.areas)


def _told(image: ImageScore, side: int, i: int) -> tuple[str, Pictures]:
    objects = (image.true, image.predicted)[side]
    best = f"best IoU {objects.iou[i]:.2f}" if objects.iou[i] else "nothing there"
    draw = partial(_cut, side=side, number=int(objects.ids[i]))
    return f"{format_count(objects.areas[i])} pixels, {best}", draw


def _cut(scored: Scored, side: int, number: int) -> list[Panel]:
    """The surroundings of one object with the outlines of both sides; the slice where it is largest."""
    maps, image = [scored.truth.objects, scored.prediction.instances], scored.image
    if maps[0] is None or maps[1] is None:
        return []
    sides = [np.asarray(one) for one in maps]
    if sides[0].ndim == 3:
        plane = int((sides[side] == number).sum(axis=(1, 2)).argmax())
        sides, image = [one[plane] for one in sides], None if image is None else image[plane]
    y, x = np.nonzero(sides[side] == number)
    part = window((y.min(), x.min(), y.max() + 1, x.max() + 1), sides[0].shape)
    picture, *sides = enlarge(
        ground(image, sides[0].shape)[part], *(one[part].astype(np.int32) for one in sides)
    )
    picture = picture.copy()
    for ids, color in zip(sides, (MISSED, FALSE_ALARM), strict=True):
        picture[contour(ids, 1) & (ids > 0)] = color
    picture[contour(sides[side] == number, 2)] = (MISSED, FALSE_ALARM)[side]
    return [Panel("cutout", picture, float(part[1].stop - part[1].start))]
