"""Scores of boxes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.metrics.average_precision import IOU, coco_ap, precision_of, resampled_ap
from reunet.metrics.bootstrap import interval
from reunet.metrics.box_matching import NEITHER, RIGHT, judged, matched
from reunet.metrics.overlap import divide, mean_defined
from reunet.tasks.confidence import told
from reunet.tasks.detection.decode import confident, thresholds
from reunet.tasks.detection.targets import check
from reunet.tasks.scorer import Scorer as Skeleton


@dataclass(frozen=True)
class ImageScore:
    """The boxes of one image.

    predicted: all; fates: (10, n) whether they are right, see `judged`. seen: those above the thresholds that
    are right or wrong; found: (n,) the true box that each of these finds, -1 where it is wrong. counts:
    (classes, 3) true, seen and right ones. confusion: see `Scorer.confusion`.
    """

    id: str
    truth: Boxes
    predicted: Boxes
    fates: NDArray[np.int8]
    seen: Boxes
    found: NDArray[np.intp]
    counts: NDArray[np.int64]
    confusion: NDArray[np.int64]

    @property
    def fate(self) -> NDArray[np.int8]:
        """(n,) whether the predicted boxes are right at an IoU of 0.5."""
        return self.fates[0]


class Scorer(Skeleton[ImageScore]):
    """Scores of detection over the images of one split.

    Average precision takes all predicted boxes, from their low floor on; precision, recall, F1 (at an IoU of
    0.5) and the error of the counts take those that reach the calibrated thresholds, as users see them. What
    is found where nothing is known is neither right nor wrong.
    """

    task = "detection"

    @property
    def names(self) -> list[str]:
        """Of the foreground classes."""
        return [self.labels.names[i] for i in self.labels.foreground]

    def add(self, case: str, truth: Truth, prediction: Prediction) -> None:
        """Score one image, known as `case`, with the predicted boxes of all scores (`candidates`).

        Boxes from elsewhere, without scores, all count as certain. Raises LabelError for boxes without an
        area and for classes that are not foreground.
        """
        predicted = prediction.boxes if prediction.candidates is None else prediction.candidates
        true = truth.boxes
        if true is None or predicted is None:
            return
        for boxes in (true, predicted):
            check(boxes, self.labels, where=case)
        fates = judged(true, predicted, truth.boxes_told, IOU.tolist())
        seen = counted(confident(predicted, self.labels, self.calibration), truth)
        found = matched(true, seen)
        n, kept = len(self.labels.classes), list(self.labels.foreground)
        columns = [
            np.bincount(c, minlength=n) for c in (true.classes, seen.classes, seen.classes[found >= 0])
        ]
        counts = np.stack(columns, axis=1)[kept]
        confusion = _confusion(true, seen, n)[np.ix_([*kept, n], [*kept, n])]
        self.images.append(ImageScore(case, true, predicted, fates, seen, found, counts, confusion))

    def main_scores(self) -> NDArray[np.float64]:
        """F1 over all classes of each image, nan where there is neither a true nor a predicted box."""
        return _f1(self._stack().sum(axis=1))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(classes + 1, classes + 1) boxes above the thresholds by true and predicted foreground class.

        Boxes are paired at an IoU of 0.5 whatever their classes. The last row are predicted boxes without a
        true one, the last column true boxes without a predicted one.
        """
        n = len(self.names) + 1
        return np.array([image.confusion for image in self.images], np.int64).reshape(-1, n, n).sum(axis=0)

    def curves(self) -> NDArray[np.float64]:
        """Precision by IoU, recall and foreground class, (10, 101, classes), see `coco_precision`."""
        truths, predictions = [i.truth for i in self.images], [i.predicted for i in self.images]
        return precision_of(truths, predictions, [i.fates for i in self.images], self.labels.foreground)

    def scores(self) -> dict[str, Any]:
        """What metrics.json tells beside its header; nan where undefined."""
        by_class = coco_ap(self.curves())
        counts = self._stack()
        pooled = counts.sum(axis=0)
        cuts = thresholds(self.labels, self.calibration)[list(self.labels.foreground)]
        return {
            "threshold": self._named(cuts),
            "map": mean_defined(mean_defined(by_class, axis=0)),
            "map50": mean_defined(by_class[0]),
            "map75": mean_defined(by_class[5]),
            "per_class": {
                "map": self._named(mean_defined(by_class, axis=0)),
                "map50": self._named(by_class[0]),
                "precision": self._named(divide(pooled[:, 2], pooled[:, 1])),
                "recall": self._named(divide(pooled[:, 2], pooled[:, 0])),
                "f1": self._named(_f1(pooled)),
                "true": self._named(pooled[:, 0]),
                "predicted": self._named(pooled[:, 1]),
            },
            "f1": _f1(pooled.sum(axis=0)),
            "confusion": self.confusion,
            "count_error": {
                "per_class": self._named(_count_error(counts)),
                "all": _count_error(counts.sum(axis=1)),
            },
            "confidence": told(*self.sureness()),
            "ci95": self._intervals(counts),
        }

    def sureness(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """How sure each box above the thresholds is, nan where unknown, and whether it is right."""
        told_of = [
            one.seen.sureness if one.seen.is_rated else np.full(len(one.seen), np.nan) for one in self.images
        ]
        right = [one.found >= 0 for one in self.images]
        return np.concatenate([np.zeros(0), *told_of]), np.concatenate([np.zeros(0, np.bool_), *right])

    def image_rows(self) -> Iterator[dict[str, Any]]:
        """Scores over all classes of each image, numbers of boxes per class."""
        for image in self.images:
            total = image.counts.sum(axis=0)
            row: dict[str, Any] = {
                "precision": divide(total[2], total[1]),
                "recall": divide(total[2], total[0]),
                "f1": _f1(total),
                "count_error": abs(total[0] - total[1]),
            }
            for name, (true, predicted, right) in zip(self.names, image.counts, strict=True):
                row |= {f"true.{name}": true, f"predicted.{name}": predicted, f"right.{name}": right}
            yield row

    def _stack(self) -> NDArray[np.int64]:
        return np.array([image.counts for image in self.images], np.int64).reshape(-1, len(self.names), 3)

    def _named(self, values: np.ndarray) -> dict[str, Any]:
        return dict(zip(self.names, values, strict=True))

    def _intervals(self, counts: NDArray[np.int64]) -> dict[str, Any]:
        return {
            "map50": self._map50_interval(),
            "f1": interval(counts, lambda some: _f1(some.sum(axis=(0, 1)))),
            "count_error": {"all": interval(counts, lambda some: _count_error(some.sum(axis=1)))},
        }

    def _map50_interval(self) -> NDArray[np.float64]:
        """The mean over classes of the average precision at 0.5, over resampled images."""
        if not self.images:
            return np.full(2, np.nan)
        true = self._stack()[:, :, 0]
        image = np.repeat(np.arange(len(self.images)), [len(i.predicted) for i in self.images])
        classes = np.concatenate([i.predicted.classes for i in self.images])
        fate = np.concatenate([i.fate for i in self.images])
        scores = np.concatenate([i.predicted.sureness for i in self.images])
        order = np.argsort(-scores, kind="stable")
        order = order[fate[order] != NEITHER]
        columns = [order[classes[order] == index] for index in self.labels.foreground]

        def map50(drawn: np.ndarray) -> NDArray[np.float64]:
            times = np.bincount(drawn, minlength=len(self.images))
            number = times @ true
            return mean_defined(
                np.array(
                    [
                        resampled_ap(fate[mine] == RIGHT, times[image[mine]], number[k])
                        for k, mine in enumerate(columns)
                    ]
                )
            )

        return interval(np.arange(len(self.images)), map50)


def counted(predicted: Boxes, truth: Truth) -> Boxes:
    """Without those that are neither right nor wrong at an IoU of 0.5, as nothing is known where they are."""
    if truth.boxes is None:
        return predicted
    return predicted.chosen(judged(truth.boxes, predicted, truth.boxes_told)[0] != NEITHER)


def _confusion(truth: Boxes, seen: Boxes, n: int) -> NDArray[np.int64]:
    """(n + 1, n + 1) by true and predicted class, n for none, of boxes paired whatever their class."""
    alike = [replace(boxes, classes=np.zeros_like(boxes.classes)) for boxes in (truth, seen)]
    found = matched(alike[0], alike[1])
    classes = np.append(truth.classes, n).astype(np.intp)
    missed = np.setdiff1d(np.arange(len(truth)), found)
    counts = np.zeros((n + 1, n + 1), np.int64)
    np.add.at(counts, (classes[found], seen.classes.astype(np.intp)), 1)  # -1, nothing found, is the last
    np.add.at(counts, (classes[missed], np.full(len(missed), n)), 1)
    return counts


def _f1(counts: np.ndarray) -> NDArray[np.float64]:
    """Counts (..., 3) true, predicted, right to (...); nan where there is neither."""
    return divide(2 * counts[..., 2], counts[..., 0] + counts[..., 1])


def _count_error(counts: np.ndarray) -> NDArray[np.float64]:
    """Mean absolute error of the number per image; counts: (images, ..., 3), nan without images."""
    return mean_defined(np.abs(counts[..., 0] - counts[..., 1]).astype(np.float64), axis=0)
