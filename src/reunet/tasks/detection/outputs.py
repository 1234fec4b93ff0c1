"""Boxes as rows of tables, and within a field of view."""

from __future__ import annotations

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.results import Prediction
from reunet.io.annotations.coco_write import box_entries
from reunet.tasks.outputs import Page, Told, listed


def described(result: Prediction, page: Page) -> Told:
    """A row, and an annotation, per box."""
    boxes = result.boxes
    if boxes is None:
        return Told()
    table = {"class": np.array(page.labels.names, object)[boxes.classes]}
    if boxes.scores is not None:
        table["score"] = boxes.scores
    corners = zip(("box_y0", "box_x0", "box_y1", "box_x1"), boxes.corners.T, strict=True)
    return Told((listed({**table, **dict(corners)}),), list(box_entries(boxes)))


def centred(boxes: Boxes, inside: np.ndarray) -> Boxes:
    """The boxes whose centres lie inside, (H, W) bool."""
    centres = ((boxes.corners[:, :2] + boxes.corners[:, 2:]) / 2).astype(np.int64)
    rows, columns = np.clip(centres.T, 0, np.array(inside.shape)[:, None] - 1)
    return boxes.chosen(inside[rows, columns])
