"""The task: every object on its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from reunet.contracts.labels import Classes, LabelMap, majority_class
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.io.annotations.coco_write import object_entries
from reunet.io.annotations.geojson import object_features
from reunet.io.annotations.imagej import write_rois
from reunet.io.annotations.instances import write_instances
from reunet.io.georeference import map_tags
from reunet.io.raster import write_png
from reunet.io.render import identity_colors, outlines
from reunet.metrics.matching import assign, average_precision, match_counts
from reunet.metrics.object_overlap import known_overlap
from reunet.metrics.overlap import mean_defined
from reunet.tasks.base import Maps, Pairs, Task
from reunet.tasks.confidence import Facts, confidence, fit_confidence
from reunet.tasks.exports import Exports
from reunet.tasks.given import Reader
from reunet.tasks.headline import Headline, headlines
from reunet.tasks.instances.flows import (
    CHOICES,
    DEFAULTS,
    FLOWS,
    FOREGROUND,
    decode,
    decode_each,
    heads,
    targets,
    turned,
)
from reunet.tasks.instances.given import is_there, read
from reunet.tasks.instances.properties import object_table, sureness_facts
from reunet.tasks.instances.scorer import Scorer
from reunet.tasks.instances.sinks import Instances as InstanceMap
from reunet.tasks.outputs import MASK_SUFFIXES, Destination, Output, Page, PageRows, listed, with_units
from reunet.tasks.semantic import Semantic
from reunet.tasks.uncertainty import UNCERTAINTY

CLASSES = Semantic()
"""Tells the class at each pixel of an object, where there are several."""

FITTED_IMAGES = 40
"""So many held-out images decide the thresholds: each is decoded with every combination of them."""

IOU = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
"""Thresholds whose average precision is the score."""

LEAST, CUTS = "confidence", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""The threshold below which an object is left out, and those that are tried on held-out images."""

NEAR = 0.002
"""A difference of scores over held-out images that means nothing."""


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


MOST_PNG_IDS = np.iinfo(np.uint16).max


