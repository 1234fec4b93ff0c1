"""Which folders of a dataset hold images, masks and fields of view, split by split."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from reunet.datasets.cases import SPLITS, DataOptions
from reunet.errors import DataError
from reunet.io.images import IMAGE_SUFFIXES, image_suffix, without_suffix

SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "inputs")
MASK_FOLDERS = (
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "segmentations",
    "ground_truth",
    "gt",
    "targets",
)
OBJECT_FILES = ("boxes.json", "annotations.json", "_annotations.coco.json")
NNUNET = {"train": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
"""The folders of nnU-Net and of the Medical Segmentation Decathlon."""


@dataclass(frozen=True)
class SplitFolders:
    """The folders of one split; `base` is where items.csv and labels.csv may lie.

    instances: images of object ids. objects: a COCO file. table: labels.csv with a class per image.
    layers: folders in `masks`, each with the masks of one region; empty where the masks are there themselves.
    channel_files: each channel of an image has a file of its own, numbered `_0000`, `_0001` ...
    """

    split: str
    base: Path
    images: Path
    masks: Path | None
    fov: Path | None
    instances: Path | None = None
    objects: Path | None = None
    table: Path | None = None
    channel_files: bool = False
    layers: tuple[str, ...] = ()


def locate(root: Path | None, options: DataOptions) -> tuple[Path, tuple[SplitFolders, ...], frozenset[str]]:
    """The dataset's folder, its split folders, and the splits that are given.

    Raises DataError for a folder that is missing, empty, or not understood.
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
            received=_similar(root),
        )
    if options.images is None and (root / NNUNET["train"][0]).is_dir():
        return root, *_nnunet(root)
    splits = _split_folders(root)
    if options.images is not None and (not splits or _exists_outside_splits(root, options.images)):
        return root, (_named(root, "train", root, options),), frozenset()
    if splits:
        return (
            root,
            tuple(_named(root, split, base, options) for split, base in splits.items()),
            frozenset(splits),
        )
    return _inner_splits(root, _named(root, "train", root, options))


def _nnunet(root: Path) -> tuple[tuple[SplitFolders, ...], frozenset[str]]:
    """The splits of nnU-Net: imagesTr and labelsTr, beside them perhaps imagesTs, and labelsTs."""
    found = []
    for split, (images, masks) in NNUNET.items():
        if (root / images).is_dir():
            given = DataOptions(images=Path(images), masks=Path(masks) if (root / masks).is_dir() else None)
            found.append(_named(root, split, root, given))
    stems = [{without_suffix(path).name for path in image_files(root / name)} for name in NNUNET["train"]]
    channel_files = all(map(channel_of, stems[0])) and not stems[0] & stems[1]
    splits = tuple(replace(one, channel_files=channel_files) for one in found)
    return splits, frozenset(one.split for one in splits)


def channel_of(stem: str) -> tuple[str, int] | None:
    """The name of the image and the number of the channel that a file `name_0000` holds, or None."""
    found = re.fullmatch(r"(.+)_([0-9]{4})", stem)
    return (found[1], int(found[2])) if found else None


def _inner_splits(root: Path, flat: SplitFolders) -> tuple[Path, tuple[SplitFolders, ...], frozenset[str]]:
    """images/train, images/test, masks/train and so on; never one mixed bag of training and test images."""
    inner = {folder.name: folder for folder in sorted(flat.images.iterdir()) if folder.is_dir()}
    splits = {SPLIT_NAMES[name.lower()]: name for name in inner if name.lower() in SPLIT_NAMES}
    if not splits:
        return root, (flat,), frozenset()
    if len(splits) != len(inner) or any(path.parent == flat.images for path in image_files(flat.images)):
        raise DataError(
            "the images folder holds split folders and other images",
            where=flat.images,
            expected="only train/, val/ and test/, or none of them",
            received=", ".join(inner),
        )
    found = []
    for split in sorted(splits, key=SPLITS.index):
        parts = [None if one is None else one / splits[split] for one in (flat.masks, flat.fov)]
        masks, fov = (part if part is not None and part.is_dir() else None for part in parts)
        if masks is None and split != "test":
            raise DataError("no masks folder found", where=root, expected=str(parts[0]))
        found.append(SplitFolders(split, inner[splits[split]], inner[splits[split]], masks, fov))
    return root, tuple(found), frozenset(splits)


