"""An image that a dataset does not have yet, taken into it with its labels."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.boxes import Boxes, no_boxes
from reunet.contracts.labels import LabelMap
from reunet.corrections.homes import write_listed
from reunet.corrections.labels import Edited, Kind
from reunet.corrections.rasters import stored_values, write_new
from reunet.datasets.cases import Dataset
from reunet.datasets.folders import SplitFolders
from reunet.datasets.tools import COCO, VOC, Listing
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.annotations.image_labels import write_label
from reunet.io.annotations.wanted import wanted_boxes, wanted_objects
from reunet.io.images import image_suffix
from reunet.io.raster import write_png
from reunet.storage import publish_file, publish_folder, scratch_folder
from reunet.tasks.instances.properties import bounding_boxes


@dataclass(frozen=True)
class NewLabel:
    """A label of a new image: where it goes and what writes it there."""

    kind: Kind
    label: Path
    write: Callable[[], object]


@dataclass(frozen=True)
class NewImage:
    """An image on its way into the training split of `dataset`, whose folders are `folders`.

    name: its path below the folder of the images, without suffix. size: (*space). edited: its labels,
    checked.
    """

    dataset: Dataset
    folders: SplitFolders
    image: Path
    name: str
    size: tuple[int, ...]
    edited: Edited

    def check(self) -> None:
        """Raise DataError where the layout takes no new images, and where it has one of that name."""
        listing, folders = self.folders.listing, self.folders
        unwritten = listing is not None and listing.tool not in (COCO, VOC)
        odd = (folders.fov, folders.layers, folders.channel_files, folders.mixed, unwritten)
        if any(odd) or self.folders.names is not None or self.folders.parts == "tracked frames":
            raise DataError(
                "no image is added to a dataset of this layout",
                where=self.dataset.root,
                expected="images/ with masks/, instances/, boxes.json, annotations/ or labels.csv",
                received=self.folders.describe(),
                fix="add image and labels by hand, or begin a dataset of its own",
            )
        target, known = self.target, {case.id for case in self.dataset.cases}
        if self.name in known or (target.exists() and not target.samefile(self.image)):
            fix = "give it another name, or correct the labels of that image"
            raise DataError("the dataset has an image of this name", where=target, fix=fix)

    @property
    def target(self) -> Path:
        """Where the image goes."""
        folder, suffix = self.folders.images, image_suffix(self.image)
        if self.folders.parts == "class folders":
            folder = folder / self._category
        if self.folders.parts == "object folders":
            folder = folder / self.name / "images"
        return folder / f"{self.name}{suffix}"

    def labels(self) -> Iterator[NewLabel]:
        """All that the layout tells of an image. Raises LabelError for what the edit does not tell."""
        folders, classes = self.folders, self.dataset.labels
        if folders.parts == "object folders" or folders.object_masks is not None:
            inside = folders.object_masks
            place = folders.images / self.name / "masks" if inside is None else inside / self.name
            yield NewLabel("instances", place, lambda: _write_masks(place, self._objects))
        if folders.instances is not None:
            path = folders.instances / f"{self.name}{self._suffix}"
            yield NewLabel(
                "instances", path, lambda: write_new(path, self._objects, self.image, least=np.uint16)
            )
        if folders.masks is not None:
            mask, values = folders.masks / f"{self.name}{self._suffix}", self._mask(classes)
            sibling = next((case.files.mask for case in self.dataset.cases if case.files.mask), None)
            yield NewLabel("masks", mask, lambda: write_new(mask, values, self.image, sibling))
        if folders.listing is not None:
            path = folders.listing.file_of(self.name)
            kind: Kind = "boxes" if self.edited.objects is None else "instances"
            yield NewLabel(kind, path, lambda: self._write_listed(path))
        if folders.parts == "class folders":
            yield NewLabel("category", self.target, self.copy)
        if (table := folders.table) is not None:
            places, label = (folders.images, table.parent), self._category
            yield NewLabel("category", table, lambda: write_label(table, self.target, places, label))

    def copy(self) -> None:
        """Put the image where it goes, unless it lies there. Raises StorageError."""
        target = self.target
        if target.exists() and target.samefile(self.image):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target.parent) as folder:
            shutil.copy2(self.image, folder / target.name)
            publish_file(folder / target.name, target)

    @property
    def _suffix(self) -> str:
        return ".nii.gz" if len(self.size) == 3 else ".png"

    @property
    def _objects(self) -> np.ndarray:
        if self.edited.objects is None:
            raise self._missing("objects")
        return self.edited.objects

    @property
    def _classes(self) -> np.ndarray:
        """(max id + 1,) class of each object."""
        count, told = int(self._objects.max(initial=0)) + 1, self.edited.object_classes
        foreground = self.dataset.labels.foreground or (0,)
        return np.full(count, foreground[0], np.uint8) if told is None else told[:count]

    def _mask(self, classes: LabelMap) -> np.ndarray:
        labels = self.edited.labels
        if labels is None:
            ids, background = self._objects, classes.background or 0
            labels = np.where(ids > 0, self._classes[ids], np.uint8(background))
        return stored_values(labels, classes, self.image)

    @property
    def _category(self) -> str:
        categories = self.dataset.categories
        if self.edited.category is None or categories is None:
            raise self._missing("a class of the whole image")
        return categories.names[self.edited.category]

    def _write_listed(self, path: Path) -> None:
        height, width = self.size
        listing = self.folders.listing
        is_shaped = any(case.objects is not None and case.objects.shaped for case in self.dataset.cases)
        if listing is not None and listing.tool is COCO and (is_shaped or self.edited.boxes is None):
            boxes = no_boxes()
            nothing = AnnotatedImage("", (height, width), boxes, (), boxes.corners, ())
            wanted = wanted_objects(self._objects, self._classes, nothing)
        else:
            wanted = wanted_boxes(self._boxes)
        root, names = self.dataset.root, self.dataset.labels.names
        write_listed(root, self.folders, path, self.target, wanted, names, self.size)

    @property
    def _boxes(self) -> Boxes:
        if self.edited.boxes is not None:
            return self.edited.boxes
        ids = np.unique(self._objects[self._objects > 0])
        corners = bounding_boxes(self._objects)[ids].reshape(-1, 4).astype(np.float32)
        return Boxes(corners, self._classes[ids])

    def _missing(self, what: str) -> LabelError:
        return LabelError(
            f"an image of this dataset needs {what}",
            where=self.image,
            expected=self.folders.describe(),
            fix="add it with all that the dataset tells of its images",
        )


def _write_masks(folder: Path, ids: np.ndarray) -> None:
    def fill(temporary: Path) -> None:
        for number in np.unique(ids[ids > 0]).tolist():
            write_png(temporary / f"{number:05d}.png", (ids == number).astype(np.uint8) * np.uint8(255))

    folder.parent.mkdir(parents=True, exist_ok=True)
    publish_folder(folder, fill)


def begun(folder: Path, kind: Kind, labels: LabelMap) -> SplitFolders:
    """The folders of a dataset that has no image yet, for labels of that kind."""
    base = folder / "train"
    boxes = base / "boxes.json"
    has_masks = kind == "masks" or (kind == "instances" and len(labels.foreground) > 1)
    return SplitFolders(
        "train",
        base,
        base / "images",
        base / "masks" if has_masks else None,
        instances=base / "instances" if kind == "instances" else None,
        listing=Listing(COCO, boxes, (boxes,)) if kind == "boxes" else None,
        table=base / "labels.csv" if kind == "category" else None,
    )
