"""Decoded cases on disk, found by the content of their files: fast to open, never stale."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.findings import Findings
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.truth import Truth
from reunet.datasets.cases import Case, FrameSequence, raise_errors
from reunet.errors import DataError, ImageReadError, LabelError, StorageError
from reunet.io.annotations.ctc import with_identities
from reunet.io.annotations.instances import read_instances, read_object_masks
from reunet.io.images import read_channels, volume_spacing
from reunet.io.masks import encode_mask, is_coloured, read_layer_files, read_mask, read_raw_mask
from reunet.storage import publish_folder, sha256_file

_FORMAT = "2"
"""Raised whenever reading, encoding or storing changes, so that older entries are no longer found."""

MARK_EVERY_S = 3600.0
"""Entries in use are marked as used this often, so that `prune` spares them however long a training is."""

SPARE_S = 7 * 86400.0
"""Entries used within this time are never removed: a training, also of another process, reads them anew."""


_marked: dict[Path, float] = {}
"""When entries were last marked as used, by their folder."""

_one_header = Lock()
"""Held while an .npy header is read: NumPy parses it as Python, and CPython 3.11 fails at that in threads."""


@dataclass(frozen=True)
class Stored:
    """Where an array lies in a file."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def find(cls, path: Path) -> Stored:
        """Read the header of an .npy file. Raises OSError, ValueError or EOFError when it is damaged."""
        with _one_header:
            array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        return cls(path, array.dtype, array.shape, array.offset)

    def array(self) -> np.ndarray:
        """The array, mapped read-only."""
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


Array = np.ndarray | Stored


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


def load_case(case: Case, labels: LabelMap, *, axes: str | None = None) -> CaseArrays:
    """Arrays of a case, from the cache or from its files.

    The key is the content of all files, the class list, page and axes; a cache that cannot be
    written is done without. Raises ImageReadError, LabelError (another size, unknown values), DataError
    (pixels that are not finite).
    """
    content = content_hash(case)
    parts = (_FORMAT, content, labels.model_dump_json(), axes)
    key = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    has_objects = "instances" in case.kinds
    has_labels = has_objects or case.files.mask is not None
    names = ["image"] + ["labels"] * has_labels + ["objects"] * has_objects
    image, encoded, objects = cached(key, names, lambda: read_case(case, labels, axes=axes))
    told = case.annotation
    boxes = boxes_of(case, labels, None if encoded is None else mapped(encoded))
    beside = Truth(boxes=boxes, category=told.category, classes=told.classes)
    return CaseArrays(
        case.id, image, encoded, content, volume_spacing(case.image), case.sequence, objects, beside
    )


def boxes_of(case: Case, labels: LabelMap, encoded: np.ndarray | None) -> Boxes | None:
    """The boxes of a case: those that are told, or derived from `encoded`, its labels (H, W) uint8.

    Raises LabelError for volumes.
    """
    if case.annotation.objects is not None:
        return case.annotation.objects.boxes
    if not case.annotation.boxed or encoded is None:
        return None
    if encoded.ndim != 2:
        raise LabelError("boxes are derived from masks of images, not of volumes", where=case.files.mask)
    from reunet.datasets.derived_boxes import boxes_from_masks

    return boxes_from_masks(encoded, [labels.names.index(name) for name in case.annotation.boxed])


Found = tuple[Array, Array | None, Array | None]
Arrays = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]
"""Image (*space, C); where told, labels (*space) uint8 class indices or IGNORE; objects (*space) int32."""

NAMES = ("image", "labels", "objects")


