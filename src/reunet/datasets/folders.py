"""The folder convention: which folders hold images, masks and other annotations, split by split."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from reunet.contracts.options.records import DataOptions
from reunet.datasets.cases import SPLITS
from reunet.datasets.foreign import census, suffixes, unread, ways
from reunet.datasets.told_apart import masks_among
from reunet.datasets.tools import Listing, find_listing
from reunet.datasets.vocabulary import IMAGE_FOLDERS, MASK_FOLDERS, SPLIT_NAMES, Role, role_of
from reunet.errors import DataError, beside
from reunet.io.annotations.image_labels import has_labels
from reunet.io.formats.table import is_store
from reunet.io.images import image_suffix
from reunet.io.listing import folders_in, image_files, images_by_stem, list_files, visible

Parts = Literal["images", "class folders", "object folders", "tracked frames"]
"""What a split consists of: image files and what lies beside them, or a layout that puts them elsewhere."""


@dataclass(frozen=True)
class SplitFolders:
    """The folders of one split; `base` is where items.csv and labels.csv may lie.

    instances: images of object ids. object_masks: holds a folder of masks for each image, one per object.
    listing: what tells the objects of the images. table: labels.csv, a class per image.
    layers: folders in `masks`, each with the masks of one region; empty where the masks are there themselves.
    mixed: images and masks lie in one folder, and words in their names tell which is which.
    others: folders with masks of other people, which are held against `masks`.
    channel_files: each channel of an image has a file of its own, numbered `_0000`, `_0001` ...
    names: only the images of these names belong to the split; None for all.
    """

    split: str
    base: Path
    images: Path
    masks: Path | None = None
    fov: Path | None = None
    instances: Path | None = None
    object_masks: Path | None = None
    listing: Listing | None = None
    table: Path | None = None
    channel_files: bool = False
    names: frozenset[str] | None = None
    parts: Parts = "images"
    layers: tuple[str, ...] = ()
    mixed: bool = False
    others: tuple[Path, ...] = ()

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders in which images and label images lie."""
        places = self.images, self.masks, self.instances, self.object_masks, self.fov
        return tuple(dict.fromkeys(place for place in places if place is not None))

    @property
    def listed(self) -> tuple[Path, ...]:
        """The files and folders that list what is annotated: images that they leave out are no cases."""
        told = None if self.listing is None else self.listing.place, self.table
        return tuple(place for place in told if place is not None)

    def describe(self) -> str:
        """What annotates the images, for people."""
        if self.mixed:
            return f"{self.images.name}/ with images and masks in one folder, told apart by their names"
        parts = (self.masks, "/"), (self.instances, "/"), (self.object_masks, "/<image>/")
        told = [part.name + ending for part, ending in parts if part is not None]
        told += [] if self.listing is None else [self.listing.describe()]
        told += [] if self.table is None else [self.table.name]
        return f"{self.images.name}/ with {', '.join(told) or 'nothing'}"


Located = tuple[tuple[SplitFolders, ...], frozenset[str]]
"""The split folders of a dataset, and the splits that are given."""


def by_convention(root: Path, options: DataOptions) -> Located:
    """The split folders by the names of the options, else by the usual ones.

    Raises DataError for a folder that is missing, empty, or not understood.
    """
    splits = split_folders(root)
    given = options.images
    if given is not None and (not splits or given.is_absolute() or (root / given).is_dir() or given.is_dir()):
        return (_named(root, "train", root, options),), frozenset()
    if splits:
        return tuple(_named(root, split, base, options) for split, base in splits.items()), frozenset(splits)
    return _inner_splits(root, _named(root, "train", root, options))


