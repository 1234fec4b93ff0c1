"""What was drawn in another program as labels of an image of this dataset; a photo may be stored turned."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap
from reunet.corrections.labels import Edited, Kind
from reunet.errors import LabelError
from reunet.io.annotations.annotated_image import AnnotatedImage, ObjectMap
from reunet.io.header import ImageHeader
from reunet.io.masks import encode_mask
from reunet.io.samples import upright
from reunet.tasks.instances.properties import bounding_boxes

UPRIGHT = 1
OUTSIDE = ("box-outside", "box-cut")
"""What readers call outlines that do not lie in the image."""


def turned_like(drawn: np.ndarray, image: ImageHeader) -> np.ndarray:
    """A label image (*space, ...) as the image lies: turned, where it has the sides of the photo as
    stored, which programs show that do not heed its orientation.
    """
    sides = drawn.shape[: len(image.size)]
    if sides != image.size and sides == image.unturned:
        return np.ascontiguousarray(upright(drawn, image.orientation))
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
    read: Callable[[tuple[int, int], Findings], list[ObjectMap]], image: ImageHeader, problems: Findings
) -> list[ObjectMap]:
    """What `read` gives for the size of an image. Where outlines do not lie in it, but in the photo as it is
    stored, they were drawn on that, and are turned.
    """
    first = Findings(problems.root)
    found = read((image.size[0], image.size[1]), first)
    if image.orientation != UPRIGHT and any(one.code in OUTSIDE for one in first):
        again = Findings(problems.root)
        stored = read((image.unturned[0], image.unturned[1]), again)
        if not any(one.code in OUTSIDE for one in again):
            problems += again
            return [replace(one, ids=upright(one.ids, image.orientation)) for one in stored]
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


def from_annotations(
    told: AnnotatedImage, image: ImageHeader, kinds: Sequence[Kind], labels: LabelMap
) -> Edited:
    """What a COCO file tells of an image. Raises LabelError for another size, and for boxes without outlines
    where the dataset tells pixels.
    """
    is_turned = told.size != image.size and told.size == image.unturned
    if told.size != image.size and not is_turned:
        raise LabelError(
            "the annotations are of an image of another size",
            expected=" x ".join(map(str, image.size)),
            received=" x ".join(map(str, told.size)),
        )
    boxes = replace(told.boxes, scores=None)
    if "boxes" in kinds:
        return Edited(boxes=turned_boxes(boxes, image) if is_turned else boxes)
    found = told.objects()
    if found is None and len(boxes):
        fix = "export outlines or run lengths"
        raise LabelError("the file tells boxes only, the dataset tells pixels", fix=fix)
    if found is None:
        found = ObjectMap(np.zeros(told.size, np.int32), np.zeros(1, np.uint8), None)
    if is_turned:
        found = replace(found, ids=np.ascontiguousarray(upright(found.ids, image.orientation)))
    return from_outlines(found, kinds, labels, has_classes=True)


def turned_boxes(boxes: Boxes, image: ImageHeader) -> Boxes:
    """Boxes drawn on a photo as it is stored, as the photo lies."""
    edges = [np.arange(side + 1) for side in image.unturned]
    rows, columns = (upright(one, image.orientation) for one in np.meshgrid(*edges, indexing="ij"))
    corners = np.zeros_like(boxes.corners)
    for i, (y0, x0, y1, x1) in enumerate(np.rint(boxes.corners).astype(int).tolist()):
        places = [np.argwhere((rows == y) & (columns == x))[0] for y, x in ((y0, x0), (y1, x1))]
        corners[i] = [*np.minimum(*places), *np.maximum(*places)]
    return replace(boxes, corners=corners)