def image_files(folder: Path) -> list[Path]:
    """Image files below a folder, sorted; hidden files and folders are left out."""
    files = [path for path in folder.rglob("*") if image_suffix(path) and path.is_file()]
    return sorted(
        path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _split_folders(root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in sorted(root.iterdir()):
        split = SPLIT_NAMES.get(folder.name.lower())
        if split is None or not folder.is_dir():
            continue
        if split in found:
            raise DataError(
                f"two folders are the {split} split",
                where=root,
                received=f"{found[split].name}, {folder.name}",
            )
        found[split] = folder
    if found and "train" not in found and any((root / name).is_dir() for name in IMAGE_FOLDERS):
        found["train"] = root  # images/ and masks/ for training, with test/ or val/ beside them
    return {split: found[split] for split in SPLITS if split in found}


def _exists_outside_splits(root: Path, folder: Path) -> bool:
    return folder.is_absolute() or (root / folder).is_dir() or folder.is_dir()


def _named(root: Path, split: str, base: Path, options: DataOptions) -> SplitFolders:
    """The folders of one split, by the user's names or by the usual ones."""
    images = _given(root, base, options.images, "--images") or _only(
        base, IMAGE_FOLDERS, "images", "--images"
    )
    masks = _given(root, base, options.masks, "--masks") or _only(base, MASK_FOLDERS, "masks", "--masks")
    if images is None:
        raise DataError(
            "no images folder found",
            where=base,
            expected=f"a folder named {' or '.join(IMAGE_FOLDERS)}, or train/images",
            received=_nearest(base),
            fix="name the folders with --images DIR --masks DIR",
        )
    if not image_files(images):
        raise DataError(
            "the images folder contains no images",
            where=images,
            expected=f"files ending in {' '.join(sorted(IMAGE_SUFFIXES))}",
            received=_nearest(images),
        )
    parts = _annotations(images)
    if masks is None and not any(parts) and split != "test":
        raise DataError(
            "no masks folder found",
            where=base,
            expected=f"a folder named {' or '.join(MASK_FOLDERS)} beside {images.name}/, or instances/, "
            "boxes.json or labels.csv",
            received=_nearest(base),
            fix="name the folders with --images DIR --masks DIR",
        )
    fov = images.parent / "fov"
    beside = fov.is_dir() and (masks is None or masks.parent == images.parent)
    return SplitFolders(split, base, images, masks, fov if beside else None, *parts)


def _annotations(images: Path) -> tuple[Path | None, Path | None, Path | None]:
    """What lies beside the images: object ids, a COCO file, a table with a class per image."""
    base = images.parent
    instances, table = base / "instances", base / "labels.csv"
    objects = next((base / name for name in OBJECT_FILES if (base / name).is_file()), None)
    return instances if instances.is_dir() else None, objects, table if has_labels(table) else None


def has_labels(table: Path) -> bool:
    """Whether a table states a class per image."""
    if not table.is_file():
        return False
    with open(table, encoding="utf-8-sig", errors="replace") as file:
        return "label" in [name.strip() for name in file.readline().split(",")]


def _given(root: Path, base: Path, folder: Path | None, option: str) -> Path | None:
    if folder is None:
        return None
    candidates = [base / folder, root / folder, folder]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise DataError(f"the folder given with {option} does not exist", where=folder, received=_similar(folder))


def _only(base: Path, names: tuple[str, ...], preferred: str, option: str) -> Path | None:
    """The one folder with one of the names; the convention's own name wins over the others."""
    found = [folder for folder in sorted(base.iterdir()) if folder.is_dir() and folder.name.lower() in names]
    exact = [folder for folder in found if folder.name == preferred]
    if len(found) > 1 and not exact:
        raise DataError(
            f"several folders could hold the {preferred}",
            where=base,
            received=", ".join(folder.name for folder in found),
            fix=f"name the folder with {option} DIR",
        )
    return next(iter(exact or found), None)


def _nearest(folder: Path) -> str:
    """Five things that are there instead."""
    entries = sorted(
        folder.rglob("*"), key=lambda path: (len(path.relative_to(folder).parts), path.as_posix())
    )[:5]
    names = [path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "") for path in entries]
    return "it contains " + ", ".join(names) if names else "an empty folder"


def _similar(path: Path) -> str | None:
    """Entries of the parent folder with a similar name."""
    if not path.parent.is_dir():
        return f"{path.parent} does not exist either"
    names = [entry.name for entry in path.parent.iterdir()]
    close = difflib.get_close_matches(path.name, names, n=5, cutoff=0.5) or sorted(names)[:5]
    return "beside it: " + ", ".join(close) if close else None
