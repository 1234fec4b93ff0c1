"""The arrays of a case as planning and training see them: with class indices instead of stored values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.truth import Truth
from reunet.datasets.cache import Array, Stored, kept_beside, mapped
from reunet.datasets.cases import Case, FrameSequence
from reunet.datasets.palettes import check_used, used_in
from reunet.datasets.reading import Reading, content_hash, read_case
from reunet.errors import LabelError
from reunet.io.masks import check_shape, encode_mask, lossy_mask


@dataclass(frozen=True, eq=False)
class CaseArrays:
    """The arrays of one case; each access maps the file anew, so that thousands of cases hold no open file.

    content: SHA-256 of the content of its files and of its annotations.
    spacing: of a volume, mm per axis of space; None for images. stated: the spacing of the header, None where
    the file states none. on_map: whether the header tells a place on Earth.
    beside: what is known of it beside its arrays: boxes, category, classes.
    told: (*space) bool, where boxes are; None for wherever `labels` says so. corrected: as of the case.
    """

    id: str
    pixels: Array
    indices: Array | None
    content: str
    spacing: tuple[float, ...] | None = None
    sequence: FrameSequence | None = None
    ids: Array | None = None
    beside: Truth = field(default_factory=Truth)
    told: Array | None = None
    corrected: bool = False
    stated: tuple[float, ...] | None = None
    on_map: bool = False

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
        known = None if self.told is None else mapped(self.told)
        return replace(self.beside, labels=self.labels, objects=self.objects, known=known)

    @property
    def key(self) -> str:
        """Where its arrays lie in the cache; empty where they are in memory."""
        arrays = (self.pixels, self.indices, self.ids, self.told)
        files = [one.path for one in arrays if isinstance(one, Stored)]
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
    beside = Truth(boxes=_boxes(case, labels, encoded), category=case.category, classes=case.classes)
    content = content_hash(case, reading.hashes)
    spacing, told = None if header is None else header.voxel, encoded.get("known")
    stated = None if header is None else header.spacing
    on_map = header is not None and header.map is not None
    rest = (spacing, case.sequence, ids, beside, told, case.corrected, stated, on_map)
    return CaseArrays(case.id, image, indices, content, *rest)


def _boxes(case: Case, labels: LabelMap, encoded: Mapping[str, Array]) -> Boxes | None:
    """The boxes of a case: those that are told, or derived from its labels. Raises LabelError for volumes."""
    if (kept := encoded.get("boxes")) is not None:
        rows = mapped(kept)
        return Boxes(rows[:, :4].astype(np.float32), rows[:, 4].astype(np.uint8))
    if case.objects is not None:
        return case.objects.boxes
    indices = encoded.get("labels")
    return None if indices is None or not case.boxed else _derived(case, labels, mapped(indices))


def _derived(case: Case, labels: LabelMap, indices: np.ndarray) -> Boxes:
    if indices.ndim != 2:
        raise LabelError("boxes are derived from masks of images, not of volumes", where=case.files.mask)
    return boxes_from_masks(indices, [labels.names.index(name) for name in case.boxed])


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
    """What annotates a case, as arrays: `labels` (*space) uint8 class indices; `objects` (*space) int32 that
    are told as shapes; where a part of the image is unknown, `boxes` (n, 5) float32 corners and classes of
    those that are known and `known` (*space) bool where boxes are told.

    Without a mask, labels are those of the objects: the one foreground class, or the classes of the shapes.
    What was made once is kept in the cache beside what was read. Raises LabelError.
    """
    stored, told = reading.arrays, case.objects
    if told is not None and reading.header is not None:
        check_shape(case.image, told.size, reading.header, "annotation")
    is_shaped = told is not None and told.shaped and "ids" not in stored
    is_partly = "fov" in stored and (told is not None or bool(case.boxed))
    if told is not None:
        is_partly |= "mask" in stored or len(told.unknown) > 0 or (is_shaped and None in told.shapes)
    names = ["labels"] * ("mask" in stored or "ids" in stored or is_shaped)
    names += ["objects"] * is_shaped + ["boxes", "known"] * is_partly
    if not names:
        return {}
    part = f"{labels.model_dump_json()} {told.content() if told is not None else ''} {case.boxed}"

    def make() -> dict[str, np.ndarray]:
        return {name: array for name, array in _encode(case, reading, labels).items() if name in names}

    return kept_beside(stored.get("image"), names, part, make)


def _encode(case: Case, reading: Reading, labels: LabelMap) -> dict[str, np.ndarray]:
    arrays = {name: mapped(array) for name, array in reading.arrays.items()}
    background = next((i for i in range(len(labels.classes)) if i not in labels.foreground), 0)
    found: dict[str, np.ndarray] = {}
    told, ids = case.objects, arrays.get("ids")
    shapes = None if told is None or ids is not None else told.objects()
    if shapes is not None:
        ids = found["objects"] = shapes.ids
        indices = np.where(ids > 0, shapes.classes[ids], np.uint8(background))
        found["labels"] = _only_where(shapes.known, indices)
    elif ids is not None:
        found["labels"] = np.where(ids > 0, labels.foreground[0], background).astype(np.uint8)
    if "mask" in arrays and case.files.mask is not None:
        raw, table = arrays["mask"], arrays.get("palette")
        if labels.encoding == "rgb" and table is not None:
            raw = table[np.minimum(raw, len(table) - 1)]
        elif (table is not None or reading.headers["mask"].value_names) and (
            used := used_in(case.files.mask, reading, colours=False)
        ):
            check_used(used, labels)
        found["labels"] = _encoded_mask(raw, case.files.mask, reading, labels)
    truth = _known(case, arrays, found.get("labels"), ids, labels)
    if truth.labels is not None:
        found["labels"] = truth.labels
    if truth.boxes is not None and truth.known is not None:
        found["boxes"] = np.column_stack([truth.boxes.corners, truth.boxes.classes]).astype(np.float32)
        found["known"] = truth.known
    return found


def _known(
    case: Case,
    arrays: Mapping[str, np.ndarray],
    indices: np.ndarray | None,
    ids: np.ndarray | None,
    labels: LabelMap,
) -> Truth:
    """Labels and boxes without what lies where nothing is known: outside the field of view, in crowds and
    `difficult` objects, where the mask is unlabelled.
    """
    told, truth = case.objects, Truth(indices)
    if told is not None:
        known = told.known(ids)
        limited = indices if indices is None else _only_where(known, indices)
        everywhere = np.ones(told.size, np.bool_)
        truth = Truth(limited, boxes=told.boxes, known=everywhere if known is None else known)
        if "mask" in arrays and indices is not None:
            truth = truth.within(indices != IGNORE)
    elif case.boxed and indices is not None and "fov" in arrays:
        truth = Truth(indices, boxes=_derived(case, labels, indices))
    return truth.within(arrays["fov"]) if "fov" in arrays else truth


def _only_where(known: np.ndarray | None, indices: np.ndarray) -> np.ndarray:
    return indices if known is None else np.where(known, indices, np.uint8(IGNORE))


def _encoded_mask(raw: np.ndarray, path: Path, reading: Reading, labels: LabelMap) -> np.ndarray:
    try:
        return encode_mask(raw, labels, path)
    except LabelError as cause:
        if not reading.headers["mask"].lossy:
            raise
        raise lossy_mask(path, cause) from cause
