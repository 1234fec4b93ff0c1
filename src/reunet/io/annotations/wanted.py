"""The objects that a file is to tell of an image, held against those that it tells already."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.annotations.coco_write import box_entries, object_entries

E = TypeVar("E")
Corners = tuple[float, float, float, float]

_SAME = 0.01
"""Pixels by which the corners of one box differ, at most, as files round them."""


@dataclass(frozen=True)
class Wanted:
    """An object as it is to be. corners: y0, x0, y1, x1. category: its class index. entry: of COCO, see
    `coco_write`. same: corners and class of the entry that tells it already; None for a new or changed shape.
    """

    corners: Corners
    category: int
    entry: dict[str, Any]
    same: tuple[Corners, int] | None


@dataclass
class Told(Generic[E]):
    """An entry of a file: what it tells, and how it is written there."""

    corners: Corners
    category: int
    entry: E


def wanted_boxes(boxes: Boxes) -> list[Wanted]:
    """Boxes without pixels; one that is where it was is the same."""
    found = zip(boxes.corners.tolist(), boxes.classes.tolist(), box_entries(boxes), strict=True)
    return [
        Wanted(tuple(corners), category, entry, (tuple(corners), category))
        for corners, category, entry in found
    ]


def wanted_objects(ids: np.ndarray, classes: np.ndarray, before: AnnotatedImage) -> list[Wanted]:
    """Objects of `ids` (H, W) with the class indices (max id + 1,); ids are those that `before.objects()`
    gave.

    An object with the pixels and the class that it had is the same.
    """
    now = before.objects()
    old = np.zeros_like(ids) if now is None else now.ids
    found = []
    for entry in object_entries(ids, classes):
        number, category = entry.pop("object_id"), entry["category"]
        left, top, width, height = entry["bbox"]
        same = None
        is_known = 0 < number <= len(before.boxes) and before.boxes.classes[number - 1] == category
        if is_known and np.array_equal(ids == number, old == number):
            same = tuple(before.boxes.corners[number - 1].tolist()), category
        found.append(Wanted((top, left, top + height, left + width), category, entry, same))
    return found


def settled(
    wanted: Iterable[Wanted], told: Sequence[Told[E]]
) -> tuple[list[Told[E]], list[Told[E]], list[Wanted]]:
    """Entries that stay as they are, entries that go, and objects that need a new one."""
    left, kept, new = list(told), [], []
    for one in wanted:
        match = None
        if one.same is not None:
            corners, category = one.same
            match = next(
                (
                    entry
                    for entry in left
                    if entry.category == category
                    and max(abs(a - b) for a, b in zip(entry.corners, corners, strict=True)) <= _SAME
                ),
                None,
            )
        if match is None:
            new.append(one)
        else:
            left.remove(match)
            kept.append(match)
    return kept, left, new
