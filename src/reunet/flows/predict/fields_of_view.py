"""The field of view: what is found outside of it does not count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.results import Prediction
from reunet.datasets.cache import read_fov
from reunet.errors import UsageError
from reunet.flows.predict.outputs import Job
from reunet.io.header import ImageHeader


def field_of_view(job: Job, header: ImageHeader, page: int | None = None) -> np.ndarray | None:
    """Where the image of a job is seen, bool (*space); None for everywhere."""
    return None if job.fov is None else read_fov(job.fov, page, job.axes, header.size)


def outside_value(labels: LabelMap) -> int:
    """The class index written outside the field of view: the background, else unlabelled.

    Raises UsageError when the classes have neither.
    """
    for i in range(len(labels.classes)):
        if i not in labels.foreground:
            return i
    if labels.ignore is None:
        raise UsageError(
            "this run has no background class to write outside the field of view",
            where="--fov",
            received=f"classes {', '.join(labels.names)}",
            fix="predict without --fov",
        )
    return IGNORE


def in_view(result: Prediction, inside: np.ndarray | None, labels: LabelMap) -> Prediction:
    """The result within the field of view, bool (*space), None for everywhere: what an object has outside is
    cut off in place, a box stays where its centre is.
    """
    if inside is None:
        return result
    if result.labels is not None:
        result.labels[~inside] = outside_value(labels)
    if result.instances is not None:
        result.instances[~inside] = 0
    return result if result.boxes is None else replace(result, boxes=_centred(result.boxes, inside))


def _centred(boxes: Boxes, inside: np.ndarray) -> Boxes:
    """The boxes whose centres lie inside, (H, W) bool."""
    centres = ((boxes.corners[:, :2] + boxes.corners[:, 2:]) / 2).astype(np.int64)
    rows, columns = np.clip(centres.T, 0, np.array(inside.shape)[:, None] - 1)
    kept = inside[rows, columns]
    scores = None if boxes.scores is None else boxes.scores[kept]
    return Boxes(boxes.corners[kept], boxes.classes[kept], scores)
