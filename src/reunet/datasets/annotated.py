"""Cases with what single files tell about many images: boxes and shapes of objects, classes of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap, default_classes
from reunet.datasets.cases import Case
from reunet.datasets.folders import SplitFolders
from reunet.io.annotations.coco import read_coco
from reunet.io.annotations.image_labels import ImageLabels, read_labels
from reunet.io.annotations.objects import AnnotatedImage, Annotations


def read_objects(
    folders: Sequence[SplitFolders], problems: Findings, classes: Sequence[str] | None
) -> dict[str, Annotations]:
    """The objects that COCO files tell, by split. classes: their names; those of the first file when None."""
    found: dict[str, Annotations] = {}
    for entry in folders:
        if entry.objects is not None:
            base = entry.objects.parent
            within = base if _names_folder(entry) else entry.images
            found[entry.split] = read_coco(entry.objects, within, problems, classes)
            classes = classes or found[entry.split].classes
    return found


def read_categories(
    folders: Sequence[SplitFolders], problems: Findings, classes: Sequence[str] | None = None
) -> dict[str, ImageLabels]:
    """The classes of images that tables tell, by split; with the names of the first table."""
    found: dict[str, ImageLabels] = {}
    for entry in folders:
        if entry.table is not None:
            found[entry.split] = read_labels(entry.table, entry.images, problems, classes)
            classes = classes or found[entry.split].classes
    return found


def with_objects(
    cases: Sequence[Case], folders: Sequence[SplitFolders], found: dict[str, Annotations]
) -> list[Case]:
    """The cases with their objects; an image that the file of its split does not list has none."""
    by_file: dict[Path, AnnotatedImage] = {}
    for entry in folders:
        if entry.objects is not None and entry.split in found:
            base = entry.objects.parent if _names_folder(entry) else entry.images
            by_file |= {(base / image.file).absolute(): image for image in found[entry.split].images}
    return [replace(case, annotated=by_file.get(case.image.absolute())) for case in cases]


def with_categories(
    cases: Sequence[Case], folders: Sequence[SplitFolders], found: dict[str, ImageLabels]
) -> list[Case]:
    """The cases with the class of their image, where one is told."""
    by_file: dict[Path, int] = {}
    for entry in folders:
        if entry.split in found:
            labelled = found[entry.split].images
            by_file |= {(entry.images / file).absolute(): index for file, index in labelled.items()}
    return [replace(case, category=by_file.get(case.image.absolute())) for case in cases]


def object_classes(names: Sequence[str]) -> LabelMap:
    """The class list of boxes: every class is one of objects."""
    entries = default_classes(list(range(1, len(names) + 1)), list(names))
    return LabelMap(classes=tuple(entry.model_copy(update={"foreground": True}) for entry in entries))


def category_classes(names: Sequence[str]) -> LabelMap:
    """The class list of whole images."""
    entries = default_classes(list(range(len(names))), list(names))
    return LabelMap(classes=tuple(entry.model_copy(update={"foreground": True}) for entry in entries))


def _names_folder(entry: SplitFolders) -> bool:
    """Whether the file names in a COCO file begin with the folder of the images, as in `images/a.jpg`."""
    import json

    if entry.objects is None or entry.images == entry.objects.parent:
        return True
    try:
        listed = json.loads(entry.objects.read_text(encoding="utf-8")).get("images", [])
        return any((entry.objects.parent / image["file_name"]).is_file() for image in listed[:20])
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return True  # what is wrong is said when the file is read
