"""Images, masks and fields of view of one split, matched by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reunet.contracts.findings import Findings, relative
from reunet.datasets.cases import Axis, Case, CaseFiles, FrameSequence
from reunet.datasets.folders import SplitFolders, image_files, stem_of, visible
from reunet.datasets.recognise import channel_of
from reunet.errors import ReunetError
from reunet.io.images import read_header

MASK_ENDINGS = ("_mask", "_label", "_seg", "_segmentation")
FOV_ENDINGS = (*MASK_ENDINGS, "_fov")


class Found(Findings):
    """Everything that is wrong with what was found so far, and the usable cases."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.cases: list[Case] = []


def pair_files(folders: SplitFolders, root: Path, axes: str | None) -> Found:
    """Cases of one split, and a problem for every image without mask, mask without image, or doubled stem."""
    found = Found(root)
    files = _named(_by_stem(folders.images, found), folders, found)
    images = join_channels(files) if folders.channel_files else {stem: (files[stem],) for stem in files}
    _missing_channels(images, found)
    masks = [_Partners(folder, found, MASK_ENDINGS) for folder in _mask_folders(folders)]
    objects = _Partners(folders.instances, found, MASK_ENDINGS)
    fields = _Partners(folders.fov, found, FOV_ENDINGS)
    single = _object_masks(folders, images, found)
    for stem, (image, *others) in images.items():
        told, fov, instances = [one.take(stem) for one in masks], fields.take(stem), objects.take(stem)
        mask = None if None in told else told[0]
        partners = [("mask", "mask", *one) for one in zip(_mask_folders(folders), told, strict=True)]
        partners.append(("instances", "object ids", folders.instances, instances))
        partners.append(("fov", "field-of-view file", folders.fov, fov))
        for code, name, folder, file in partners:
            if folder is not None and file is None:
                expected = f"{relative(folder, root)}/{stem}.png or another image format"
                found.error(f"image-without-{code}", image, f"the image has no {name}", expected)
        if folders.object_masks is not None and stem not in single:
            expected = f"{relative(folders.object_masks, root)}/{stem}/ with a mask per object, or none"
            found.error("image-without-instances", image, "the image has no folder of masks", expected)
        if (mask is not None or folders.masks is None) and (fov is not None or folders.fov is None):
            layers = tuple(path for path in told[1:] if path is not None)
            told_by = CaseFiles(image, mask, fov, tuple(others), layers, instances, single.get(stem))
            found.cases.extend(pages(Case(stem, folders.split, told_by), axes, found))
    for path in [path for one in masks for path in one.unused()]:
        found.error("mask-without-image", path, "the mask has no image of its name")
    for path in objects.unused():
        found.error("instances-without-image", path, "the object ids have no image of their name")
    for path in fields.unused():
        found.error("fov-without-image", path, "the field-of-view file has no image of its name")
    _collisions(found)
    return found


def _mask_folders(folders: SplitFolders) -> list[Path | None]:
    """The folder of the masks, or that of each region."""
    if folders.masks is None or not folders.layers:
        return [folders.masks]
    return [folders.masks / name for name in folders.layers]


def partners_of(stem: str, known: Container[str], endings: Sequence[str]) -> list[str]:
    """The stems among `known` that belong to an image: its own, else those with one of the endings."""
    return [stem] if stem in known else [stem + end for end in endings if stem + end in known]


def join_channels(files: Mapping[str, Path]) -> dict[str, tuple[Path, ...]]:
    """The files of each image in the order of their channels; without a number a file is an image."""
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    for stem, path in files.items():
        name, number = channel_of(stem) or (stem, 0)
        found[name][number] = path
    return {name: tuple(path for _, path in sorted(numbered.items())) for name, numbered in found.items()}


def _missing_channels(images: Mapping[str, tuple[Path, ...]], problems: Findings) -> None:
    most = max(map(len, images.values()), default=0)
    for files in images.values():
        if len(files) != most:
            message = "the image has fewer channels than others"
            received = ", ".join(path.name for path in files)
            problems.error("channel-count", files[0], message, f"{most} files", received)