def write_outlines(ids: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write the outlines with their classes, of a single image."""
    if to.like is None and not to.pages:
        classes = majority_class(ids, result.labels, to.labels)
        scores = result.instance_scores
        to.write_outlines(object_features(ids, to.labels, classes, scores, to.place))


def write_regions(ids: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write the outlines for ImageJ, which has none of volumes."""
    if to.like is None:
        write_rois(to.path("rois", ".zip"), ids)


def write_colored(ids: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write a picture of the label image, which most programs show all black; of a single image."""
    if to.like is None and not to.pages:
        shown = np.where(ids[..., None] > 0, identity_colors(ids), np.uint8(0))
        write_png(to.path("colored", ".png"), shown, spacing=to.spacing)


def write_ids(ids: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write the label image."""
    flat = ".png" if ids.max(initial=0) <= MOST_PNG_IDS else ".tif"
    path = to.mask("instances", flat)
    tags = map_tags(to.map) if path.suffix == ".tif" else {}
    write_instances(path, ids, to.like, to.spacing, **tags)


OUTPUTS = (
    Output("geojson", (".geojson",), "instances", write_outlines),
    Output("rois", (".zip",), "instances", write_regions),
    Output("colored", (".png",), "instances", write_colored),
    UNCERTAINTY,
    Output("instances", MASK_SUFFIXES, "instances", write_ids, is_proof=True),
)


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
        facts, weights = _facts(found, full), calibration.instance_confidence
        sure = confidence(facts, weights) if weights else facts["foreground"].astype(np.float32)
        doubted = sure < calibration.instance_thresholds.get(LEAST, 0.0)
        labels = CLASSES.decode(maps, classes, calibration).labels if _has_classes(classes) else None
        ids, scores = _chosen(found, sure, ~doubted)
        left = _chosen(found, sure, doubted) if doubted.any() else (None, None)
        told = bool(weights) or None
        return Prediction(
            labels,
            instances=ids,
            instance_scores=scores,
            calibrated=told,
            doubtful=left[0],
            doubtful_scores=left[1],
        )

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

    def described(self, result: Prediction, page: Page) -> PageRows:
        """A row per object. COCO has no volumes; of images predicted in sections no outlines are kept."""
        ids, names = result.instances, np.array(page.labels.names, object)
        if page.objects is not None:
            known = with_units(page.objects, page.spacing)
            return PageRows((listed(known | {"class": names[known["class"]]}),))
        if ids is None or page.image is None:
            return PageRows()
        classes = majority_class(ids, result.labels, page.labels)
        table = with_units(object_table(ids, page.image, classes=classes), page.spacing)
        table["class"] = names[table["class"]]
        sure = None if result.instance_scores is None else result.instance_scores[table["id"]]
        if sure is not None:
            table["confidence" if result.calibrated else "score"] = sure
        if page.sequence is not None and result.parents is not None:
            count, track = len(table["id"]), table["id"]
            table["sequence"], table["frame"] = np.full(count, page.sequence), np.full(count, page.frame)
            table["track"], table["parent"] = track, result.parents[track]
        return PageRows(
            (listed(table),),
            list(object_entries(ids, classes, result.instance_scores)) if ids.ndim == 2 else None,
        )

    def drawn(self, image: np.ndarray, result: Prediction, labels: LabelMap) -> np.ndarray | None:
        return None if result.instances is None else outlines(image, result.instances)

    def within(self, result: Prediction, inside: np.ndarray, labels: LabelMap) -> Prediction:
        for ids in (result.instances, result.doubtful):
            if ids is not None:
                ids[~inside] = 0
        return result

    def fit(self, pairs: Pairs, classes: Classes) -> Calibration:
        """The first of `CHOICES` and of `CUTS` whose mean score over images is within NEAR of the highest,
        also where no image has a score; and how sure the objects are that it gives.
        """
        images: list[list[_Trial]] = []
        for truth, maps in islice(pairs, FITTED_IMAGES):
            if truth.objects is not None:
                full = _full(maps)
                found = decode_each(full, CHOICES)
                images.append([_try(truth.objects, one, full, truth.told) for one in found])
        fits: list[tuple[float, Calibration]] = []
        for choice, trials in zip(CHOICES, zip(*images, strict=True), strict=bool(images)):
            facts = {name: np.concatenate([one.facts[name] for one in trials]) for name in trials[0].facts}
            weights = fit_confidence(facts, np.concatenate([one.iou >= IOU[0] for one in trials]))
            sure = [confidence(one.facts, weights) for one in trials]
            for cut in CUTS if weights else CUTS[:1]:
                kept = zip(trials, sure, strict=True)
                score = float(mean_defined([one.score(chances >= cut) for one, chances in kept]))
                told = {**choice, LEAST: cut} if cut else choice
                fits.append((score, Calibration(instance_thresholds=told, instance_confidence=weights)))
        best = max((score for score, _ in fits if not np.isnan(score)), default=np.inf)
        near = (calibration for score, calibration in fits if score >= best - NEAR)
        return next(near, fits[0][1] if fits else Calibration(instance_thresholds=DEFAULTS))


def _full(maps: Maps) -> dict[str, np.ndarray]:
    return {name: maps.full(name) for name in (FOREGROUND, FLOWS)}


@dataclass(frozen=True)
class _Trial:
    """What some thresholds gave of an image: of each object facts, and the IoU with the true one that is its,
    0 for none; and the number of true ones.
    """

    facts: Facts
    iou: np.ndarray
    true: int

    def score(self, kept: np.ndarray) -> float:
        """If only the objects in `kept` (n,) bool are taken; nan without any, and any true one."""
        hits = (self.iou[kept] >= IOU[:, None]).sum(axis=1)
        counts = np.stack([hits, kept.sum() - hits, self.true - hits], axis=1)
        return float(mean_defined(average_precision(counts)))


def _try(
    truth: np.ndarray, found: np.ndarray, full: Mapping[str, np.ndarray], told: np.ndarray | None
) -> _Trial:
    overlap = known_overlap(truth, found, told)
    iou, pairs = np.zeros(len(overlap.predicted_ids)), assign(overlap, float(IOU[0]))
    iou[overlap.pairs[pairs, 1]] = overlap.iou[pairs]
    places = overlap.predicted_ids - 1  # what `decode` gives is numbered from 1 without gaps
    facts = {name: fact[places] for name, fact in _facts(found, full).items()}
    return _Trial(facts, iou, len(overlap.true_ids))


def _chosen(found: np.ndarray, sure: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some of the objects 1 .. n of a map, as 1 .. m, and how sure these are by their new id, (m + 1,)."""
    scores = np.append(np.float32(np.nan), sure[wanted])
    if wanted.all():
        return found, scores
    numbers = np.append(0, np.where(wanted, np.cumsum(wanted), 0)).astype(found.dtype)
    return numbers[found], scores


def _facts(found: np.ndarray, full: Mapping[str, np.ndarray]) -> Facts:
    return sureness_facts(found, full[FOREGROUND][..., 1], full[FLOWS])


def _objects(heads: Mapping[str, np.ndarray], thresholds: Mapping[str, float]) -> InstanceMap:
    return decode(heads, DEFAULTS | dict(thresholds))


def _has_classes(classes: Classes) -> bool:
    return len(classes.labels.foreground) > 1


def precision_of(truth: np.ndarray, found: np.ndarray, told: np.ndarray | None) -> float:
    """Mean average precision of one image over `IOU`; nan where there is no object at all."""
    return float(mean_defined(average_precision(match_counts(known_overlap(truth, found, told), IOU))))


TASK = Instances()
