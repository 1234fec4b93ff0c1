"""Which layout a folder has: one of those that others have defined, or the folder convention."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from reunet.contracts.options.records import DataOptions
from reunet.datasets.cases import SPLITS
from reunet.datasets.coco_files import USUAL, coco_files, images_of, one_per_split, split_word
from reunet.datasets.folders import Located, SplitFolders, by_convention, has_images, split_folders
from reunet.datasets.foreign import refuse_export, unread, ways
from reunet.datasets.tables import class_names
from reunet.datasets.told_apart import masks_among, share_of_masks, why_no_classes
from reunet.datasets.tools import COCO, TOOLS, Listing
from reunet.datasets.voc_folders import voc_boxes, voc_masks
from reunet.datasets.vocabulary import MAYBE_CLASSES, SPLIT_NAMES, role_of, split_of, understand
from reunet.errors import DataError, beside
from reunet.io.annotations.image_labels import has_labels
from reunet.io.listing import folders_in, image_files, images_by_stem, list_files, visible

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
        refuse_export(root)
        listed = "".join(f"\n            - {one.name}: {one.tree}" for one in (*LAYOUTS, *TOOLS))
        layouts = f"one of these layouts:\n            - {CONVENTION}{listed}"
        others = ways(unread(list_files(root)[1]))
        fix = "; ".join(
            filter(None, (_suggested(cause.where) or cause.fix, others, "docs/data.md shows all layouts"))
        )
        raise DataError(
            cause.what, where=cause.where, expected=layouts, received=cause.received, fix=fix
        ) from cause
    return root, located, located[0][0].describe()


def _given(root: Path, found: list[SplitFolders]) -> Located:
    """Without folders or lists of splits, all of a dataset is for training."""
    is_whole = len(found) == 1 and found[0].images == root
    return tuple(found), frozenset() if is_whole else frozenset(one.split for one in found)


def _suggested(where: object) -> str | None:
    """The options that name what looks like masks, and what does not."""
    inside = list(filter(has_images, folders_in(Path(str(where)))))
    masks = [one for one in inside if role_of(one.name) == "masks" or share_of_masks(one) == 1]
    images = [one for one in inside if one not in masks]
    if len(masks) != 1 or len(images) != 1:
        return None
    return f"{masks[0].name} looks like masks: --images {images[0].name} --masks {masks[0].name}"


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
    for split, places in NNUNET.items():
        images, masks = (root / name for name in places)
        if images.is_dir():
            found.append(SplitFolders(split, root, images, masks if masks.is_dir() else None))
    stems, others = (images_by_stem(root / name).keys() for name in NNUNET["train"])
    channel_files = all(map(channel_of, stems)) and not stems & others
    return [replace(one, channel_files=channel_files) for one in found]


def channel_of(stem: str) -> tuple[str, int] | None:
    """The name of the image and the number of the channel that a file `name_0000` holds, or None."""
    found = re.fullmatch(r"(.+)_([0-9]{4})", stem)
    return (found[1], int(found[2])) if found else None


# -- COCO -------------------------------------------------------------------------------------------


def _coco(root: Path) -> list[SplitFolders]:
    """annotations/instances_train2017.json with images/train2017 or train2017, or files of any other names,
    in a folder of their own or beside the folders of their images; not what the convention reads.
    """
    inside = [one for one in folders_in(root) if one.name.lower() not in SPLIT_NAMES]
    pictures = [one for one in inside if role_of(one.name) == "images"]
    found = [path for folder in inside if folder not in pictures for path in coco_files(folder)]
    if not found:
        here = [path for path in coco_files(root) if path.name not in USUAL]
        is_convention = len(here) == 1 and split_word(here[0]) is None and pictures
        found = [] if is_convention or has_images(root) else here
    files = one_per_split(found)
    folders = {
        split: SplitFolders(split, root, images_of(path, root), listing=Listing(COCO, path, (path,)))
        for split, path in files.items()
    }
    return [folders[split] for split in SPLITS if split in folders]


# -- Layouts with a folder per sequence, image or class ----------------------------------------------


def _tracking(root: Path) -> list[SplitFolders]:
    """01/t000.tif with 01_GT or 01_ST beside it, here or in the folder of a split."""

    def has_truth(base: Path) -> bool:
        numbered = [entry for entry in folders_in(base) if re.fullmatch(r"[0-9]{2,}", entry.name)]
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
    entries = {split: folders_in(base) for split, base in bases.items()}
    inside = [one for some in entries.values() for one in some]
    if not all((one / "images").is_dir() or (one / "masks").is_dir() for one in inside):
        return []
    if any(len(image_files(one / "images")) > 1 for one in inside):
        return []
    if not any((one / "masks").is_dir() and len(image_files(one / "masks")) > 1 for one in inside):
        return []
    return [SplitFolders(split, base, base, parts="object folders") for split, base in bases.items()]


def _is_no_class(name: str) -> bool:
    """Whether a folder of that name is none of classes, nor those beside it."""
    known = role_of(name) is not None and name.lower() not in MAYBE_CLASSES
    return known or name.lower() in ("imagestr", "jpegimages")


def _class_folders(root: Path) -> list[SplitFolders]:
    """A folder per class, here or in the folders of the splits; nothing where words tell masks from images.

    Raises DataError for what may be pairs.
    """
    bases = _bases(root)
    if "train" not in bases:
        return []
    base = bases["train"]
    folders = folders_in(base)
    names = {one.name for one in folders}
    are_listed = names <= set(class_names(root) or ())
    if (any(map(_is_no_class, names)) and not are_listed) or (base == root and has_images(base)):
        return []
    filled = [one for one in folders if visible(one)]
    if len(filled) < 2 or not all(has_images(one) for one in filled):
        return []
    if masks_among(images_by_stem(base)):
        return []
    if not are_listed and (why := why_no_classes(filled)) is not None:
        raise DataError(
            f"{why}: these folders may be classes, or images and their masks",
            where=base,
            received=", ".join(sorted(names)),
            fix="name images and masks with --images DIR --masks DIR, or list the classes in dataset.json: "
            '{"classes": [{"id": 0, "name": "<folder>"}, ...]}',
        )
    return [SplitFolders(split, base, base, parts="class folders") for split, base in bases.items()]


# -- Folders of images and of masks, named after each other -----------------------------------------


def _folder_pairs(root: Path) -> list[SplitFolders]:
    """train/ with train_masks/, or train_images/ with train_labels/; of one pair without split, all."""
    folders = list(filter(has_images, folders_in(root)))
    told = {one: understand(one.name) for one in folders if one.name not in sum(NNUNET.values(), ())}
    masks = {name.rest: one for one, name in told.items() if name.role == "masks" and name.rest}
    images = {name.rest: one for one, name in told.items() if name.role != "masks" and name.rest}
    if not masks.keys() & images.keys():
        return []
    splits = {rest: split_of(rest) for rest in images}
    if not any(splits.values()) and len(masks.keys() & images.keys()) == 1:
        splits = dict.fromkeys(masks.keys() & images.keys(), "train")
    found = {split: SplitFolders(split, root, images[rest], masks.get(rest))
             for rest, split in splits.items() if split is not None}  # fmt: skip
    return [found[split] for split in SPLITS if split in found]


LAYOUTS = (
    Layout("nnU-Net", "imagesTr/ with labelsTr/", _nnunet),
    Layout("Pascal VOC", "JPEGImages/ with Annotations/*.xml", voc_boxes),
    Layout("masks of Pascal VOC", "JPEGImages/ with SegmentationClass/", voc_masks),
    Layout("COCO", "annotations/instances_train.json with images/train/ or train/", _coco),
    Layout("folders in pairs", "train/ with train_masks/, or train_images/ with train_masks/", _folder_pairs),
    Layout("Cell Tracking Challenge", "01/t000.tif with 01_GT/ or 01_ST/", _tracking),
    Layout(
        "a folder per image",
        "<image>/images/a.png with a mask per object, <image>/masks/*.png",
        _object_folders,
    ),
    Layout("a folder per class", "<class>/*.png, or train/<class>/*.png", _class_folders),
)
