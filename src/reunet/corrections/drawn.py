"""What was drawn in another program as labels of an image of this dataset; a photo may be stored turned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap
from reunet.corrections.labels import Edited, Kind
from reunet.errors import LabelError
from reunet.io.annotations.annotated_image import AnnotatedImage, ObjectMap
from reunet.io.images import read_header
from reunet.io.masks import encode_mask
from reunet.io.samples import upright, upright_sides
from reunet.tasks.instances.properties import bounding_boxes

UPRIGHT = 1
OUTSIDE = ("box-outside", "box-cut")
"""What readers call outlines that do not lie in the image."""


@dataclass(frozen=True)
class Size:
    """The sides of an image as it is read, and the orientation that a photo is stored in.

    Programs that do not heed it show the photo as it is stored, and what is drawn there has those sides.
    """

    upright: tuple[int, ...]
    orientation: int = UPRIGHT

    @classmethod
    def of(cls, image: Path) -> Size:
        """Raises ImageReadError."""
        header = read_header(image)
        return cls(header.size, header.orientation)

    @property
    def stored(self) -> tuple[int, ...]:
        return upright_sides(self.upright, self.orientation)


def turned_like(drawn: np.ndarray, size: Size) -> np.ndarray:
    """A label image (*space, ...) as the image lies: turned, where it has the sides of the photo as
    stored.
    """
    sides = drawn.shape[: len(size.upright)]
    if sides != size.upright and sides == size.stored:
        return np.ascontiguousarray(upright(drawn, size.orientation))
    return drawn


def class_indices(raw: np.ndarray, labels: LabelMap, where: Path) -> np.ndarray:
    """A raw mask as class indices: in the encoding of the dataset, else with the ids of its classes, as
    `predict` writes them. Raises LabelError for values that stand for no class.
    """
    try:
        return encode_mask(raw, labels, where)
    except LabelError:
        plain = labels.model_copy(update={"encoding": "index", "ignore_color": None})
        if labels.encoding == "index":
            if not labels.binary:
                raise
            plain = labels.model_copy(update={"encoding": "binary_255"})
        return encode_mask(raw, plain, where)


def pages_of(
    read: Callable[[tuple[int, int], Findings], list[ObjectMap]], size: Size, problems: Findings
) -> list[ObjectMap]:
    """What `read` gives for an image of that size. Where outlines do not lie in it, but in the photo as it is
    stored, they were drawn on that, and are turned.
    """
    first = Findings(problems.root)
    found = read((size.upright[0], size.upright[1]), first)
    if size.orientation != UPRIGHT and any(one.code in OUTSIDE for one in first):
        again = Findings(problems.root)
        stored = read((size.stored[0], size.stored[1]), again)
        if not any(one.code in OUTSIDE for one in again):
            problems += again
            return [replace(one, ids=upright(one.ids, size.orientation)) for one in stored]
    problems += first
    return found


def from_outlines(drawn: ObjectMap, kinds: Sequence[Kind], labels: LabelMap, *, has_classes: bool) -> Edited:
    """Outlines as what a dataset tells: objects, else boxes around them, else classes of pixels.

    has_classes: whether the outlines tell theirs; else objects keep theirs. Raises LabelError.
    """
    count, foreground = int(drawn.ids.max(initial=0)) + 1, labels.foreground
    classes = drawn.classes if has_classes else np.full(count, foreground[0] if foreground else 0, np.uint8)
    if "instances" in kinds:
        return Edited(objects=drawn.ids, object_classes=classes if has_classes else None)
    if not has_classes and len(foreground) > 1:
        fix = "give label images or GeoJSON, which tell classes"
        raise LabelError("ROIs have no classes, and the dataset has several", fix=fix)
    if "boxes" in kinds:
        ids = np.unique(drawn.ids[drawn.ids > 0])
        corners = bounding_boxes(drawn.ids)[ids].reshape(-1, 4).astype(np.float32)
        return Edited(boxes=Boxes(corners, classes[ids]))
    if "masks" in kinds:
        background = np.uint8(labels.background or 0)
        return Edited(labels=np.where(drawn.ids > 0, classes[drawn.ids], background))
    raise LabelError("the dataset has no labels that outlines tell", received=", ".join(kinds))


def from_annotations(image: AnnotatedImage, size: Size, kinds: Sequence[Kind], labels: LabelMap) -> Edited:
    """What a COCO file tells of an image. Raises LabelError for another size, and for boxes without outlines
    where the dataset tells pixels.
    """
    is_turned = image.size != size.upright and image.size == size.stored
    if image.size != size.upright and not is_turned:
        raise LabelError(
            "the annotations are of an image of another size",
            expected=" x ".join(map(str, size.upright)),
            received=" x ".join(map(str, image.size)),
        )
    boxes = replace(image.boxes, scores=None)
    if "boxes" in kinds:
        return Edited(boxes=turned_boxes(boxes, size) if is_turned else boxes)
    found = image.objects()
    if found is None and len(boxes):
        fix = "export outlines or run lengths"
        raise LabelError("the file tells boxes only, the dataset tells pixels", fix=fix)
    if found is None:
        found = ObjectMap(np.zeros(image.size, np.int32), np.zeros(1, np.uint8), None)
    if is_turned:
        found = replace(found, ids=np.ascontiguousarray(upright(found.ids, size.orientation)))
    return from_outlines(found, kinds, labels, has_classes=True)


def turned_boxes(boxes: Boxes, size: Size) -> Boxes:
    """Boxes drawn on a photo as it is stored, as the photo lies."""
    edges = [np.arange(side + 1) for side in size.stored]
    rows, columns = (upright(one, size.orientation) for one in np.meshgrid(*edges, indexing="ij"))
    corners = np.zeros_like(boxes.corners)
    for i, (y0, x0, y1, x1) in enumerate(np.rint(boxes.corners).astype(int).tolist()):
        places = [np.argwhere((rows == y) & (columns == x))[0] for y, x in ((y0, x0), (y1, x1))]
        corners[i] = [*np.minimum(*places), *np.maximum(*places)]
    return replace(boxes, corners=corners)