def _inner_splits(root: Path, flat: SplitFolders) -> Located:
    """images/train, images/test, masks/train and so on; never one mixed bag of training and test images."""
    inner = {folder.name: folder for folder in folders_in(flat.images)}
    splits = {SPLIT_NAMES[name.lower()]: name for name in inner if name.lower() in SPLIT_NAMES}
    if not splits:
        return (flat,), frozenset()
    if len(splits) != len(inner) or any(path.parent == flat.images for path in image_files(flat.images)):
        raise DataError(
            "the images folder holds split folders and other images",
            where=flat.images,
            expected="only train/, val/ and test/, or none of them",
            received=", ".join(inner),
        )
    found = []
    for split in sorted(splits, key=SPLITS.index):
        name, images = splits[split], inner[splits[split]]
        parts = [one and one / name for one in (flat.masks, flat.fov, flat.instances)]
        masks, fov, instances = (part if part is not None and part.is_dir() else None for part in parts)
        listing = None if flat.listing is None else flat.listing.below(name)
        if split != "test" and all(part is None for part in (masks, instances, listing)):
            raise DataError("no masks folder found", where=root, expected=str(parts[0] or parts[2]))
        found.append(SplitFolders(split, images, images, masks, fov, instances, listing=listing))
    return tuple(found), frozenset(splits)


def split_folders(root: Path) -> dict[str, Path]:
    """The folders of a dataset that are named like a split. Raises DataError where two are the same one."""
    found: dict[str, Path] = {}
    for folder in folders_in(root):
        split = SPLIT_NAMES.get(folder.name.lower())
        if split is None:
            continue
        if split in found:
            raise DataError(
                f"two folders are the {split} split",
                where=root,
                received=f"{found[split].name}, {folder.name}",
            )
        found[split] = folder
    if found and "train" not in found and any(role_of(one.name) == "images" for one in folders_in(root)):
        found["train"] = root  # images/ and masks/ for training, with test/ or val/ beside them
    return {split: found[split] for split in SPLITS if split in found}


def _named(root: Path, split: str, base: Path, options: DataOptions) -> SplitFolders:
    """The folders of one split, by the user's names or by the usual ones."""
    images = _named_folder(root, base, options.images, "images")
    masks = _named_folder(root, base, options.masks, "masks")
    if images is None and (
        _lies_beside_images(base) or (masks is None and masks_among(images_by_stem(base)))
    ):
        images = base
    if images is None:
        inner = list(filter(_holds_all, folders_in(base)))
        if len(inner) == 1:
            return _named(root, split, inner[0], options)
        raise DataError(
            "no images folder found",
            where=base,
            expected=f"a folder named {' or '.join(IMAGE_FOLDERS)}, or train/images",
            received=nearest(base),
            fix="name the folders with --images DIR --masks DIR",
        )
    if not image_files(images):
        raise DataError(
            "the images folder contains no images",
            where=images,
            expected=suffixes(),
            received=census(images) or nearest(images),
            fix=ways(unread(list_files(images)[1])) or None,
        )
    rivals = [] if masks is None or masks.name == "masks" else _rivals(base, images, masks)
    if rivals and masks is not None and options.masks is None:
        raise DataError(
            "several folders could hold the masks",
            where=base,
            received=", ".join(one.name for one in (masks, *rivals)),
            fix="name the folder with --masks DIR, or call it masks",
        )
    found = replace(_annotated(split, base, images, masks), others=tuple(rivals))
    if found.mixed or split == "test" or found.listed or len(found.places) > 1 + (found.fov is not None):
        return found
    raise DataError(
        "no masks folder found",
        where=base,
        expected=f"a folder named {' or '.join(MASK_FOLDERS)} beside {images.name}/, or instances/, "
        "boxes.json, annotations/*.xml or labels.csv",
        received=nearest(base),
        fix="name the folders with --images DIR --masks DIR",
    )


