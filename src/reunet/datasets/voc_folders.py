"""The folders of Pascal VOC, in which other programs export too: boxes, and masks of classes and objects."""

from pathlib import Path

from reunet.datasets.cases import SPLITS
from reunet.datasets.folders import SplitFolders
from reunet.datasets.tools import VOC, listings
from reunet.errors import DataError
from reunet.io.listing import list_files
from reunet.storage import read_text


def voc_boxes(root: Path) -> list[SplitFolders]:
    """JPEGImages and Annotations; ImageSets/Main lists the images of each split, where it is there."""
    images, annotations = root / "JPEGImages", root / "Annotations"
    if not images.is_dir() or not annotations.is_dir():
        return []
    found = listings(annotations, list_files(annotations)[1])
    if [one.tool for one in found] != [VOC]:
        return []
    named = _splits(root / "ImageSets" / "Main")
    return [
        SplitFolders(split, root, images, listing=found[0], names=names) for split, names in named.items()
    ]


def voc_masks(root: Path) -> list[SplitFolders]:
    """JPEGImages with SegmentationClass and, for objects, SegmentationObject, where no boxes are told.

    ImageSets/Segmentation lists the images of each split, since others may have no masks.
    """
    images, masks, objects = (
        root / name for name in ("JPEGImages", "SegmentationClass", "SegmentationObject")
    )
    if not images.is_dir() or not masks.is_dir() or voc_boxes(root):
        return []
    ids = objects if objects.is_dir() else None
    named = _splits(root / "ImageSets" / "Segmentation")
    return [
        SplitFolders(split, root, images, masks, instances=ids, names=names) for split, names in named.items()
    ]


def _splits(folder: Path) -> dict[str, frozenset[str] | None]:
    """The names of the images of each split; a list of another name, without any of all images, is training.

    Raises DataError.
    """
    lists = {split: folder / f"{split}.txt" for split in SPLITS}
    for name in ("trainval", "default"):
        if not lists["train"].is_file():
            lists["train"] = folder / f"{name}.txt"
    named = {split: _listed(path) for split, path in lists.items() if path.is_file()}
    return {**named} or {"train": None}


def _listed(path: Path) -> frozenset[str]:
    """The first word of each line. Raises DataError."""
    lines = read_text(path, DataError, "the list of a split").splitlines()
    return frozenset(line.split()[0] for line in lines if line.strip())
