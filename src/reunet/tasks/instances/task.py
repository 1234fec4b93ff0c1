"""The task: every object on its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.io.render_objects import outlines
from reunet.metrics.matching import average_precision, match_counts
from reunet.metrics.object_overlap import object_overlap
from reunet.metrics.overlap import mean_defined
from reunet.tasks.base import Maps, Pairs, Task
from reunet.tasks.classes import Classes
from reunet.tasks.exports import Exports
from reunet.tasks.given import Reader
from reunet.tasks.headline import Headline, headlines
from reunet.tasks.instances.fit import fit
from reunet.tasks.instances.flows import DEFAULTS, FLOWS, FOREGROUND, decode, heads, targets, turned
from reunet.tasks.instances.given import is_there, read
from reunet.tasks.instances.outputs import OUTPUTS, described
from reunet.tasks.instances.properties import mean_by_object
from reunet.tasks.instances.scorer import Scorer
from reunet.tasks.instances.sinks import Instances as InstanceMap
from reunet.tasks.outputs import Page, Told
from reunet.tasks.semantic import Semantic

CLASSES = Semantic()
"""Tells the class at each pixel of an object, where there are several."""

FITTED_IMAGES = 40
"""So many held-out images decide the thresholds: each is decoded with every combination of them."""

IOU = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
"""Thresholds whose average precision is the score."""


HEADLINES = {
    "ap/pooled/0.50": ("AP at IoU 0.5", "objects found / found, missed and invented"),
    "ap/pooled/0.70": ("AP at IoU 0.7", "the same, with outlines that must fit better"),
    "ap/pooled/0.90": ("AP at IoU 0.9", "the same, with outlines that must fit almost everywhere"),
    "pq": ("PQ", "panoptic quality: found, and how exact the outlines are"),
    "f1/0.50": ("F1", "of the objects at IoU 0.5"),
    "precision": ("Precision", "share of the predicted objects that are right"),
    "recall": ("Recall", "share of the true objects that were found"),
    "aji": ("AJI", "aggregated Jaccard index, mean over images"),
    "count_error": ("Count error", "objects too many or too few per image; lower is better"),
}
TRACK_HEADLINES = {
    "tracking/seg": ("SEG", "how exact the outlines are, mean over sequences"),
    "tracking/tra": ("TRA", "how right the tracks are, mean over sequences"),
}


HEADS = {
    FOREGROUND: "probability of background and object; not decoded into objects",
    FLOWS: "direction to the centre of the object, per axis; not decoded",
}


class Instances(Task):
    """Objects 1 .. n. Where these are of several classes, the head of the task `semantic` is learned too, and
    an object has the class of most of its pixels.
    """

    name = "instances"
    title = "Single objects (instances)"
    score = "mean average precision over IoU 0.5 to 0.9"
    reader = Reader(is_there, read)
    outputs = OUTPUTS
    exports = Exports({**HEADS, **CLASSES.exports.heads})
    pixels_across = CLASSES.pixels_across
    has_identities = True
    learned_from = ("instances",)
    reach: Mapping[int, int] = {2: 128, 3: 32}

    def heads(self, classes: Classes, rank: int) -> tuple[HeadSpec, ...]:
        return (*heads(rank), *(CLASSES.heads(classes, rank) if _has_classes(classes) else ()))

    def targets(self, truth: Truth, classes: Classes) -> dict[str, np.ndarray]:
        if truth.objects is None:
            return {}
        own = targets(truth.objects, truth.told)
        return own | (CLASSES.targets(truth, classes) if _has_classes(classes) else {})

    def turned(self, heads: Mapping[str, np.ndarray], axes: tuple[int, ...]) -> dict[str, np.ndarray]:
        return {FLOWS: turned(heads[FLOWS], axes)}

    def decode(self, maps: Maps, classes: Classes, calibration: Calibration) -> Prediction:
        full = _full(maps)
        found = _objects(full, calibration.instance_thresholds)
        scores = mean_by_object(found, full[FOREGROUND][..., 1])
        labels = CLASSES.decode(maps, classes, calibration).labels if _has_classes(classes) else None
        return Prediction(labels, instances=found, instance_scores=scores)

    def decided(self, maps: Maps, classes: Classes, calibration: Calibration) -> np.ndarray:
        """Where an object is at least as likely as not."""
        return (maps.heads[FOREGROUND][..., 1] >= np.float32(0.5)).astype(np.uint8)

    def scorer(self, classes: Classes, calibration: Calibration, split: str) -> Scorer:
        return Scorer(classes.labels, calibration, split)

    def headlines(self, metrics: Mapping[str, Any]) -> list[Headline]:
        shown = HEADLINES | (TRACK_HEADLINES if metrics.get("tracking", {}).get("sequences") else {})
        return headlines(metrics, shown)

    def validation_score(self, pairs: Pairs, classes: Classes) -> float:
        scores = [
            precision_of(truth.objects, _objects(_full(maps), {}), truth.told)
            for truth, maps in pairs
            if truth.objects is not None
        ]
        return float(mean_defined(scores))

    def described(self, result: Prediction, page: Page) -> Told:
        return described(result, page)

    def drawn(self, image: np.ndarray, result: Prediction, labels: LabelMap) -> np.ndarray | None:
        return None if result.instances is None else outlines(image, result.instances)

    def within(self, result: Prediction, inside: np.ndarray, labels: LabelMap) -> Prediction:
        if result.instances is not None:
            result.instances[~inside] = 0
        return result

    def fit(self, pairs: Pairs, classes: Classes) -> Calibration:
        def some() -> Iterator[tuple[Truth, Mapping[str, np.ndarray]]]:
            for number, (truth, maps) in enumerate(pairs):
                if number < FITTED_IMAGES and truth.objects is not None:
                    yield truth, _full(maps)

        return Calibration(instance_thresholds=fit(some(), _score))


def _full(maps: Maps) -> dict[str, np.ndarray]:
    return {name: maps.full(name) for name in (FOREGROUND, FLOWS)}


def _objects(heads: Mapping[str, np.ndarray], thresholds: Mapping[str, float]) -> InstanceMap:
    return decode(heads, DEFAULTS | dict(thresholds))


def _has_classes(classes: Classes) -> bool:
    return len(classes.labels.foreground) > 1


def precision_of(truth: np.ndarray, found: np.ndarray, told: np.ndarray | None) -> float:
    """Mean average precision of one image over `IOU`; nan where there is no object at all."""
    return float(mean_defined(average_precision(match_counts(object_overlap(truth, found, told), IOU))))


def _score(truth: Truth, found: InstanceMap) -> float:
    return float("nan") if truth.objects is None else precision_of(truth.objects, found, truth.told)


TASK = Instances()