def _annotated(split: str, base: Path, images: Path, masks: Path | None) -> SplitFolders:
    """The folders of images with all that annotates them. Raises DataError for one that is both, unclear."""
    beside = images if images == base else images.parent
    found = SplitFolders(
        split,
        base,
        images,
        masks,
        fov=_folder(beside / "fov") if masks is None or masks.parent == beside else None,
        instances=_folder(beside / "instances"),
        listing=find_listing(beside, images),
        table=beside / "labels.csv" if has_labels(beside / "labels.csv") else None,
    )
    if masks is None:
        is_told = found.instances is not None or bool(found.listed)
        if not is_told and masks_among(images_by_stem(images)):
            return replace(found, masks=images, mixed=True)
        return found if is_told else replace(found, table=_file(beside / "labels.csv"))  # or why it is none
    if masks.samefile(images):
        if not masks_among(images_by_stem(images)):
            raise DataError(
                "images and masks are one folder, and no words in the names tell them apart",
                where=images,
                expected="names such as a.png and a_mask.png",
                received=nearest(images),
            )
        return replace(found, mixed=True)
    return replace(found, masks=None, object_masks=masks) if _has_object_masks(images, masks) else found


def _folder(path: Path) -> Path | None:
    return path if path.is_dir() else None


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None


def _lies_beside_images(base: Path) -> bool:
    """Whether a folder without images/ holds images itself and, beside them, files about their objects."""
    return has_images(base) and find_listing(base, base) is not None


def _holds_all(folder: Path) -> bool:
    """Whether images and files about their objects lie in a folder, as some programs put them."""
    images = [one for one in folders_in(folder) if role_of(one.name) == "images"]
    places = [(folder, one) for one in images] if images else [(folder, folder)] * has_images(folder)
    return any(find_listing(*place) is not None for place in places)


def has_images(folder: Path) -> bool:
    """Whether there are images in a folder itself."""
    return any((image_suffix(path) and path.is_file()) or is_store(path) for path in visible(folder))


def _has_object_masks(images: Path, masks: Path) -> bool:
    """Whether there is a folder of masks for each image, which is named like it, and no mask of that name."""
    folders = {entry.name for entry in folders_in(masks)}
    return bool(folders & images_by_stem(images).keys()) and not has_images(masks)


def _named_folder(root: Path, base: Path, given: Path | None, role: Role) -> Path | None:
    """The folder that the user named, or the one that is called so and holds such files; `role` itself wins.

    Raises DataError when there is no such folder, or when there are several.
    """
    option = f"--{role}"
    if given is not None:
        found = [folder for folder in (base / given, root / given, given) if folder.is_dir()]
        if not found:
            message = f"the folder given with {option} does not exist"
            raise DataError(message, where=given, fix=beside(given))
        return found[0]
    inside = folders_in(base)
    found = [one for one in inside if role_of(one.name) == role and (role == "images" or _may_be_masks(one))]
    exact = [folder for folder in found if folder.name == role]
    if len(found) > 1 and not exact:
        raise DataError(
            f"several folders could hold the {role}",
            where=base,
            received=", ".join(folder.name for folder in found),
            fix=f"name the folder with {option} DIR",
        )
    return next(iter(exact or found), None)


def _may_be_masks(folder: Path) -> bool:
    """Whether a folder holds images, or nothing at all: annotations of another kind are no masks."""
    images, others = list_files(folder)
    return bool(images) or not others


def _rivals(base: Path, images: Path, masks: Path) -> list[Path]:
    """The folders of other names that could hold the masks as well: DRIVE's 1st_manual, 2nd_manual."""
    count = len(image_files(images))
    others = [one for one in folders_in(base) if one not in (images, masks)]
    others = [one for one in others if one.name.lower() not in {"fov", "instances", *SPLIT_NAMES}]
    return [one for one in others if 2 * len(image_files(one)) >= count]


def nearest(folder: Path) -> str:
    """Five things that are there instead."""
    entries = sorted(
        folder.rglob("*"), key=lambda path: (len(path.relative_to(folder).parts), path.as_posix())
    )[:5]
    names = [path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "") for path in entries]
    return "it contains " + ", ".join(names) if names else "an empty folder"
