"""Scores of single objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.metrics.bootstrap import interval
from reunet.metrics.histology import aggregated_jaccard, detection_counts, object_dice
from reunet.metrics.matching import (
    THRESHOLDS,
    assign,
    average_precision,
    f1,
    match_counts,
    panoptic_quality,
    precision,
    recall,
)
from reunet.metrics.object_overlap import ObjectOverlap, known_overlap
from reunet.metrics.overlap import mean_defined
from reunet.tasks.confidence import ranked, told
from reunet.tasks.instances.tracks import TrackScores
from reunet.tasks.scorer import Scorer as Skeleton
from reunet.tasks.scorer import check_size


@dataclass(frozen=True)
class Objects:
    """The true or the predicted objects of one image, (n,) each.

    areas: in pixels. iou: the highest with any object of the other map. paired: with one, at an IoU of 0.5.
    scores: how sure a predicted one is, nan where unknown.
    """

    ids: NDArray[np.int64]
    areas: NDArray[np.int64]
    iou: NDArray[np.float64]
    paired: NDArray[np.bool_]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class ImageScore:
    """One image. counts: (thresholds, 4) as of `match_counts`. true, predicted: its objects; doubtful: those
    that were found and left out, paired with a true one that no other has found. calibrated: whether the
    scores of these are probabilities.
    """

    id: str
    counts: NDArray[np.float64]
    true: Objects
    predicted: Objects
    doubtful: Objects
    aji: float
    object_dice: float
    gland_counts: NDArray[np.int64]
    calibrated: bool


class Scorer(Skeleton[ImageScore]):
    """Scores of objects over the images of one split.

    Pooled scores count the objects of all images together; per-image scores are means over images.
    """

    task = "instances"

    def __init__(self, labels: LabelMap, calibration: Calibration, split: str) -> None:
        super().__init__(labels, calibration, split)
        self.tracks = TrackScores()

    def add(self, case: str, truth: Truth, prediction: Prediction) -> None:
        """Score one image, known as `case`. Raises LabelError when the sizes differ."""
        if truth.objects is None or prediction.instances is None:
            return
        check_size(case, truth.objects, prediction.instances)
        overlap = known_overlap(truth.objects, prediction.instances, truth.told)
        self.images.append(_image_score(case, overlap, truth, prediction))
        self.tracks.add(case, truth, prediction, overlap)

    def merge(self, other: Scorer) -> None:
        """Add what another one has collected of other images."""
        super().merge(other)
        self.tracks.merge(other.tracks)

    def main_scores(self) -> NDArray[np.float64]:
        """Average precision at IoU 0.5 of each image, nan where there is no object."""
        return average_precision(self._stack())[:, 0]

    def scores(self) -> dict[str, Any]:
        """What metrics.json tells beside its header; nan where undefined."""
        counts = self._stack()
        pooled, per_image = counts.sum(axis=0), average_precision(counts)
        glands = np.sum([image.gland_counts for image in self.images], axis=0)
        return {
            "thresholds": dict(self.calibration.instance_thresholds),
            "objects": {
                "true": sum(len(image.true) for image in self.images),
                "predicted": sum(len(image.predicted) for image in self.images),
            },
            "ap": {
                "pooled": _by_threshold(average_precision(pooled)),
                "per_image": _by_threshold(mean_defined(per_image, axis=0)),
            },
            "f1": _by_threshold(f1(pooled)),
            "precision": precision(pooled)[0],
            "recall": recall(pooled)[0],
            "pq": panoptic_quality(pooled)[0],
            "aji": mean_defined([image.aji for image in self.images]),
            "object_f1": f1(glands),
            "object_dice": mean_defined([image.object_dice for image in self.images]),
            "count_error": mean_defined([_count_error(image) for image in self.images]),
            "confidence": told(*self.sureness()) | {"of_all_found": ranked(*self.sureness(all_found=True))},
            "tracking": self.tracks.metrics(),
            "ci95": self._intervals(counts),
        }

    def sureness(self, *, all_found: bool = False) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The confidence of each predicted object, nan where unknown, and whether it is right (IoU 0.5).

        all_found: also of those that were left out.
        """
        parts = ("predicted", "doubtful") if all_found else ("predicted",)
        found = [(getattr(image, name), image.calibrated) for image in self.images for name in parts]
        told_of = [one.scores if is_told else np.full(len(one), np.nan) for one, is_told in found]
        right = [one.paired for one, _ in found]
        return np.concatenate([np.zeros(0), *told_of]), np.concatenate([np.zeros(0, np.bool_), *right])

    def image_rows(self) -> Iterator[dict[str, Any]]:
        """Numbers of objects and scores of each image."""
        for image in self.images:
            by_threshold = _by_threshold(average_precision(image.counts))
            yield {
                "true": len(image.true),
                "predicted": len(image.predicted),
                **{f"ap.{name}": value for name, value in by_threshold.items()},
                "pq": panoptic_quality(image.counts)[0],
                "aji": image.aji,
            }

    def _stack(self) -> NDArray[np.float64]:
        counts = [image.counts for image in self.images]
        return np.array(counts, np.float64).reshape(-1, len(THRESHOLDS), 4)

    def _intervals(self, counts: NDArray[np.float64]) -> dict[str, Any]:
        pooled = (average_precision, f1, precision, recall, panoptic_quality)

        def at_each_threshold(some: np.ndarray) -> np.ndarray:
            return np.stack([score(some.sum(axis=0)) for score in pooled])

        ap, harmonic, *rest = interval(counts, at_each_threshold).swapaxes(0, 1)
        means = [(i.aji, i.object_dice, _count_error(i)) for i in self.images]
        per_image = interval(
            np.array(means, np.float64).reshape(-1, 3), lambda some: mean_defined(some, axis=0)
        )
        return {
            "ap": {"pooled": _by_threshold(ap.T)},
            "f1": _by_threshold(harmonic.T),
            **{name: ends[:, 0] for name, ends in zip(("precision", "recall", "pq"), rest, strict=True)},
            **dict(zip(("aji", "object_dice", "count_error"), per_image.T, strict=True)),
        }