def _named(files: dict[str, Path], folders: SplitFolders, problems: Findings) -> dict[str, Path]:
    """The files that belong to the split; an error for names that it lists and that are no images."""
    if folders.names is None:
        return files
    for name in sorted(folders.names - files.keys()):
        message = f"{name}: the {folders.split} split lists this image, which does not exist"
        problems.error("image-missing", folders.images, message, "", "", "add the image, or correct the list")
    return {stem: path for stem, path in files.items() if stem in folders.names}


def _object_masks(
    folders: SplitFolders, images: Container[str], problems: Findings
) -> dict[str, tuple[Path, ...]]:
    """The masks of single objects by the name of their image, in whose folder they lie."""
    if folders.object_masks is None:
        return {}
    found = {one.name: tuple(image_files(one)) for one in visible(folders.object_masks) if one.is_dir()}
    for name in found:
        if name not in images:
            where = folders.object_masks / name
            problems.error("instances-without-image", where, "the masks have no image of their name")
    return found


def _by_stem(folder: Path, problems: Findings) -> dict[str, Path]:
    stems: dict[str, list[Path]] = defaultdict(list)
    for path in image_files(folder):
        stems[stem_of(path, folder)].append(path)
    for paths in stems.values():
        if len(paths) > 1:
            message = "several files have the same name but for the suffix"
            names = ", ".join(path.name for path in paths)
            problems.error("same-stem", paths[0], message, "one file", names, "remove or rename the others")
    return {stem: paths[0] for stem, paths in stems.items()}


class _Partners:
    """Masks (or fields of view) that wait for their image."""

    def __init__(self, folder: Path | None, problems: Findings, endings: tuple[str, ...]) -> None:
        self._files = {} if folder is None else _by_stem(folder, problems)
        self._used: set[str] = set()
        self._problems, self._endings = problems, endings

    def take(self, stem: str) -> Path | None:
        names = partners_of(stem, self._files, self._endings)
        self._used.update(names)
        if len(names) > 1:
            message = f"several files could belong to image {stem}"
            received = ", ".join(self._files[name].name for name in names)
            self._problems.error("several-partners", self._files[names[0]], message, "one file", received)
        return self._files[names[0]] if names else None

    def unused(self) -> list[Path]:
        return [path for stem, path in self._files.items() if stem not in self._used]


def pages(case: Case, axes: str | None, problems: Findings) -> list[Case]:
    """The case itself, or one case per page of a TIFF stack."""
    if case.image.suffix.lower() not in (".tif", ".tiff"):
        return [case]
    try:
        header = read_header(case.image, axes)
        if header.pages == 1:
            return [case]
        others = [
            (what, read_header(path, axes).pages)
            for what, path in (
                ("mask", case.files.mask),
                ("field of view", case.files.fov),
                ("instances", case.files.instances),
            )
            if path is not None
        ]
    except ReunetError:
        return [case]  # unreadable: reported with the pixels, where every file is read
    letters = [axis for axis in header.axes if axis not in "YXC"]
    if set(letters) - {"T", "Z"}:
        message = f"the file is a stack of {header.pages} pages"
        fix = "say what the pages are with --axes, such as ZYX (depth), TYX (time) or CYX (channels)"
        problems.error("unnamed-axes", case.image, message, "named axes", header.axes, fix)
        return []
    wrong = [
        (what, pages)
        for what, pages in others
        if pages != header.pages and (what != "field of view" or pages != 1)  # one may serve all pages
    ]
    for what, pages in wrong:
        message = f"image and {what} have different numbers of pages"
        expected = f"{header.pages} pages as in the image"
        problems.error("page-count", case.image, message, expected, f"{pages} in the {what}")
    if wrong:
        return []
    axis: Axis = "T" if "T" in letters else "Z"
    sequence = FrameSequence(case.id, axis)
    return [
        replace(case, id=f"{case.id}#{page:04d}", page=page, sequence=sequence)
        for page in range(header.pages)
    ]


def _collisions(found: Found) -> None:
    """Names that differ only in upper and lower case overwrite each other on Windows and macOS."""
    seen: dict[str, Case] = {}
    for case in found.cases:
        other = seen.setdefault(case.id.casefold(), case)
        if other.id != case.id:
            message = f"its name differs from {found.name(other.image)} only in upper and lower case"
            fix = "rename one: on Windows and macOS their outputs would overwrite each other"
            found.warning("case-collision", case.image, message, "", "", fix)
