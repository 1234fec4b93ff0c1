"""Objects that were missed or invented, cut out of their images."""

from __future__ import annotations

from functools import partial

import numpy as np

from reunet.contracts.results import Scored
from reunet.io.render import contour, to_display
from reunet.report.content import Exhibit, Gallery, format_count
from reunet.report.cutouts import MOST_PER_IMAGE, enlarge, window, worst
from reunet.report.examples import FALSE_ALARM, MISSED, Picture
from reunet.tasks.instances.scorer import Objects, Scorer

TRUE, PREDICTED = 0, 1
"""Sides: a missed object is a true one, an invented one is predicted."""


def mistakes(scorer: Scorer) -> Gallery:
    """The largest objects without a partner."""
    return Gallery(
        "Worst mistakes",
        f"False alarms and missed objects, the largest first, at most {MOST_PER_IMAGE} of an image. The one "
        "that is meant has the thick outline.",
        [*_exhibits("false alarms", scorer, PREDICTED), *_exhibits("missed", scorer, TRUE)],
        [(MISSED, "true"), (FALSE_ALARM, "predicted")],
        small=True,
    )


def _exhibits(group: str, scorer: Scorer, side: int) -> list[Exhibit]:
    objects = [(image.true, image.predicted)[side] for image in scorer.images]
    chosen = worst([np.where(one.paired, np.nan, one.areas) for one in objects])
    return [
        Exhibit(
            group,
            scorer.images[number].id,
            _text(objects[number], i),
            partial(_cut, side=side, number=int(objects[number].ids[i])),
        )
        for number, i in chosen
    ]


def _text(objects: Objects, i: int) -> str:
    size = f"{format_count(objects.areas[i])} pixels"
    best = f"best IoU {objects.iou[i]:.2f}" if objects.iou[i] else "nothing there"
    return f"{size}, {best}"


def _cut(scored: Scored, side: int, number: int) -> list[tuple[str, Picture]]:
    """The surroundings of one object with the outlines of both sides; the slice where it is largest."""
    maps, image = [scored.truth.objects, scored.prediction.instances], scored.image
    if maps[0] is None or maps[1] is None:
        return []
    sides = [np.asarray(one) for one in maps]
    if sides[0].ndim == 3:
        plane = int((sides[side] == number).sum(axis=(1, 2)).argmax())
        sides, image = [one[plane] for one in sides], None if image is None else image[plane]
    whole = np.full((*sides[0].shape, 3), 200, np.uint8) if image is None else to_display(image)
    y, x = np.nonzero(sides[side] == number)
    part = window((y.min(), x.min(), y.max() + 1, x.max() + 1), sides[0].shape)
    picture, *sides = enlarge(whole[part], *(one[part].astype(np.int32) for one in sides))
    picture = picture.copy()
    for ids, color in zip(sides, (MISSED, FALSE_ALARM), strict=True):
        picture[contour(ids, 1) & (ids > 0)] = color
    picture[contour(sides[side] == number, 2)] = (MISSED, FALSE_ALARM)[side]
    return [("cutout", picture)]
