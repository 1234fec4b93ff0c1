"""Images, masks and fields of view of one split, matched by name."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.datasets.cases import Case, CaseFiles, FrameSequence
from reunet.datasets.folders import SplitFolders
from reunet.datasets.recognise import channel_of
from reunet.datasets.told_apart import by_rest, masks_among
from reunet.errors import DataError, ReunetError
from reunet.io.formats.table import SUFFIXES
from reunet.io.header import ImageHeader, page_places
from reunet.io.images import image_suffix, read_header
from reunet.io.listing import folders_in, image_files, images_by_stem, stem_of

MANY_PAGES = frozenset({".tif", ".tiff"}) | SUFFIXES
"""Of files that may hold a stack of pages."""

MASK_ENDINGS = ("_mask", "_label", "_seg", "_segmentation")
FOV_ENDINGS = (*MASK_ENDINGS, "_fov")


def partners_of(
    stems: Collection[str], known: Collection[str], endings: Sequence[str] = MASK_ENDINGS
) -> dict[str, list[str]]:
    """Of each image the stems among `known` that belong to it: its own, else those with one of the endings,
    else those that say the same but for words for images and masks, as `gt_001` and `img_001`.
    """
    named = {stem: [stem] if stem in known else [stem + end for end in endings if stem + end in known]
             for stem in stems}  # fmt: skip
    free = by_rest([stem for stem in named if not named[stem]])
    if free:
        taken = {one for some in named.values() for one in some}
        others = by_rest([one for one in known if one not in taken])
        same = {some[0]: others[rest] for rest, some in free.items() if len(some) == 1 and rest in others}
        named |= same
    return named


def fields_of_view(folder: Path, images: Mapping[str, object]) -> dict[str, Path]:
    """The field of view of each image in a folder, by its stem. Raises DataError unless each has one.

    images: by stem what messages call them.
    """
    files = images_by_stem(folder)
    partners = partners_of(images.keys(), files, FOV_ENDINGS)
    if wrong := [str(told) for stem, told in images.items() if len(partners[stem]) != 1]:
        raise DataError(
            f"{len(wrong)} image(s) have no field of view, or several",
            where=folder,
            expected=f"one mask with the name of each image, perhaps with {', '.join(FOV_ENDINGS)}",
            received=f"not for {', '.join(wrong[:5])}",
        )
    return {stem: files[partners[stem][0]] for stem in images}


def join_channels(files: Mapping[str, Path]) -> dict[str, tuple[Path, ...]]:
    """The files of each image in the order of their channels; without a number a file is an image."""
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    for stem, path in files.items():
        name, number = channel_of(stem) or (stem, 0)
        found[name][number] = path
    return {name: tuple(path for _, path in sorted(numbered.items())) for name, numbered in found.items()}


class Found(Findings):
    """Everything that is wrong with what was found so far, and the usable cases.

    axes: as for `read_header`.
    """

    def __init__(self, root: Path, axes: str | None) -> None:
        super().__init__(root)
        self.cases: list[Case] = []
        self._axes = axes

    def add(self, case: Case) -> None:
        """Take a case, or one per page of a TIFF stack."""
        self.cases.extend(self._pages(case))

    def _pages(self, case: Case) -> list[Case]:
        if image_suffix(case.image) not in MANY_PAGES and case.image.is_file():
            return [case]
        files = case.files
        beside = {"mask": files.mask, "field of view": files.fov, "instances": files.instances}
        try:
            header = read_header(case.image, self._axes)
            if header.pages == 1:
                return [case]
            told = {what: read_header(path, self._axes) for what, path in beside.items() if path}
        except ReunetError:
            return [case]  # unreadable: reported with the pixels, where every file is read
        letters = [axis for axis in header.axes if axis not in "YXC"]
        if set(letters) - {"T", "Z"}:
            message = f"the file is a stack of {header.pages} pages"
            fix = "say what the pages are with --axes, such as ZYX (depth), TYX (time) or CYX (channels)"
            self.error("unnamed-axes", case.image, message, "named axes", header.axes, fix)
            return []
        if "field of view" in told and told["field of view"].pages == 1:  # one may serve all pages
            del told["field of view"]
        wrong = {what: other for what, other in told.items() if not _same_pages(header, other)}
        for what, other in wrong.items():
            message, fix = f"image and {what} have different numbers of pages", ""
            if other.pages == header.pages:
                message = f"image and {what} do not say that their pages follow each other in one order"
                fix = f"save the {what} with the axes and lengths of the image in its metadata (OME, ImageJ)"
            expected, received = f"{header.counted} as in the image", f"{other.counted} in the {what}"
            self.error("page-count", case.image, message, expected, received, fix)
        if wrong:
            return []
        stack = replace(case, sequence=FrameSequence(case.id, "T" if "T" in letters else "Z"))
        return [replace(stack, id=f"{case.id}#{page:04d}", page=page) for page in range(header.pages)]


def _same_pages(one: ImageHeader, other: ImageHeader) -> bool:
    """Whether a page is the same time and depth in both. Axes that only one file names count as the other's
    where both store their pages in the order that they are counted in.
    """
    pages, others = ([told for told in header.stack if told[1] > 1] for header in (one, other))
    if one.pages != other.pages or pages == others:
        return one.pages == other.pages
    places = [page_places(header.axes) for header in (one, other)]
    is_like = len(pages) != len(others) or [side for _, side in pages] == [side for _, side in others]
    return is_like and all(some == sorted(some) for some in places)


class PairedFiles(Found):
    """Cases of one split by the names of its files, and a problem for every image without mask, mask without
    image, or doubled stem.
    """

    def __init__(self, folders: SplitFolders, root: Path, axes: str | None) -> None:
        super().__init__(root, axes)
        self._mixed, self._names = folders.images if folders.mixed else None, folders.names
        files = self._listed(self._by_stem(folders.images, images=True), folders)
        self._images = join_channels(files) if folders.channel_files else {s: (files[s],) for s in files}
        self._missing_channels()
        of_masks = [folders.masks and folders.masks / name for name in folders.layers] or [folders.masks]
        masks = [self._partners(one, "mask", "mask", MASK_ENDINGS) for one in of_masks]
        ids = self._partners(folders.instances, "instances", "object ids", MASK_ENDINGS)
        single = self._object_masks(folders.object_masks)
        fields = self._partners(folders.fov, "fov", "field-of-view file", FOV_ENDINGS)
        for stem, (image, *channels) in self._images.items():
            told = [one[stem] for one in masks if stem in one]
            if (folders.masks is None or len(told) == len(masks)) and (folders.fov is None or stem in fields):
                mask, layers = next(iter(told), None), tuple(told[1:])
                told_by = CaseFiles(
                    image, mask, fields.get(stem), tuple(channels), layers, ids.get(stem), single.get(stem)
                )
                self.add(Case(stem, folders.split, told_by))
        self._collisions()

    def _listed(self, files: dict[str, Path], folders: SplitFolders) -> dict[str, Path]:
        """The files that belong to the split; an error for names that it lists and that are no images."""
        if folders.names is None:
            return files
        for name in sorted(folders.names - files.keys()):
            message = f"{name}: the {folders.split} split lists this image, which does not exist"
            fix = "add the image, or correct the list"
            self.error("image-missing", folders.images, message, "", "", fix)
        return {stem: path for stem, path in files.items() if stem in folders.names}

    def _missing_channels(self) -> None:
        most = max(map(len, self._images.values()), default=0)
        for files in self._images.values():
            if len(files) != most:
                message = "the image has fewer channels than others"
                received = ", ".join(path.name for path in files)
                self.error("channel-count", files[0], message, f"{most} files", received)

    def _partners(
        self, folder: Path | None, code: str, name: str, endings: tuple[str, ...]
    ) -> dict[str, Path]:
        """The file in a folder that belongs to each image, by the image's stem.

        code, name: what such files are called in the codes of errors, and for people.
        """
        if folder is None:
            return {}
        files, found = self._by_stem(folder), {}
        unused = dict(files)
        partners = partners_of(self._images, files, endings)
        for stem, (image, *_) in self._images.items():
            names = partners[stem]
            for one in names:
                unused.pop(one, None)
            if not names:
                expected = f"{self.name(folder)}/{stem}.png or another image format"
                self.error(f"image-without-{code}", image, f"the image has no {name}", expected)
                continue
            found[stem] = files[names[0]]
            if len(names) > 1:
                message = f"several files could belong to image {stem}"
                received = ", ".join(files[one].name for one in names)
                self.error("several-partners", found[stem], message, "one file", received)
        verb, its = ("have", "their") if name == "object ids" else ("has", "its")
        for path in unused.values() if self._names is None else ():
            self.error(f"{code}-without-image", path, f"the {name} {verb} no image of {its} name")
        return found

    def _object_masks(self, folder: Path | None) -> dict[str, tuple[Path, ...]]:
        """The masks of single objects by the name of their image, in whose folder they lie."""
        if folder is None:
            return {}
        found = {one.name: tuple(image_files(one)) for one in folders_in(folder)}
        for name in sorted(found.keys() - self._images.keys()):
            where = folder / name
            self.error("instances-without-image", where, "the masks have no image of their name")
        for stem in sorted(self._images.keys() - found.keys()):
            expected = f"{self.name(folder)}/{stem}/ with a mask per object, or none"
            message = "the image has no folder of masks"
            self.error("image-without-instances", self._images[stem][0], message, expected)
        return found

    def _by_stem(self, folder: Path, *, images: bool = False) -> dict[str, Path]:
        """The files of a folder by their stems; in one that is mixed only the images, or all others."""
        stems: dict[str, list[Path]] = defaultdict(list)
        for path in image_files(folder):
            stems[stem_of(path, folder)].append(path)
        if folder == self._mixed:
            masks = masks_among(stems)
            stems = {stem: paths for stem, paths in stems.items() if (stem in masks) is not images}
        for paths in stems.values():
            if len(paths) > 1:
                message = "several files have the same name but for the suffix"
                names = ", ".join(path.name for path in paths)
                self.error("same-stem", paths[0], message, "one file", names, "remove or rename the others")
        return {stem: paths[0] for stem, paths in stems.items()}

    def _collisions(self) -> None:
        """Names that differ only in upper and lower case overwrite each other on Windows and macOS."""
        seen: dict[str, Case] = {}
        for case in self.cases:
            other = seen.setdefault(case.id.casefold(), case)
            if other.id != case.id:
                message = f"its name differs from {self.name(other.image)} only in upper and lower case"
                fix = "rename one: on Windows and macOS their outputs would overwrite each other"
                self.warning("case-collision", case.image, message, "", "", fix)