def _image_score(case: str, overlap: ObjectOverlap, truth: Truth, prediction: Prediction) -> ImageScore:
    pairs = overlap.pairs[assign(overlap, 0.5)]
    unknown = np.full(len(overlap.true_ids), np.nan)
    scores = _scores(overlap, prediction.instance_scores)
    return ImageScore(
        case,
        match_counts(overlap),
        _objects(overlap, 0, pairs, overlap.true_ids, overlap.true_areas, unknown),
        _objects(overlap, 1, pairs, overlap.predicted_ids, overlap.predicted_areas, scores),
        _doubtful(truth, prediction, overlap.true_ids[pairs[:, 0]]),
        aggregated_jaccard(overlap),
        object_dice(overlap),
        detection_counts(overlap),
        bool(prediction.calibrated),
    )


def _doubtful(truth: Truth, prediction: Prediction, found: np.ndarray) -> Objects:
    """The objects that were left out; they are right where they find a true one that is not in `found`."""
    none = np.zeros(0)
    if truth.objects is None or prediction.doubtful is None:
        return Objects(none.astype(int), none.astype(int), none, none.astype(bool), none)
    overlap = known_overlap(truth.objects, prediction.doubtful, truth.told)
    pairs = overlap.pairs[assign(overlap, 0.5)]
    pairs = pairs[~np.isin(overlap.true_ids[pairs[:, 0]], found)]
    scores = _scores(overlap, prediction.doubtful_scores)
    return _objects(overlap, 1, pairs, overlap.predicted_ids, overlap.predicted_areas, scores)


def _scores(overlap: ObjectOverlap, by_id: np.ndarray | None) -> NDArray[np.float64]:
    """Of the predicted objects, nan where unknown."""
    count = len(overlap.predicted_ids)
    return np.full(count, np.nan) if by_id is None else by_id[overlap.predicted_ids].astype(np.float64)


def _objects(overlap: ObjectOverlap, side: int, pairs: np.ndarray, *known: np.ndarray) -> Objects:
    """One side of an image. known: ids, areas and scores."""
    ids, areas, scores = known
    iou, paired = np.zeros(len(ids)), np.zeros(len(ids), np.bool_)
    np.maximum.at(iou, overlap.pairs[:, side], overlap.iou)
    paired[pairs[:, side]] = True
    return Objects(ids, areas, iou, paired, scores)


def _count_error(image: ImageScore) -> float:
    return float(abs(len(image.predicted) - len(image.true)))


def _by_threshold(scores: np.ndarray) -> dict[str, Any]:
    return {f"{threshold:.2f}": score for threshold, score in zip(THRESHOLDS, scores, strict=True)}
