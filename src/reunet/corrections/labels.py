"""The labels of one image: as they are, as a person mended them, and what became of that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE, LabelMap, majority_class
from reunet.contracts.results import Prediction, Problem, Saved
from reunet.errors import LabelError, ReunetError

Kind = Literal["instances", "masks", "boxes", "category"]


class LabelsChangedError(ReunetError):
    """Labels that somebody else has changed since they were read: nothing was written."""


@dataclass(frozen=True)
class Editable:
    """The labels of an image, to be edited.

    name: split and id of the case, as in "train/a". image: its file. size: (*space). kinds: what can be
    edited, the most specific first. labels: (*space) uint8 class indices, IGNORE where unlabelled. objects:
    (*space) int32 ids, 0 outside of all; object_classes: (max id + 1,) uint8 class index by id. category:
    index of the class of the whole image. None for what is not told of this image.
    version: of all that; `Editing.save` takes it back. next_id: the first one that no object has, in no frame
    of its sequence. obstacles: errors say why nothing can be written back, warnings what saving changes.
    """

    name: str
    image: Path
    size: tuple[int, ...]
    kinds: tuple[Kind, ...]
    version: str
    labels: NDArray[np.uint8] | None = None
    objects: NDArray[np.int32] | None = None
    object_classes: NDArray[np.uint8] | None = None
    boxes: Boxes | None = None
    category: int | None = None
    next_id: int = 1
    obstacles: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Edited:
    """Labels as they are to be, of a whole image, page or volume; as of `Editable`, None for what stays.

    object_classes may be left out: then objects keep their classes, and new ones are of the first class.
    """

    labels: np.ndarray | None = None
    objects: np.ndarray | None = None
    object_classes: np.ndarray | None = None
    boxes: Boxes | None = None
    category: int | None = None

    @classmethod
    def of(cls, found: Prediction, labels: LabelMap) -> Edited:
        """What a run predicted, to be mended."""
        if found.instances is not None:
            classes = majority_class(found.instances, found.labels, labels)
            return cls(objects=found.instances, object_classes=classes)
        return cls(labels=found.labels, boxes=found.boxes, category=found.category)

    def checked(self, size: tuple[int, ...], labels: LabelMap, categories: LabelMap | None) -> Edited:
        """The same in the dtypes of `Editable`. Raises LabelError for another size and what is no class."""
        masks = self.labels if self.labels is None else _sized(self.labels, size, "labels").astype(np.uint8)
        objects = self.objects
        if objects is not None:
            objects = _sized(objects, size, "objects").astype(np.int32)
        if objects is not None and objects.min(initial=0) < 0:
            raise LabelError("ids of objects are whole numbers from 0", received=int(objects.min()))
        count = len(labels.classes)
        boxes, classes = self.boxes, self.object_classes
        if masks is not None:
            _classes(masks[masks != IGNORE], count, "labels")
        if objects is not None and classes is not None:
            if len(classes) <= int(objects.max(initial=0)):
                expected = f"{int(objects.max()) + 1}, one by id"
                raise LabelError("object_classes is too short", expected=expected, received=len(classes))
            classes = np.asarray(classes, np.uint8)
            _classes(classes[np.unique(objects[objects > 0])], count, "object_classes", labels)
        if boxes is not None:
            _classes(boxes.classes, count, "boxes", labels)
            boxes = _within(boxes, size)
        if self.category is not None:
            _classes(np.array([self.category]), len(categories.classes) if categories else 0, "category")
        return Edited(masks, objects, classes, boxes, self.category)


def _sized(array: np.ndarray, size: tuple[int, ...], what: str) -> np.ndarray:
    if array.dtype.kind not in "iu" or array.shape != tuple(size):
        expected = f"whole numbers, {' x '.join(map(str, size))} as the image"
        received = f"{array.dtype}, {' x '.join(map(str, array.shape))}"
        raise LabelError(f"the edited {what} do not fit the image", expected=expected, received=received)
    return array


def _classes(found: np.ndarray, count: int, what: str, labels: LabelMap | None = None) -> None:
    """Raise LabelError for indices that are no class, or, given `labels`, none of objects."""
    allowed = set(range(count)) if labels is None else set(labels.foreground or range(count))
    if wrong := sorted(set(np.unique(found).tolist()) - allowed):
        expected = f"one of {sorted(allowed)}"
        raise LabelError(f"{what}: no class has this index", expected=expected, received=wrong[:5])


def _within(boxes: Boxes, size: tuple[int, ...]) -> Boxes:
    """The boxes cut at the edges of the image. Raises LabelError for one without area there."""
    if boxes.corners.shape != (len(boxes.classes), 4) or not np.isfinite(boxes.corners).all():
        raise LabelError("boxes need four finite corners each", received=str(boxes.corners.shape))
    corners = np.clip(boxes.corners, 0, np.tile(np.array(size[-2:], np.float32), 2))
    empty = (corners[:, 2:] <= corners[:, :2]).any(axis=1)
    if empty.any():
        received = ", ".join(f"{side:g}" for side in boxes.corners[empty][0])
        raise LabelError("a box has no area in the image", expected="y0, x0, y1, x1", received=received)
    return Boxes(corners.astype(np.float32), np.asarray(boxes.classes, np.uint8), None)


__all__ = ["Editable", "Edited", "Kind", "LabelsChangedError", "Saved"]
