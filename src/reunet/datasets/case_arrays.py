"""The arrays of a case as planning and training see them: with class indices instead of stored values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.truth import Truth
from reunet.datasets.cache import Array, Stored, kept_beside, mapped
from reunet.datasets.cases import Case, FrameSequence
from reunet.datasets.reading import Reading, content_hash, read_case
from reunet.errors import LabelError
from reunet.io.masks import check_shape, encode_mask, lossy_mask


@dataclass(frozen=True, eq=False)
class CaseArrays:
    """The arrays of one case; each access maps the file anew, so that thousands of cases hold no open file.

    content: SHA-256 of the content of its files and of its annotations.
    spacing: of a volume, mm per axis of space; None for images.
    beside: what is known of it beside its arrays: boxes, category, classes.
    """

    id: str
    pixels: Array
    indices: Array | None
    content: str
    spacing: tuple[float, ...] | None = None
    sequence: FrameSequence | None = None
    ids: Array | None = None
    beside: Truth = field(default_factory=Truth)

    @property
    def image(self) -> np.ndarray:
        """(*space, C) uint8, uint16 or float32 as stored, read-only."""
        return mapped(self.pixels)

    @property
    def labels(self) -> np.ndarray | None:
        """(*space) uint8 class indices, IGNORE where unlabelled or outside the field of view, read-only; None
        where no class of a pixel is told.
        """
        return None if self.indices is None else mapped(self.indices)

    @property
    def objects(self) -> np.ndarray | None:
        """(*space) int32 ids of single objects, 0 outside, read-only; None where none are told."""
        return None if self.ids is None else mapped(self.ids)

    @property
    def truth(self) -> Truth:
        """What is known of it."""
        return replace(self.beside, labels=self.labels, objects=self.objects)

    @property
    def key(self) -> str:
        """Where its arrays lie in the cache; empty where they are in memory."""
        files = [one.path for one in (self.pixels, self.indices, self.ids) if isinstance(one, Stored)]
        return " ".join(f"{path.parent.name}/{path.name}" for path in files)


def load_case(case: Case, labels: LabelMap, *, axes: str | None = None, keep: bool = True) -> CaseArrays:
    """Arrays of a case, from the cache or from its files; keep: put them into the cache.

    Raises ImageReadError, LabelError (another size, unknown values), DataError (pixels that are not finite).
    """
    return case_arrays(case, read_case(case, axes=axes, keep=keep, check=keep), labels)


def case_arrays(case: Case, reading: Reading, labels: LabelMap) -> CaseArrays:
    """The arrays of a case that was read; raises as `load_case` does."""
    image, header = reading.image(case), reading.header
    encoded = encode_case(case, reading, labels)
    indices, ids = encoded.get("labels"), reading.arrays.get("ids", encoded.get("objects"))
    beside = Truth(boxes=_boxes(case, labels, indices), category=case.category, classes=case.classes)
    content = content_hash(case, reading.hashes)
    spacing = None if header is None else header.voxel
    return CaseArrays(case.id, image, indices, content, spacing, case.sequence, ids, beside)


def _boxes(case: Case, labels: LabelMap, indices: Array | None) -> Boxes | None:
    """The boxes of a case: those that are told, or derived from its labels. Raises LabelError for volumes."""
    if case.objects is not None:
        return case.objects.boxes
    if not case.boxed or indices is None:
        return None
    if len(indices.shape) != 2:
        raise LabelError("boxes are derived from masks of images, not of volumes", where=case.files.mask)
    return boxes_from_masks(mapped(indices), [labels.names.index(name) for name in case.boxed])


def boxes_from_masks(labels: np.ndarray, classes: Sequence[int], minimum_area: int = 16) -> Boxes:
    """A box around each connected component (8 neighbours) of the classes in `labels` (H, W) uint8.

    These are derived, not drawn: touching objects share a box, an object behind a pole has two, and
    components of fewer than `minimum_area` pixels are taken to be specks. Scores on them are to be read so.
    """
    import cv2

    corners, found = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.uint8)]
    for index in classes:
        _, _, facts, _ = cv2.connectedComponentsWithStats((labels == index).astype(np.uint8), connectivity=8)
        x, y, width, height, area = facts[1:].T  # the first one is the background
        boxes = np.stack([y, x, y + height, x + width], axis=1)[area >= minimum_area]
        corners.append(boxes.astype(np.float32))
        found.append(np.full(len(boxes), index, np.uint8))
    return Boxes(np.concatenate(corners), np.concatenate(found))


def encode_case(case: Case, reading: Reading, labels: LabelMap) -> Mapping[str, Array]:
    """`labels` (*space) uint8 class indices of a case, and `objects` (*space) int32 that are told as shapes.

    Without a mask, labels are those of the objects: the one foreground class, or the classes of the shapes.
    What was made once is kept in the cache beside what was read. Raises LabelError.
    """
    stored, told = reading.arrays, case.objects
    is_shaped = told is not None and told.shaped and "ids" not in stored
    names = ["labels"] * ("mask" in stored or "ids" in stored or is_shaped) + ["objects"] * is_shaped
    if not names:
        return {}
    part = f"{labels.model_dump_json()} {told.content() if told is not None and is_shaped else ''}"
    return kept_beside(stored.get("image"), names, part, lambda: _encode(case, reading, labels))


def _encode(case: Case, reading: Reading, labels: LabelMap) -> dict[str, np.ndarray]:
    arrays = {name: mapped(array) for name, array in reading.arrays.items()}
    background = next((i for i in range(len(labels.classes)) if i not in labels.foreground), 0)
    found: dict[str, np.ndarray] = {}
    told = None if case.objects is None or "ids" in arrays else case.objects.objects()
    if "ids" in arrays:
        foreground = labels.foreground[0]
        found["labels"] = np.where(arrays["ids"] > 0, foreground, background).astype(np.uint8)
    elif told is not None:
        if reading.header is not None:
            check_shape(case.image, told.ids.shape, reading.header.size, "annotation")
        found["objects"] = told.ids
        found["labels"] = np.where(told.ids > 0, told.classes[told.ids], background).astype(np.uint8)
        if told.known is not None:
            found["labels"][~told.known] = IGNORE
    if "mask" in arrays and case.files.mask is not None:
        try:
            found["labels"] = encode_mask(arrays["mask"], labels, case.files.mask)
        except LabelError as cause:
            if not reading.headers["mask"].lossy:
                raise
            raise lossy_mask(case.files.mask, cause) from cause
    if "fov" in arrays and "labels" in found and arrays["fov"].shape == found["labels"].shape:
        found["labels"][~arrays["fov"]] = IGNORE
    return found
