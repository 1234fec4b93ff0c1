"""Where the labels of an image are kept, by the convention of its dataset, and how they are written there."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap
from reunet.corrections.labels import Editable, Edited, Kind
from reunet.corrections.rasters import write_ids, write_labels, write_object_masks
from reunet.datasets.cases import Case
from reunet.datasets.folders import SplitFolders
from reunet.datasets.tools import COCO
from reunet.errors import LabelError, StorageError
from reunet.io.annotations.coco_edit import write_coco_objects
from reunet.io.annotations.image_labels import write_label
from reunet.io.annotations.voc import begins_at_zero
from reunet.io.annotations.voc_edit import write_voc_boxes
from reunet.io.annotations.wanted import Wanted, wanted_boxes, wanted_objects


@dataclass(frozen=True)
class Change:
    """A label that is to be replaced. label: its file, or folder. told: how much changes, in words.

    write: replaces it. moved: where the image lies afterwards, if it moves.
    """

    kind: Kind
    label: Path
    told: str
    write: Callable[[], object]
    moved: Path | None = None


@dataclass(frozen=True)
class Home:
    """Where a case is at home. root: of the dataset. folders: of its split. axes: as of its options."""

    root: Path
    case: Case
    folders: SplitFolders
    labels: LabelMap
    categories: LabelMap | None
    axes: str | None = None

    def changes(self, now: Editable, edited: Edited) -> list[Change]:
        """What has to be written so that the labels become the edited ones; nothing where they are equal.

        Raises LabelError for a kind of labels that the case does not have, UsageError for what contradicts.
        """
        found: list[Change] = []
        for kind, part in (
            ("instances", edited.objects),
            ("masks", edited.labels),
            ("boxes", edited.boxes),
            ("category", edited.category),
        ):
            if part is not None and kind not in now.kinds:
                fix = f"edit its {' or '.join(now.kinds) or 'nothing'}"
                raise LabelError(
                    f"this image has no labels of the kind {kind}", where=self.case.image, fix=fix
                )
        labels = edited.labels
        if edited.objects is not None and now.objects is not None:
            classes = _classes_of(edited, now, self.labels)
            found += self._objects(now, edited.objects, classes)
            if "masks" in now.kinds and labels is None and now.labels is not None:
                labels = follow(now, edited.objects, classes, self.labels)
        if labels is not None and now.labels is not None:
            found += self._mask(now.labels, labels)
        if edited.boxes is not None and now.boxes is not None:
            found += self._boxes(now.boxes, edited.boxes)
        if edited.category is not None and edited.category != now.category:
            found.append(self._category(edited.category))
        return found

    def _mask(self, before: np.ndarray, labels: np.ndarray) -> Iterator[Change]:
        path, count = self.case.files.mask, int(np.count_nonzero(before != labels))
        if path is not None and count:
            page, known, axes = self.case.page, self.labels, self.axes
            yield Change(
                "masks", path, f"{count} pixels", lambda: write_labels(path, labels, known, page, axes)
            )

    def _objects(self, now: Editable, ids: np.ndarray, classes: np.ndarray) -> Iterator[Change]:
        before, files = now.objects, self.case.files
        if before is None or (told := _difference(before, now.object_classes, ids, classes)) is None:
            return
        if files.instances is not None and not np.array_equal(before, ids):
            path, page = files.instances, self.case.page
            yield Change("instances", path, told, lambda: write_ids(path, ids, page, self.axes))
        elif files.object_masks is not None and not np.array_equal(before, ids):
            folder, masks = self._mask_folder(), files.object_masks
            yield Change("instances", folder, told, lambda: write_object_masks(folder, ids, before, masks))
        elif self.case.objects is not None and files.instances is None and files.object_masks is None:
            wanted = wanted_objects(ids, classes, self.case.objects)
            yield Change("instances", self.listing, told, lambda: self.write_listed(wanted, now.size))

    def _mask_folder(self) -> Path:
        """The folder with the masks of its objects, also where there are none."""
        masks, parts = self.case.files.object_masks, self.folders.object_masks
        if masks:
            return masks[0].parent
        return self.case.image.parent.parent / "masks" if parts is None else parts / self.case.id

    def _boxes(self, before: Boxes, boxes: Boxes) -> Iterator[Change]:
        known = {
            (*corners, kind) for corners, kind in zip(before.corners.tolist(), before.classes, strict=True)
        }
        found = {
            (*corners, kind) for corners, kind in zip(boxes.corners.tolist(), boxes.classes, strict=True)
        }
        if known == found and len(before) == len(boxes):
            return
        told = f"boxes: {len(found - known)} new or changed, {len(known - found)} gone"
        wanted, size = wanted_boxes(boxes), self.case.objects.size if self.case.objects else (0, 0)
        yield Change("boxes", self.listing, told, lambda: self.write_listed(wanted, size))

    @property
    def listing(self) -> Path:
        """The file that lists the objects of the image. Raises LabelError where there is none."""
        if (listing := self.folders.listing) is None:
            raise LabelError("nothing lists the objects of this image", where=self.case.image)
        return listing.file_of(self.case.id)

    def write_listed(self, wanted: Sequence[Wanted], size: tuple[int, ...]) -> None:
        """Let the COCO or VOC file tell these objects of the image."""
        write_listed(self.root, self.folders, self.listing, self.case.image, wanted, self.labels.names, size)

    def _category(self, category: int) -> Change:
        names = self.categories.names if self.categories else ()
        told, image = names[category], self.case.image
        before = names[self.case.category] if self.case.category is not None else "no class"
        change, table = f"{before} to {told}", self.folders.table
        if self.folders.parts == "class folders":
            target = self.folders.images / told / image.relative_to(self.folders.images / before)
            return Change("category", target, change, lambda: _move(image, target), moved=target)
        if table is None:
            raise LabelError("nothing lists the class of this image", where=image)
        places = (self.folders.images, table.parent)
        return Change("category", table, change, lambda: write_label(table, image, places, told))


def write_listed(
    root: Path,
    folders: SplitFolders,
    path: Path,
    image: Path,
    wanted: Sequence[Wanted],
    names: Sequence[str],
    size: tuple[int, ...],
) -> None:
    """Let a COCO or VOC file of the dataset in `root` tell these objects of an image."""
    height, width = size[-2:]
    if folders.listing is not None and folders.listing.tool is COCO:
        write_coco_objects(path, image, (folders.images, path.parent), wanted, names, (height, width))
    else:
        files = () if folders.listing is None else folders.listing.files
        first = int(begins_at_zero(root, files) is None)
        write_voc_boxes(path, image, wanted, names, (height, width), first)


def _move(image: Path, target: Path) -> None:
    """Raises StorageError where there is another image of its name."""
    if target.exists():
        fix = "rename one of the two"
        raise StorageError("the folder of this class has an image of its name", where=target, fix=fix)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(image, target)
    except OSError as cause:
        raise StorageError("could not move an image", where=image, received=cause.strerror) from cause


def _classes_of(edited: Edited, now: Editable, labels: LabelMap) -> np.ndarray:
    """(max id + 1,) the class of each edited object: as told, as it was, or the first one."""
    count = int(edited.objects.max(initial=0)) + 1 if edited.objects is not None else 1
    if edited.object_classes is not None:
        return np.asarray(edited.object_classes[:count])
    first = labels.foreground[0] if labels.foreground else len(labels.classes) - 1
    classes = np.full(count, first, np.uint8)
    if now.object_classes is not None:
        known = min(count, len(now.object_classes))
        classes[:known] = now.object_classes[:known]
    return classes


def follow(now: Editable, ids: np.ndarray, classes: np.ndarray, labels: LabelMap) -> np.ndarray:
    """The mask of an image after its objects: pixels that changed hands, or whose object changed its class,
    get the class of the object, or the background; all others stay.
    """
    if now.labels is None or now.objects is None:
        return np.zeros(ids.shape, np.uint8)
    before = now.objects
    old = np.zeros(1, np.uint8) if now.object_classes is None else now.object_classes
    changed = (before > 0) != (ids > 0)
    inside = (before > 0) & (ids > 0)
    changed |= inside & (old[np.minimum(before, len(old) - 1)] != classes[ids])
    background = labels.background if labels.background is not None else 0
    return np.where(changed, np.where(ids > 0, classes[ids], np.uint8(background)), now.labels)


def _difference(
    before: np.ndarray, old: np.ndarray | None, ids: np.ndarray, classes: np.ndarray
) -> str | None:
    """In words; None where objects and their classes are what they were."""
    sizes = [dict(zip(*np.unique(one[one > 0], return_counts=True), strict=True)) for one in (before, ids)]
    gone, new = sizes[0].keys() - sizes[1].keys(), sizes[1].keys() - sizes[0].keys()
    moved = set(np.unique(before[before != ids])) | set(np.unique(ids[before != ids]))
    both = sizes[0].keys() & sizes[1].keys()
    changed = {one for one in both if one in moved or (old is not None and old[one] != classes[one])}
    if not (gone or new or changed):
        return None
    return f"objects: {len(new)} new, {len(gone)} gone, {len(changed)} changed"
