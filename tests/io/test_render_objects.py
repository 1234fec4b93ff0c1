"""Outlines and boxes over an image."""

from __future__ import annotations

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap, default_classes
from reunet.io.render import draw_boxes, outlines

LABELS = LabelMap(classes=default_classes([0, 1, 2]))
GREY = np.full((40, 60, 1), 120, np.uint8)


def test_an_outline_lies_inside_of_its_object() -> None:
    ids = np.zeros((40, 60), np.int32)
    ids[5:15, 5:15], ids[5:15, 15:25], ids[30, 50] = 1, 700, 3
    shown = outlines(GREY, ids)
    changed = (shown != GREY).any(axis=2)
    assert not changed[ids == 0].any()
    assert not changed[7:13, 7:13].any()
    assert changed[5:15, 14:16].all()  # touching objects: one line for each
    assert (shown[10, 14] != shown[10, 15]).any()
    assert changed[30, 50]
    assert (GREY == 120).all()


def test_boxes_run_along_their_first_and_last_pixels() -> None:
    boxes = Boxes(
        np.array([[20, 10, 30, 50]], np.float32), np.array([1], np.uint8), np.array([0.5], np.float32)
    )
    shown = draw_boxes(GREY, boxes, LABELS)
    color = np.array(LABELS.classes[1].color)
    for row, column in ((20, 10), (20, 49), (29, 10), (29, 49), (25, 10), (20, 30)):
        np.testing.assert_array_equal(shown[row, column], color)
    assert (shown[21:29, 11:49] == 120).all()
    assert (shown[30:] == 120).all()
    assert (shown[5:19, 12:30] != 120).any()  # name and score
    without = draw_boxes(GREY, Boxes(boxes.corners, boxes.classes), LABELS)
    assert (without != shown).any()


def test_odd_boxes_give_a_picture() -> None:
    corners = np.array([[-5, -5, 2, 2], [0, 0, 0.2, 0.2], [39, 59, 80, 90]], np.float32)
    shown = draw_boxes(GREY, Boxes(corners, np.zeros(3, np.uint8)), LABELS)
    assert shown.shape == (40, 60, 3)
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8))
    np.testing.assert_array_equal(draw_boxes(GREY, none, LABELS), np.repeat(GREY, 3, axis=2))
