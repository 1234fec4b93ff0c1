"""Boxes that are wrong or missed, cut out of their images."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap
from reunet.contracts.results import Scored
from reunet.io.render import to_display
from reunet.report.content import Color, Exhibit, Gallery
from reunet.report.cutouts import MOST_PER_IMAGE, enlarge, window, worst
from reunet.report.examples import FALSE_ALARM, MISSED, Picture
from reunet.tasks.detection.matching import box_iou
from reunet.tasks.detection.scorer import ImageScore, Scorer

LOST, MISTAKEN = 0, 1
"""Sides of a mistake: a true box, or a predicted one."""


def mistakes(scorer: Scorer) -> Gallery:
    """The surest false alarms and the largest misses."""
    return Gallery(
        "Worst mistakes",
        f"False alarms, the surest first, and missed objects, the largest first; at most {MOST_PER_IMAGE} of "
        "an image. The one that is meant has the thick frame.",
        [*_false_alarms(scorer), *_misses(scorer)],
        [(MISSED, "true"), (FALSE_ALARM, "predicted")],
        small=True,
    )


def _false_alarms(scorer: Scorer) -> list[Exhibit]:
    """Predicted boxes above the thresholds that are wrong."""
    wrong = [np.where(image.found < 0, image.seen.sureness, np.nan) for image in scorer.images]
    return [_cutout("false alarms", scorer, (number, i), MISTAKEN) for number, i in worst(wrong)]


def _misses(scorer: Scorer) -> list[Exhibit]:
    """True boxes that no predicted box above the thresholds finds."""
    missed = [np.where(found(image), np.nan, image.truth.areas) for image in scorer.images]
    return [_cutout("missed", scorer, (number, i), LOST) for number, i in worst(missed)]


def _cutout(group: str, scorer: Scorer, place: tuple[int, int], side: int) -> Exhibit:
    """A box with what is there on the other side. place: of its image, and its own in it."""
    image, i = scorer.images[place[0]], place[1]
    sides = (image.truth, image.seen)
    own, other = sides[side], sides[1 - side]
    iou = box_iou(own.corners[i], other.corners)
    best = int(iou.argmax()) if iou.any() else -1
    against = (
        f"IoU {iou[best]:.2f} with {_named(other, best, scorer.labels)}" if best >= 0 else "nothing there"
    )
    draw = partial(_cut, sides=sides, side=side, i=i)
    return Exhibit(group, image.id, f"{_named(own, i, scorer.labels)}: {against}", draw)


def _cut(scored: Scored, sides: tuple[Boxes, Boxes], side: int, i: int) -> list[tuple[str, Picture]]:
    """The surroundings of box `i` of one side, with the boxes of both."""
    size = size_of(scored.image, sides)
    whole = np.full((*size, 3), 200, np.uint8) if scored.image is None else to_display(scored.image)
    rows, columns = window(sides[side].corners[i].tolist(), size)
    (picture,) = enlarge(whole[rows, columns])
    picture = picture.copy()
    factor = picture.shape[0] / (rows.stop - rows.start)
    moved = [(boxes.corners - [rows.start, columns.start] * 2) * factor for boxes in sides]
    draw_frames(picture, moved[LOST], MISSED, 1)
    draw_frames(picture, moved[MISTAKEN], FALSE_ALARM, 1)
    draw_frames(picture, moved[side][i : i + 1], (MISSED, FALSE_ALARM)[side], 3)
    return [("cutout", picture)]


def draw_frames(picture: Picture, corners: np.ndarray, color: Color, width: int) -> None:
    """Draw boxes (n, 4) onto a picture (H, W, 3) uint8."""
    import cv2

    for y0, x0, y1, x1 in np.round(corners).astype(int).tolist():
        cv2.rectangle(picture, (x0, y0), (max(x1 - 1, x0), max(y1 - 1, y0)), color, width)


def _named(boxes: Boxes, i: int, labels: LabelMap) -> str:
    name = labels.names[boxes.classes[i]]
    return f"true {name}" if boxes.scores is None else f"{name} {boxes.scores[i]:.2f}"


def size_of(image: np.ndarray | None, boxes: tuple[Boxes, Boxes]) -> tuple[int, int]:
    """Height and width of the image, or of what the boxes need."""
    if image is not None:
        return image.shape[0], image.shape[1]
    ends = np.concatenate([one.corners[:, 2:].reshape(-1, 2) for one in boxes])
    height, width = np.ceil(ends.max(axis=0, initial=1)).astype(int).tolist()
    return height, width


def found(image: ImageScore) -> NDArray[np.bool_]:
    """Which true boxes are found."""
    return np.isin(np.arange(len(image.truth)), image.found)
