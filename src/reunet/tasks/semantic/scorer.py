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
from reunet.tasks.scorer import Scorer as Skeleton
from reunet.tasks.semantic.decode import threshold
from reunet.tasks.semantic.fit import true_regions
from reunet.tasks.semantic.partial import merged_labels, merged_probabilities
from reunet.tasks.semantic.shape_scores import Shapes
from reunet.tasks.semantic.video_scores import VideoScores

NAN = float("nan")


@dataclass(frozen=True)
class ImageScore:
    """The scores of one image; nan where undefined."""

    id: str
    counts: NDArray[np.int64]
    auc: float = NAN
    average_precision: float = NAN
    v_rand: float = NAN
    v_info: float = NAN
    ece: float = NAN


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
        self.names = (*labels.names, *(region.name for region in labels.regions))
        self.counted = [i + len(labels.names) * bool(labels.regions) for i in labels.counted]
        self.shapes = Shapes(labels)
        self.ranking = {index: RankingHistogram() for index in labels.counted}
        self.reliability = ReliabilityHistogram()
        self.has_probabilities = False
        self.video = VideoScores(labels)

    def add(self, case: str, truth: Truth, prediction: Prediction) -> None:
        """Score one image, known as `case`: its labels, and the probabilities where there are any.

        Raises LabelError when the sizes differ or labelled pixels have no predicted class.
        """
        if truth.labels is None or prediction.labels is None:
            return
        labels, classes = merged_labels(prediction.labels, truth.classes, self.labels), truth.classes
        probabilities = prediction.probabilities
        if probabilities is not None:
            probabilities = merged_probabilities(probabilities, classes, self.labels)
        self._check(case, truth.labels, labels)
        self._add(case, truth.labels, labels, probabilities)
        self.shapes.add(truth.labels, labels, truth.spacing)
        self.video.add(truth, labels)

    def _add(
        self, case: str, truth: np.ndarray, prediction: np.ndarray, probabilities: np.ndarray | None
    ) -> None:
        counts = confusion(truth, prediction, len(self.labels.classes))
        auc = precision = ece = NAN
        if probabilities is not None:
            self.has_probabilities = True
            labelled = truth != IGNORE
            auc, precision, ece = self._rank(truth[labelled], probabilities[labelled])
        v_rand, v_info = self._regions(truth, prediction, probabilities)
        self.images.append(ImageScore(case, counts, auc, precision, v_rand, v_info, ece))

    def merge(self, other: Scorer) -> None:
        """Add what another one has collected of other images."""
        super().merge(other)
        self.shapes.merge(other.shapes)
        self.video.merge(other.video)
        for index, histogram in self.ranking.items():
            histogram.merge(other.ranking[index])
        self.reliability.merge(other.reliability)
        self.has_probabilities |= other.has_probabilities

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) pixels by true and predicted class over all images."""
        return self._stack().sum(axis=0)

    def main_scores(self) -> NDArray[np.float64]:
        """Mean foreground Dice of each image, nan where no foreground class is present."""
        return self._columns(self._stack())[:, len(self.names)]

    def scores(self) -> dict[str, Any]:
        """What metrics.json tells beside its header; nan where undefined, and counted under `undefined`."""
        counts = self._stack()
        columns = self._columns(counts)
        pooled = self._named(self._columns(counts.sum(axis=0)))
        per_image = self._named(mean_defined(columns, axis=0))
        return {
            "regions": [region.name for region in self.labels.regions],
            "threshold": threshold(self.labels, self.calibration) if self.has_probabilities else None,
            "dice": {"pooled": pooled["dice"], "per_image": per_image["dice"]},
            "iou": {"pooled": pooled["iou"], "per_image": per_image["iou"]},
            "pixel_error": pooled["pixel_error"],
            "auc": _mean([h.auc() for h in self.ranking.values()]),
            "average_precision": _mean([h.average_precision() for h in self.ranking.values()]),
            "v_rand": _mean([image.v_rand for image in self.images]),
            "v_info": _mean([image.v_info for image in self.images]),
            "ece": self.reliability.ece(),
            **self.shapes.metrics(),
            "video": self.video.metrics(),
            "undefined": self._undefined(columns),
            "ci95": self._intervals(counts, columns),
        }

    def image_rows(self) -> Iterator[dict[str, Any]]:
        """Labelled pixels and scores of each image."""
        columns = self._columns(self._stack())
        for image, values, shape in zip(self.images, columns, self.shapes.rows(), strict=True):
            row: dict[str, Any] = {"labelled_pixels": image.counts.sum()}
            named = self._named(values)
            for score in ("dice", "iou"):
                for kind in ("per_class", "per_region"):
                    row |= {f"{score}.{name}": x for name, x in named[score].get(kind, {}).items()}
                row[f"{score}.mean_foreground"] = named[score]["mean_foreground"]
            row |= {"iou.mean": named["iou"]["mean"], "pixel_error": named["pixel_error"]}
            for score in ("auc", "average_precision", "v_rand", "v_info", "ece"):
                row[score] = getattr(image, score)
            yield row | shape

    def _check(self, case: str, truth: np.ndarray, prediction: np.ndarray) -> None:
        if truth.shape != prediction.shape:
            raise LabelError(
                "prediction and truth differ in size",
                where=case,
                expected=f"height and width {truth.shape}",
                received=prediction.shape,
                fix="give both at the original size of the image",
            )
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
        return _mean(areas), _mean(precisions), reliability.ece()

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

    def _columns(self, counts: np.ndarray) -> NDArray[np.float64]:
        """Counts (..., n, n) to (..., 2G + 4): Dice of the G classes and regions, its mean over those that
        count, IoU likewise with the means over those and over the classes, and the pixel error.
        """
        overlap, union = dice(counts), iou(counts)
        means = [mean_defined(union, axis=-1)]
        if self.labels.regions:
            regions = grouped(counts, self.labels.membership)
            overlap = np.concatenate([overlap, dice(regions)[..., 1]], axis=-1)
            union = np.concatenate([union, iou(regions)[..., 1]], axis=-1)
        means += [mean_defined(x[..., self.counted], axis=-1) for x in (overlap, union)]
        parts = [overlap, means[1][..., None], union, means[2][..., None], means[0][..., None]]
        return np.concatenate([*parts, np.asarray(pixel_error(counts))[..., None]], axis=-1)

    def _named(self, columns: NDArray[np.float64]) -> dict[str, Any]:
        """Columns (2G + 4,), or interval ends (2, 2G + 4), under the names of metrics.json."""
        n = len(self.names)
        cells = list(columns.T)
        return {
            "dice": {**self._by_name(cells[:n]), "mean_foreground": cells[n]},
            "iou": {
                **self._by_name(cells[n + 1 : 2 * n + 1]),
                "mean_foreground": cells[2 * n + 1],
                "mean": cells[2 * n + 2],
            },
            "pixel_error": cells[2 * n + 3],
        }

    def _by_name(self, cells: list[Any]) -> dict[str, Any]:
        n = len(self.labels.names)
        found = {"per_class": dict(zip(self.labels.names, cells[:n], strict=True))}
        if self.labels.regions:
            found["per_region"] = dict(zip(self.names[n:], cells[n:], strict=True))
        return found

    def _undefined(self, columns: NDArray[np.float64]) -> dict[str, Any]:
        """In how many images a score is undefined, since the class is in neither truth nor prediction."""
        missing = [int(count) for count in np.isnan(columns).sum(axis=0)]
        n = len(self.names)
        undefined: dict[str, Any] = {**self._by_name(missing[:n]), "mean_foreground": missing[n]}
        if self.labels.boundary is not None:
            undefined["v_rand"] = sum(math.isnan(image.v_rand) for image in self.images)
        return undefined | self.shapes.undefined()

    def _intervals(self, counts: NDArray[np.int64], columns: NDArray[np.float64]) -> dict[str, Any]:
        pooled = self._named(interval(counts, lambda some: self._columns(some.sum(axis=0))))
        per_image = self._named(interval(columns, lambda some: mean_defined(some, axis=0)))
        of_regions = np.array([(image.v_rand, image.v_info) for image in self.images]).reshape(-1, 2)
        regions = interval(of_regions, lambda some: mean_defined(some, axis=0))
        return {
            "dice": {"pooled": pooled["dice"], "per_image": per_image["dice"]},
            "iou": {"pooled": pooled["iou"], "per_image": per_image["iou"]},
            "pixel_error": pooled["pixel_error"],
            "v_rand": regions[:, 0],
            "v_info": regions[:, 1],
            **self.shapes.intervals(),
        }


def _mean(values: list[float]) -> float:
    return float(mean_defined(np.array(values, np.float64)))