def cached(
    key: str, names: Collection[str], make: Callable[[], Arrays]
) -> tuple[Array, Array | None, Array | None]:
    """The arrays of these names that lie under `key` in the cache, or those that `make` gives, read-only."""
    folder = cache_folder() / key[:2] / key
    is_there = os.path.isdir(folder)
    found = _open(folder, names)
    if found is not None:
        return found
    made = make()

    def fill(temporary: Path) -> None:
        for name, array in zip(NAMES, made, strict=True):
            if array is not None:
                np.save(temporary / f"{name}.npy", np.ascontiguousarray(array))

    # An entry that another process made since then stays, since that process reads it; a damaged one goes.
    with suppress(StorageError):  # it stayed, or the cache cannot be written: the arrays in memory serve too
        publish_folder(folder, fill, replace=is_there)
    return _open(folder, names) or made


def read_case(case: Case, labels: LabelMap, *, axes: str | None = None) -> Arrays:
    """Image, labels and objects from the files; raises as `load_case` does.

    Labels of a case with objects and no mask: the one foreground class, or those of the objects.
    """
    image = read_channels((case.image, *case.files.channels), page=case.page, axes=axes)
    if image.dtype.kind == "f" and not bool(np.isfinite(image).all()):
        count = int(np.count_nonzero(~np.isfinite(image)))
        raise DataError(
            "the image has values that are not finite",
            where=case.image,
            received=f"{count} NaN or infinite values",
        )
    size = image.shape[:-1]
    objects, encoded = read_objects(case, labels, size, axes)
    if case.files.mask is not None:
        if case.files.layers:
            layers = read_layer_files((case.files.mask, *case.files.layers), case.page, axes)[1]
            encoded = encode_mask(layers, labels, case.files.mask)
        else:
            encoded = read_mask(case.files.mask, labels, case.page, axes)
        check_shape(case.files.mask, encoded.shape, size)
    if case.files.fov is not None and encoded is not None:
        encoded[~read_fov(case.files.fov, case.page, axes, size)] = IGNORE
    return image, encoded, objects


