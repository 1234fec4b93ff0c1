"""Scores of pixels, or of the regions that they form."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import LabelError
from reunet.metrics.bootstrap import interval
from reunet.metrics.calibration import ReliabilityHistogram
from reunet.metrics.overlap import confusion, dice, grouped, iou, mean_defined, pixel_error
from reunet.metrics.partitions import rand_scores, regions_from_boundary
from reunet.metrics.ranking import RankingHistogram
from reunet.tasks.scorer import Place, check_size, nested
from reunet.tasks.scorer import Scorer as Skeleton
from reunet.tasks.semantic.decode import threshold
from reunet.tasks.semantic.fit import true_regions
from reunet.tasks.semantic.partial import merged_labels, merged_probabilities
from reunet.tasks.semantic.shape_scores import Shapes, shape_scores
from reunet.tasks.semantic.video_scores import VideoScores

NAN = float("nan")


@dataclass(frozen=True)
class ImageScore:
    """The scores of one image; nan where undefined. counts: of its pixels. shapes: see `shape_scores`."""

    id: str
    counts: NDArray[np.int64]
    shapes: NDArray[np.float64]
    auc: float
    average_precision: float
    ece: float
    v_rand: float
    v_info: float


class Scorer(Skeleton[ImageScore]):
    """Scores of semantic segmentation over the images of one split.

    Pooled scores count the pixels of all images together; per-image scores are means over images.
    AUC and average precision are pooled over pixels, each foreground class against the rest, then
    averaged over those classes. V_rand and V_info are means over images. Where there are regions, they are
    what counts, beside the classes of the label images.
    """

    task = "semantic"

    def __init__(self, labels: LabelMap, calibration: Calibration, split: str) -> None:
        super().__init__(labels, calibration, split)
        self.places = tuple(self._overlaps(np.zeros((len(labels.classes),) * 2, np.int64)))
        self.ranking = {index: RankingHistogram() for index in labels.counted}
        self.reliability = ReliabilityHistogram()
        self.has_probabilities = False
        self.video = VideoScores(labels)

    def add(self, case: str, truth: Truth, prediction: Prediction) -> None:
        """Score one image, known as `case`: its labels, and the probabilities where there are any.

        Raises LabelError when the sizes differ or labelled pixels have no predicted class.
        """
        true, classes = truth.labels, truth.classes
        if true is None or prediction.labels is None:
            return
        labels = merged_labels(prediction.labels, classes, self.labels)
        self._check(case, true, labels)
        probabilities, ranking = prediction.probabilities, (NAN, NAN, NAN)
        if probabilities is not None:
            probabilities = merged_probabilities(probabilities, classes, self.labels)
            self.has_probabilities, labelled = True, true != IGNORE
            ranking = self._rank(true[labelled], probabilities[labelled])
        counts = confusion(true, labels, len(self.labels.classes))
        separation = self._regions(true, labels, probabilities)
        shapes = shape_scores(true, labels, truth.spacing, self.labels)
        self.images.append(ImageScore(case, counts, shapes, *ranking, *separation))
        self.video.add(truth, labels, probabilities)

    def merge(self, other: Scorer) -> None:
        """Add what another one has collected of other images."""
        super().merge(other)
        self.video.merge(other.video)
        for index, histogram in self.ranking.items():
            histogram.merge(other.ranking[index])
        self.reliability.merge(other.reliability)
        self.has_probabilities |= other.has_probabilities

    @property
    def shapes(self) -> Shapes:
        """The scores of the shapes in all images."""
        names = [self.labels.outputs[i] for i in self.labels.counted]
        return Shapes.of(names, [image.shapes for image in self.images])

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) pixels by true and predicted class over all images."""
        return self._stack().sum(axis=0)

    def main_scores(self) -> NDArray[np.float64]:
        """Mean foreground Dice of each image, nan where no foreground class is present."""
        return self._overlaps(self._stack())["dice", "mean_foreground"]

    def scores(self) -> dict[str, Any]:
        """What metrics.json tells beside its header; nan where undefined, and counted under `undefined`."""
        counts, video = self._stack(), self.video.metrics()
        columns = self._columns(counts)
        return {
            "regions": [region.name for region in self.labels.regions],
            "threshold": threshold(self.labels, self.calibration) if self.has_probabilities else None,
            **self._named(self._columns(counts.sum(axis=0)), mean_defined(columns, axis=0)),
            "auc": mean_defined([h.auc() for h in self.ranking.values()]),
            "average_precision": mean_defined([h.average_precision() for h in self.ranking.values()]),
            "v_rand": mean_defined([image.v_rand for image in self.images]),
            "v_info": mean_defined([image.v_info for image in self.images]),
            "ece": self.reliability.ece(),
            **self.shapes.metrics(),
            **{name: video[name] for name in ("flicker", "j", "f")},
            "video": video,
            "undefined": self._undefined(columns),
            "ci95": self._intervals(counts, columns),
        }

    def image_rows(self) -> Iterator[dict[str, Any]]:
        """Labelled pixels and scores of each image."""
        columns = self._columns(self._stack())
        names = [".".join(dict.fromkeys((place[0], place[-1]))) for place in self.places]
        for image, values, shape in zip(self.images, columns, self.shapes.rows(), strict=True):
            row: dict[str, Any] = {"labelled_pixels": image.counts.sum()}
            row |= dict(zip(names, values, strict=True))
            for score in ("auc", "average_precision", "v_rand", "v_info", "ece"):
                row[score] = getattr(image, score)
            yield row | shape

    def _check(self, case: str, truth: np.ndarray, prediction: np.ndarray) -> None:
        check_size(case, truth, prediction)
        missing = int(np.count_nonzero((prediction >= len(self.labels.classes)) & (truth != IGNORE)))
        if missing:
            raise LabelError(
                "pixels with a true class have no predicted class",
                where=case,
                expected="a class for every labelled pixel",
                received=f"{missing} pixels without one",
                fix="predict a class for these pixels, or mark them as unlabelled in the truth",
            )

    def _rank(self, truth: np.ndarray, probabilities: np.ndarray) -> tuple[float, float, float]:
        """AUC, average precision and ECE of one image, which are also added to the pooled ones."""
        areas: list[float] = []
        precisions: list[float] = []
        membership = self.labels.membership
        for index, pooled in self.ranking.items():
            histogram = RankingHistogram()
            histogram.add(probabilities[:, index], membership[truth, index])
            areas.append(histogram.auc())
            precisions.append(histogram.average_precision())
            pooled.merge(histogram)
        reliability = ReliabilityHistogram()
        if not self.labels.regions:
            reliability.add(probabilities, truth)
        self.reliability.merge(reliability)
        return float(mean_defined(areas)), float(mean_defined(precisions)), reliability.ece()

    def _regions(
        self, truth: np.ndarray, prediction: np.ndarray, probabilities: np.ndarray | None
    ) -> tuple[float, float]:
        boundary = self.labels.boundary
        if boundary is None:
            return NAN, NAN
        cut = self.calibration.region_threshold or 0.5
        if probabilities is None:
            separation, cut = (prediction == boundary).astype(np.float32), 0.5
        else:
            separation = probabilities[..., boundary]
        return rand_scores(true_regions(truth, boundary), regions_from_boundary(separation, cut))

    def _stack(self) -> NDArray[np.int64]:
        n = len(self.labels.classes)
        return np.array([image.counts for image in self.images], np.int64).reshape(-1, n, n)

    def _overlaps(self, counts: np.ndarray) -> dict[Place, NDArray[np.float64]]:
        """The scores of pixels by their place in metrics.json, (...) each. counts: (..., n, n)."""
        labels = self.labels
        found: dict[Place, NDArray[np.float64]] = {}
        for name, score in (("dice", dice), ("iou", iou)):
            counted = score(counts)
            found |= {(name, "per_class", one): counted[..., i] for i, one in enumerate(labels.names)}
            if labels.regions:
                counted = score(grouped(counts, labels.membership))[..., 1]
                regions = enumerate(labels.regions)
                found |= {(name, "per_region", one.name): counted[..., i] for i, one in regions}
            found[name, "mean_foreground"] = mean_defined(counted[..., list(labels.counted)], axis=-1)
        found["iou", "mean"] = mean_defined(iou(counts), axis=-1)
        found["pixel_error",] = pixel_error(counts)
        return found

    def _columns(self, counts: np.ndarray) -> NDArray[np.float64]:
        """The same as columns, (..., places)."""
        return np.stack(list(self._overlaps(counts).values()), axis=-1)

    def _named(self, pooled: NDArray[np.float64], per_image: NDArray[np.float64]) -> dict[str, Any]:
        """Columns (places,), or interval ends (2, places), under the names of metrics.json."""
        cells = {}
        for kind, columns in (("pooled", pooled), ("per_image", per_image)):
            for (score, *within), cell in zip(self.places, columns.T, strict=True):
                if within or kind == "pooled":
                    cells[(score, kind, *within) if within else (score,)] = cell
        return nested(cells)

    def _undefined(self, columns: NDArray[np.float64]) -> dict[str, Any]:
        """In how many images a score is undefined, since the class is in neither truth nor prediction."""
        missing = zip(self.places, np.isnan(columns).sum(axis=0), strict=True)
        undefined = nested({place[1:]: int(count) for place, count in missing if place[0] == "dice"})
        if self.labels.boundary is not None:
            undefined["v_rand"] = sum(math.isnan(image.v_rand) for image in self.images)
        return undefined | self.shapes.undefined()

    def _intervals(self, counts: NDArray[np.int64], columns: NDArray[np.float64]) -> dict[str, Any]:
        pooled = interval(counts, lambda some: self._columns(some.sum(axis=0)))
        per_image = interval(columns, lambda some: mean_defined(some, axis=0))
        of_regions = np.array([(image.v_rand, image.v_info) for image in self.images]).reshape(-1, 2)
        regions = interval(of_regions, lambda some: mean_defined(some, axis=0))
        return {
            **self._named(pooled, per_image),
            "v_rand": regions[:, 0],
            "v_info": regions[:, 1],
            **self.shapes.intervals(),
        }
