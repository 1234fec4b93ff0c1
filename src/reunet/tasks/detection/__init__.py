"""Detection: a box and a class for each object, without anchors.

Two heads at the resolution of what the network sees: a map of centres per class (Zhou et al. 2019, "Objects
as Points", arXiv 1904.07850) and, at each pixel, the distances to the four sides of the box around it (Tian
et al. 2019, FCOS, arXiv 1904.01355), learned in the middle of each box (Liu et al. 2020, TTFNet, arXiv
1909.00700). The distances start at the pixel itself, so a peak that is a pixel off gives the same box, and
no offset has to be learned.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import Classes, LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.io.annotations.coco_write import box_entries
from reunet.io.render import draw_boxes
from reunet.tasks.base import Maps, Pairs, Task
from reunet.tasks.detection.decode import confident, decode, suppressed, turned_sides
from reunet.tasks.detection.fit import fit_calibration, rated, validation_score
from reunet.tasks.detection.given import is_there, read
from reunet.tasks.detection.scorer import Scorer
from reunet.tasks.detection.targets import BOX, CENTRE, UNIT, targets
from reunet.tasks.exports import Exports
from reunet.tasks.given import Reader
from reunet.tasks.headline import Headline, headlines
from reunet.tasks.outputs import Page, PageRows, listed, with_units

RARE = -4.6
"""Logit of 0.01: before training, centres are expected nowhere. Adam moves a bias by its rate per step, so
from 0 it would take thousands of steps to unlearn centres everywhere.
"""

BOX_WEIGHT = 4.0
"""Of the distances' loss beside that of the centres, which is larger by about so much."""


HEADLINES = {
    "map50": ("mAP50", "mean average precision at IoU 0.5, as COCO computes it"),
    "map": ("mAP", "the same, mean over IoU 0.50 to 0.95"),
    "f1": ("F1", "of the boxes above the thresholds, all classes together"),
    "count_error/all": ("Count error", "boxes too many or too few per image; lower is better"),
}


HEADS = {
    CENTRE: "probability that an object of each foreground class has its centre here; not decoded into boxes",
    BOX: f"log(distance / {UNIT:g}) from here to the top, left, bottom and right side of the box, in pixels; "
    "not decoded",
}


class Detection(Task):
    """The task: centres by class, and the box around each."""

    name = "detection"
    title = "Detection"
    score = "mean average precision at IoU 0.5"
    reader = Reader(is_there, read)
    exports = Exports(HEADS, small=frozenset(HEADS))
    learned_from = ("boxes",)
    reach: Mapping[int, int] = {2: 256}

    def heads(self, classes: Classes, rank: int) -> tuple[HeadSpec, ...]:
        """Centres with a channel per foreground class, in class order; the logarithms of four distances."""
        kinds = len(classes.labels.foreground)
        return (
            HeadSpec(name=CENTRE, channels=kinds, activation="sigmoid", loss="centre", bias=RARE),
            HeadSpec(name=BOX, channels=4, activation="linear", loss="weighted_smooth_l1", weight=BOX_WEIGHT),
        )

    def named_channels(self, classes: Classes) -> Mapping[str, tuple[str, ...]]:
        names = classes.labels.names
        return {CENTRE: tuple(names[index] for index in classes.labels.foreground)}

    def targets(self, truth: Truth, classes: Classes) -> dict[str, np.ndarray]:
        known = truth.boxes_told
        if truth.boxes is None or known is None:
            return {}
        return {**targets(truth.boxes, (known.shape[0], known.shape[1]), classes.labels, known)}

    def turned(self, heads: Mapping[str, np.ndarray], axes: tuple[int, ...]) -> dict[str, np.ndarray]:
        return {BOX: heads[BOX][..., turned_sides(axes)]}

    def decode(self, maps: Maps, classes: Classes, calibration: Calibration) -> Prediction:
        found = suppressed(rated(self._boxes(maps, classes), calibration.box_confidence))
        return Prediction(boxes=confident(found, classes.labels, calibration), candidates=found)

    def decided(self, maps: Maps, classes: Classes, calibration: Calibration) -> np.ndarray:
        """Where a centre is at least as likely as not, by class."""
        return (maps.heads[CENTRE] >= 0.5).astype(np.uint8)

    def scorer(self, classes: Classes, calibration: Calibration, split: str) -> Scorer:
        return Scorer(classes.labels, calibration, split)

    def headlines(self, metrics: Mapping[str, Any]) -> list[Headline]:
        return headlines(metrics, HEADLINES)

    def validation_score(self, pairs: Pairs, classes: Classes) -> float:
        return validation_score(self._arrays(pairs, classes), classes.labels)

    def described(self, result: Prediction, page: Page) -> PageRows:
        """A row, and an annotation, per box."""
        boxes = result.boxes
        if boxes is None:
            return PageRows()
        table = {"class": np.array(page.labels.names, object)[boxes.classes]}
        if boxes.scores is not None:
            table["confidence" if boxes.is_rated else "score"] = boxes.scores
        corners = zip(("box_y0", "box_x0", "box_y1", "box_x1"), boxes.corners.T, strict=True)
        rows = with_units({**table, **dict(corners)}, page.spacing)
        return PageRows((listed(rows),), list(box_entries(boxes)))

    def drawn(self, image: np.ndarray, result: Prediction, labels: LabelMap) -> np.ndarray | None:
        return None if result.boxes is None else draw_boxes(image, result.boxes, labels)

    def within(self, result: Prediction, inside: np.ndarray, labels: LabelMap) -> Prediction:
        """The result with the boxes whose centres lie inside."""
        boxes = result.boxes
        if boxes is None:
            return result
        centres = ((boxes.corners[:, :2] + boxes.corners[:, 2:]) / 2).astype(np.int64)
        rows, columns = np.clip(centres.T, 0, np.array(inside.shape)[:, None] - 1)
        return replace(result, boxes=boxes.chosen(inside[rows, columns]))

    def fit(self, pairs: Pairs, classes: Classes) -> Calibration:
        return fit_calibration(self._arrays(pairs, classes), classes.labels)

    def _boxes(self, maps: Maps, classes: Classes) -> Boxes:
        return maps.placed(decode(maps.heads, classes.labels), CENTRE)

    def _arrays(self, pairs: Pairs, classes: Classes) -> Iterator[tuple[Truth, Boxes]]:
        return ((truth, self._boxes(maps, classes)) for truth, maps in pairs if truth.boxes is not None)


TASK = Detection()