def read_objects(
    case: Case, labels: LabelMap, size: tuple[int, ...], axes: str | None = None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Objects (*space) int32 and the labels that follow from them, (*space) uint8; None where not told."""
    background = next((i for i in range(len(labels.classes)) if i not in labels.foreground), 0)
    problems = Findings(case.image.parent)
    ids = read_ids(case, size, axes, problems)
    raise_errors(problems, case.image)
    if ids is not None:
        return ids, np.where(ids > 0, labels.foreground[0], background).astype(np.uint8)
    told = None if case.annotation.objects is None else case.annotation.objects.objects()
    if told is None:
        return None, None
    check_shape(case.image, told.ids.shape, size, "annotation")
    classes = told.classes[told.ids]
    encoded = np.where(told.ids > 0, classes, background).astype(np.uint8)
    if told.known is not None:
        encoded[~told.known] = IGNORE
    return told.ids, encoded


def read_ids(case: Case, size: tuple[int, ...], axes: str | None, problems: Findings) -> np.ndarray | None:
    """Object ids (*space) int32 from files of their own, None without any; of tracked objects their tracks'.

    Adds what is wrong with masks of single objects, and raises DataError for other files.
    """
    if case.files.object_masks is not None:
        ids = read_object_masks(case.files.object_masks, problems)
        if ids is None:
            return np.zeros(size, np.int32)
        check_shape(case.files.object_masks[0].parent, ids.shape, size, "object mask")
        return ids
    if case.files.instances is None:
        return None
    ids = read_instances(case.files.instances, case.page, axes)
    check_shape(case.files.instances, ids.shape, size, "instances")
    if case.files.markers is not None:
        markers = read_instances(case.files.markers, case.page, axes)
        check_shape(case.files.markers, markers.shape, size, "tracks")
        ids, missing = with_identities(ids, markers)
        if missing:
            message = f"{missing} object(s) are marked by no track"
            problems.warning("object-untracked", case.files.instances, message, "", "", "mark them in TRA/")
    return ids


def read_fov(path: Path, page: int | None, axes: str | None, size: tuple[int, ...]) -> np.ndarray:
    """Field of view: (*space) bool, True inside. A file with one page serves every page of a stack."""
    from reunet.io.images import read_header

    raw = read_raw_mask(path, page if read_header(path, axes).pages > 1 else None, axes)
    inside = (raw.max(axis=-1) if is_coloured(raw) else raw) != 0
    check_shape(path, inside.shape, size, "field of view")
    return inside


def check_shape(path: Path, received: tuple[int, ...], expected: tuple[int, ...], what: str = "mask") -> None:
    """Raise LabelError when a mask has another size than its image; nothing is ever resized to fit."""
    if tuple(received) != tuple(expected):
        raise LabelError(
            f"{what} and image have different sizes",
            where=path,
            expected=f"{_sides(expected)} ({'depth x ' * (len(expected) == 3)}height x width) as the image",
            received=_sides(received),
            fix=f"find the {what} of this image; nothing is resized silently",
        )


def _sides(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def content_hash(case: Case) -> str:
    """SHA-256 over the content of the case's files (and its page)."""
    hashes = [str(case.page)]
    for path in (case.image, case.files.mask, case.files.fov):
        hashes.append("" if path is None else _file_hash(path, many=case.page is not None))
    for ids in (case.files.instances, case.files.markers):
        if ids is not None:
            hashes.append(_file_hash(ids, many=case.page is not None))
    if case.files.object_masks is not None:
        hashes.append(f"{len(case.files.object_masks)} objects")
        hashes += [_file_hash(path, many=False) for path in case.files.object_masks]
    if case.annotation.objects is not None:
        hashes.append(case.annotation.objects.content())
    if case.annotation.category is not None:
        hashes.append(f"category {case.annotation.category}")
    hashes += [_file_hash(path, many=False) for path in (*case.files.channels, *case.files.layers)]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def cache_folder() -> Path:
    """Where decoded cases lie: the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("reunet", appauthor=False)) / "cases"


def prune(limit_bytes: int, *, spare_seconds: float = SPARE_S) -> int:
    """Remove the entries not used for longest until the cache is at most `limit_bytes`; bytes removed.

    Entries used in the last `spare_seconds` stay, even when they are more than that.
    """
    entries = []
    for folder in cache_folder().glob("??/*"):
        try:
            size = sum(file.stat().st_size for file in folder.iterdir())
            entries.append((folder.stat().st_mtime, size, folder))
        except OSError:
            continue
    total, removed = sum(size for _, size, _ in entries), 0
    for used, size, folder in sorted(entries, key=lambda entry: entry[0]):
        if total - removed <= limit_bytes or time.time() - used < spare_seconds:
            break
        shutil.rmtree(folder, ignore_errors=True)
        removed += 0 if folder.exists() else size
    return removed


def _file_hash(path: Path, *, many: bool) -> str:
    try:
        if many:  # the pages of one stack share one file: read it once
            facts = path.stat()
            return _remembered_hash(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)
        return sha256_file(path)
    except OSError as cause:
        raise ImageReadError("the file cannot be read", where=path, received=cause.strerror) from cause


@functools.lru_cache(maxsize=256)
def _remembered_hash(path: Path, *_facts: int) -> str:
    return sha256_file(path)


def _open(folder: Path, names: Collection[str]) -> Found | None:
    """The arrays in `folder`; None when it is absent or damaged."""
    try:
        image, labels, objects = (
            Stored.find(folder / f"{name}.npy") if name in names else None for name in NAMES
        )
    except (OSError, ValueError, EOFError):
        return None
    if image is None:
        return None
    _mark_used(folder)
    return image, labels, objects


def mapped(source: Array) -> np.ndarray:
    """An array read-only, from its file where it is stored."""
    if isinstance(source, Stored):
        _mark_used(source.path.parent)
        return source.array()
    source = source.view()
    source.flags.writeable = False
    return source


def _mark_used(folder: Path) -> None:
    now = time.monotonic()
    if now - _marked.get(folder, -MARK_EVERY_S) >= MARK_EVERY_S:
        _marked[folder] = now
        with suppress(OSError):  # a cache that others filled may be read-only
            os.utime(folder)
