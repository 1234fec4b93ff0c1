"""Collects images and gives the content of metrics.json and metrics.csv."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.plan import Calibration
from reunet.contracts.plan import Task as TaskName
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import LabelError
from reunet.metrics.bootstrap import interval
from reunet.metrics.calibration import ReliabilityHistogram
from reunet.metrics.overlap import confusion, dice, iou, mean_defined, pixel_error
from reunet.metrics.ranking import RankingHistogram
from reunet.metrics.regions import rand_scores, regions_from_boundary
from reunet.tasks.base import as_json
from reunet.tasks.semantic.decode import threshold
from reunet.tasks.semantic.fit import true_regions
from reunet.tasks.semantic.video import VideoScores

SCHEMA_VERSION = 1

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


class Scorer:
    """Scores of semantic segmentation over the images of one split.

    Pooled scores count the pixels of all images together; per-image scores are means over images.
    AUC and average precision are pooled over pixels, each foreground class against the rest, then
    averaged over those classes. V_rand and V_info are means over images.
    """

    task: TaskName = "semantic"

    def __init__(self, labels: LabelMap, calibration: Calibration, split: str) -> None:
        self.labels, self.calibration, self.split = labels, calibration, split
        self.images: list[ImageScore] = []
        self.ranking = {index: RankingHistogram() for index in labels.foreground}
        self.reliability = ReliabilityHistogram()
        self.has_probabilities = False
        self.video = VideoScores(labels)

    def add(self, case: str, truth: Truth, prediction: Prediction) -> None:
        """Score one image, known as `case`: its labels, and the probabilities where there are any.

        Raises LabelError when the sizes differ or labelled pixels have no predicted class.
        """
        if truth.labels is not None and prediction.labels is not None:
            self._add(case, truth.labels, prediction.labels, prediction.probabilities)
            self.video.add(truth, prediction.labels)

    def _add(
        self, case: str, truth: np.ndarray, prediction: np.ndarray, probabilities: np.ndarray | None
    ) -> None:
        self._check(case, truth, prediction)
        counts = confusion(truth, prediction, len(self.labels.classes))
        auc = precision = ece = NAN
        if probabilities is not None:
            self.has_probabilities = True
            labelled = truth != IGNORE
            auc, precision, ece = self._rank(truth[labelled], probabilities[labelled])
        v_rand, v_info = self._regions(truth, prediction, probabilities)
        self.images.append(ImageScore(case, counts, auc, precision, v_rand, v_info, ece))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes) pixels by true and predicted class over all images."""
        return self._stack().sum(axis=0)

    def image_scores(self) -> dict[str, float | None]:
        """Mean foreground Dice of each image, None where no foreground class is present."""
        scores = self._columns(self._stack())[:, len(self.labels.classes)]
        return {image.id: _number(score) for image, score in zip(self.images, scores, strict=True)}

    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json; undefined scores are None and counted under `undefined`."""
        counts = self._stack()
        columns = self._columns(counts)
        pooled = self._named(self._columns(counts.sum(axis=0)))
        per_image = self._named(mean_defined(columns, axis=0))
        return {
            "schema_version": SCHEMA_VERSION,
            "task": self.task,
            "split": self.split,
            "n_images": len(self.images),
            "classes": [
                {"id": entry.id, "name": entry.name, "foreground": entry.foreground}
                for entry in self.labels.classes
            ],
            "threshold": threshold(self.labels, self.calibration) if self.has_probabilities else None,
            "dice": {"pooled": pooled["dice"], "per_image": per_image["dice"]},
            "iou": {"pooled": pooled["iou"], "per_image": per_image["iou"]},
            "pixel_error": pooled["pixel_error"],
            "auc": _number(_mean([h.auc() for h in self.ranking.values()])),
            "average_precision": _number(_mean([h.average_precision() for h in self.ranking.values()])),
            "v_rand": _number(_mean([image.v_rand for image in self.images])),
            "v_info": _number(_mean([image.v_info for image in self.images])),
            "ece": _number(self.reliability.ece()),
            "video": as_json(self.video.metrics()),
            "undefined": self._undefined(columns),
            "ci95": self._intervals(counts, columns),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per image for metrics.csv: id, labelled pixels, scores; None where undefined."""
        rows = []
        for image, values in zip(self.images, self._columns(self._stack()), strict=True):
            row: dict[str, Any] = {"id": image.id, "labelled_pixels": int(image.counts.sum())}
            named = self._named(values)
            for score in ("dice", "iou"):
                row |= {f"{score}.{name}": value for name, value in named[score]["per_class"].items()}
                row[f"{score}.mean_foreground"] = named[score]["mean_foreground"]
            row |= {"iou.mean": named["iou"]["mean"], "pixel_error": named["pixel_error"]}
            for score in ("auc", "average_precision", "v_rand", "v_info", "ece"):
                row[score] = _number(getattr(image, score))
            rows.append(row)
        return rows

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
        for index, pooled in self.ranking.items():
            histogram = RankingHistogram()
            histogram.add(probabilities[:, index], truth == index)
            areas.append(histogram.auc())
            precisions.append(histogram.average_precision())
            pooled.merge(histogram)
        reliability = ReliabilityHistogram()
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
        """Counts (..., n, n) to (..., 2n + 4): Dice per class, its mean, IoU per class, its means, error."""
        foreground = list(self.labels.foreground)
        overlap, union = dice(counts), iou(counts)
        means = [mean_defined(x, axis=-1) for x in (overlap[..., foreground], union[..., foreground], union)]
        parts = [overlap, means[0][..., None], union, means[1][..., None], means[2][..., None]]
        return np.concatenate([*parts, np.asarray(pixel_error(counts))[..., None]], axis=-1)

    def _named(self, columns: NDArray[np.float64]) -> dict[str, Any]:
        """Columns (2n + 4,), or interval ends (2, 2n + 4), under the names of metrics.json."""
        n, names = len(self.labels.classes), self.labels.names
        cells = [_number(column) if columns.ndim == 1 else _ends(column) for column in columns.T]
        return {
            "dice": {"per_class": dict(zip(names, cells[:n], strict=True)), "mean_foreground": cells[n]},
            "iou": {
                "per_class": dict(zip(names, cells[n + 1 : 2 * n + 1], strict=True)),
                "mean_foreground": cells[2 * n + 1],
                "mean": cells[2 * n + 2],
            },
            "pixel_error": cells[2 * n + 3],
        }

    def _undefined(self, columns: NDArray[np.float64]) -> dict[str, Any]:
        """In how many images a score is undefined, since the class is in neither truth nor prediction."""
        missing = [int(count) for count in np.isnan(columns).sum(axis=0)]
        n = len(self.labels.classes)
        undefined: dict[str, Any] = {
            "per_class": dict(zip(self.labels.names, missing[:n], strict=True)),
            "mean_foreground": missing[n],
        }
        if self.labels.boundary is not None:
            undefined["v_rand"] = sum(math.isnan(image.v_rand) for image in self.images)
        return undefined

    def _intervals(self, counts: NDArray[np.int64], columns: NDArray[np.float64]) -> dict[str, Any]:
        pooled = self._named(interval(counts, lambda some: self._columns(some.sum(axis=0))))
        per_image = self._named(interval(columns, lambda some: mean_defined(some, axis=0)))
        regions = interval(np.array([image.v_rand for image in self.images]), mean_defined)
        return {
            "dice": {"pooled": pooled["dice"], "per_image": per_image["dice"]},
            "iou": {"pooled": pooled["iou"], "per_image": per_image["iou"]},
            "pixel_error": pooled["pixel_error"],
            "v_rand": _ends(regions),
        }


def _mean(values: list[float]) -> float:
    return float(mean_defined(np.array(values, np.float64)))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _ends(pair: np.ndarray) -> list[float] | None:
    return None if np.isnan(pair).any() else [float(pair[0]), float(pair[1])]
