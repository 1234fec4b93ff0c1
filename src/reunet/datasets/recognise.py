"""Which layout a folder has: one of those that others have defined, or the folder convention."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from reunet.contracts.options.records import DataOptions
from reunet.datasets.cases import SPLITS
from reunet.datasets.folders import (
    IMAGE_FOLDERS,
    SPLIT_NAMES,
    Located,
    SplitFolders,
    by_convention,
    has_images,
    has_xml,
    image_files,
    split_folders,
    stem_of,
    visible,
)
from reunet.datasets.tables import class_names
from reunet.errors import DataError, beside
from reunet.io.annotations.image_labels import has_labels
from reunet.io.images import without_suffix
from reunet.storage import read_text

CONVENTION = "images/ with masks/, instances/, boxes.json, annotations/*.xml or labels.csv"

NNUNET = {"train": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
"""The folders of nnU-Net and of the Medical Segmentation Decathlon."""


@dataclass(frozen=True)
class Layout:
    """A layout by its name; `tree` is what it looks like, `find` gives the splits of a folder that has it."""

    name: str
    tree: str
    find: Callable[[Path], list[SplitFolders]]


def locate(root: Path | None, options: DataOptions) -> tuple[Path, Located, str]:
    """The dataset's folder, its split folders with the splits that are given, and the name of its layout.

    Raises DataError for a folder that is missing or empty, that has no layout, or several.
    """
    if root is None:
        if options.images is None or options.masks is None:
            raise DataError("no dataset was named", fix="give its folder, or --images DIR --masks DIR")
        root = options.images.parent
    elif not root.is_dir():
        raise DataError(
            "this dataset folder does not exist"
            if not root.exists()
            else "a dataset is a folder, this is a file",
            where=root,
            fix=beside(root),
        )
    if options.images is not None:
        return root, by_convention(root, options), "the folders that were named"
    fitting = [(layout, found) for layout in LAYOUTS if (found := layout.find(root))]
    names = [f"{layout.name} ({layout.tree})" for layout, _ in fitting]
    if len(fitting) + (bool(fitting) and _is_convention(root)) > 1:
        names += [CONVENTION] * _is_convention(root)
        raise DataError(
            "the folder has several layouts, and it is not clear which one is meant",
            where=root,
            expected="one of them",
            received=" and ".join(names),
            fix="keep each in a folder of its own, or name the folders with --images DIR --masks DIR",
        )
    if fitting:
        return root, _given(root, fitting[0][1]), names[0]
    try:
        located = by_convention(root, options)
    except DataError as cause:
        if cause.what not in ("no images folder found", "no masks folder found"):
            raise
        listed = "".join(f"\n            - {layout.name}: {layout.tree}" for layout in LAYOUTS)
        layouts = f"one of these layouts:\n            - {CONVENTION}{listed}"
        fix = f"{cause.fix}; docs/data.md shows all layouts"
        raise DataError(
            cause.what, where=cause.where, expected=layouts, received=cause.received, fix=fix
        ) from cause
    return root, located, located[0][0].describe()


def _given(root: Path, found: list[SplitFolders]) -> Located:
    """Without folders or lists of splits, all of a dataset is for training."""
    is_whole = len(found) == 1 and found[0].images == root
    return tuple(found), frozenset() if is_whole else frozenset(one.split for one in found)


def _is_convention(root: Path) -> bool:
    """Whether images/ has masks/, instances/, boxes.json or labels.csv beside it, here or in train/."""
    for base in (root, *split_folders(root).values()):
        parts = any((base / name).exists() for name in ("masks", "instances", "boxes.json"))
        if (base / "images").is_dir() and (parts or has_labels(base / "labels.csv")):
            return True
    return False


def _bases(root: Path) -> dict[str, Path]:
    return split_folders(root) or {"train": root}


# -- nnU-Net ----------------------------------------------------------------------------------------


def _nnunet(root: Path) -> list[SplitFolders]:
    """The folders imagesTr and labelsTr, beside them perhaps imagesTs, and labelsTs."""
    if not (root / "imagesTr").is_dir():
        return []
    found = []
    for split, (images, masks) in NNUNET.items():
        if (root / images).is_dir():
            told = root / masks if (root / masks).is_dir() else None
            found.append(SplitFolders(split, root, root / images, told))
    stems = [{without_suffix(path).name for path in image_files(root / name)} for name in NNUNET["train"]]
    channel_files = all(map(channel_of, stems[0])) and not stems[0] & stems[1]
    return [replace(one, channel_files=channel_files) for one in found]


def channel_of(stem: str) -> tuple[str, int] | None:
    """The name of the image and the number of the channel that a file `name_0000` holds, or None."""
    found = re.fullmatch(r"(.+)_([0-9]{4})", stem)
    return (found[1], int(found[2])) if found else None


# -- Pascal VOC -------------------------------------------------------------------------------------


def _voc(root: Path) -> list[SplitFolders]:
    """JPEGImages and Annotations; ImageSets/Main lists the images of each split, where it is there."""
    images, annotations = root / "JPEGImages", root / "Annotations"
    if not images.is_dir() or not has_xml(annotations):
        return []
    lists = {split: root / "ImageSets" / "Main" / f"{split}.txt" for split in SPLITS}
    if not lists["train"].is_file():
        lists["train"] = lists["train"].with_name("trainval.txt")
    named = {split: _listed(path) for split, path in lists.items() if path.is_file()}
    if not named:
        return [SplitFolders("train", root, images, xml=annotations)]
    return [SplitFolders(split, root, images, xml=annotations, names=names) for split, names in named.items()]


def _listed(path: Path) -> frozenset[str]:
    """The first word of each line. Raises DataError."""
    lines = read_text(path, DataError, "the list of a split").splitlines()
    return frozenset(line.split()[0] for line in lines if line.strip())


# -- COCO -------------------------------------------------------------------------------------------


def _coco(root: Path) -> list[SplitFolders]:
    """annotations/instances_train2017.json with images/train2017 or train2017; the year may be missing."""
    folder = root / "annotations"
    found = {}
    for path in visible(folder) if folder.is_dir() else []:
        named = re.fullmatch(r"instances_(([a-z]+)[0-9]*)\.json", path.name)
        split = SPLIT_NAMES.get(named[2]) if named else None
        if named is None or split is None:
            continue
        candidates = [root / "images" / named[1], root / named[1]]
        images = next((one for one in candidates if one.is_dir()), None)
        if images is None or split in found:
            message = "two files are about this split" if images else "the folder of its images is missing"
            expected = " or ".join(one.relative_to(root).as_posix() for one in candidates)
            raise DataError(message, where=path, expected=expected)
        found[split] = SplitFolders(split, root, images, objects=path)
    return [found[split] for split in SPLITS if split in found]


# -- Layouts with a folder per sequence, image or class ----------------------------------------------


def _tracking(root: Path) -> list[SplitFolders]:
    """01/t000.tif with 01_GT or 01_ST beside it, here or in the folder of a split."""

    def has_truth(base: Path) -> bool:
        numbered = [entry for entry in visible(base) if re.fullmatch(r"[0-9]{2,}", entry.name)]
        return any(any(one.glob("t[0-9]*.tif")) and _has_truth(one) for one in numbered)

    bases = _bases(root)
    if not any(map(has_truth, bases.values())):
        return []
    return [SplitFolders(split, base, base, parts="tracked frames") for split, base in bases.items()]


def _has_truth(folder: Path) -> bool:
    return any(folder.with_name(f"{folder.name}_{kind}").is_dir() for kind in ("GT", "ST"))


def _object_folders(root: Path) -> list[SplitFolders]:
    """A folder per image with images/ and masks/, where some image has several masks."""
    bases = _bases(root)
    entries = {split: [one for one in visible(base) if one.is_dir()] for split, base in bases.items()}
    inside = [one for some in entries.values() for one in some]
    if not all((one / "images").is_dir() or (one / "masks").is_dir() for one in inside):
        return []
    if any(len(image_files(one / "images")) > 1 for one in inside):
        return []
    if not any((one / "masks").is_dir() and len(image_files(one / "masks")) > 1 for one in inside):
        return []
    return [SplitFolders(split, base, base, parts="object folders") for split, base in bases.items()]


_NO_CLASSES = {*IMAGE_FOLDERS, "imagestr", "jpegimages"}
"""Names of folders beside which others hold no classes."""


def _class_folders(root: Path) -> list[SplitFolders]:
    """A folder per class, here or in the folders of the splits. Raises DataError for what may be pairs."""
    bases = _bases(root)
    if "train" not in bases:
        return []
    base = bases["train"]
    folders = [one for one in visible(base) if one.is_dir()]
    names = {one.name for one in folders}
    if {name.lower() for name in names} & _NO_CLASSES or (base == root and has_images(base)):
        return []
    filled = [one for one in folders if visible(one)]
    if len(filled) < 2 or not all(has_images(one) for one in filled):
        return []
    stems = [{stem_of(path, one) for path in image_files(one)} for one in filled]
    if all(one == stems[0] for one in stems) and not names <= set(class_names(root) or ()):
        raise DataError(
            "each folder holds files of the same names: they may be classes, or images and their masks",
            where=base,
            received=", ".join(sorted(names)),
            fix="name images and masks with --images DIR --masks DIR, or list the classes in dataset.json: "
            '{"classes": [{"id": 0, "name": "<folder>"}, ...]}',
        )
    return [SplitFolders(split, base, base, parts="class folders") for split, base in bases.items()]


LAYOUTS = (
    Layout("nnU-Net", "imagesTr/ with labelsTr/", _nnunet),
    Layout("Pascal VOC", "JPEGImages/ with Annotations/*.xml", _voc),
    Layout("COCO", "annotations/instances_train.json with images/train/ or train/", _coco),
    Layout("Cell Tracking Challenge", "01/t000.tif with 01_GT/ or 01_ST/", _tracking),
    Layout(
        "a folder per image",
        "<image>/images/a.png with a mask per object, <image>/masks/*.png",
        _object_folders,
    ),
    Layout("a folder per class", "<class>/*.png, or train/<class>/*.png", _class_folders),
)
