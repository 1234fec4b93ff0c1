"""Images, masks and fields of view of one split, matched by name."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reunet.contracts.results import Problem
from reunet.datasets.cases import Case
from reunet.datasets.folders import SplitFolders, image_files
from reunet.errors import ReunetError
from reunet.io.images import read_header

MASK_ENDINGS = ("_mask", "_label", "_seg", "_segmentation")
FOV_ENDINGS = (*MASK_ENDINGS, "_fov")


@dataclass
class Found:
    """What was found so far: the usable cases and everything that is wrong."""

    cases: list[Case]
    problems: list[Problem]


def pair_files(folders: SplitFolders, root: Path, axes: str | None) -> Found:
    """Cases of one split, and a problem for every image without mask, mask without image, or doubled stem."""
    found = Found([], [])
    images = _by_stem(folders.images, root, found.problems)
    masks = _Partners(folders.masks, root, found.problems, MASK_ENDINGS)
    fields = _Partners(folders.fov, root, found.problems, FOV_ENDINGS)
    for stem, image in images.items():
        mask, fov = masks.take(stem), fields.take(stem)
        name = relative(image, root)
        if folders.masks is not None and mask is None:
            expected = f"{relative(folders.masks, root)}/{stem}.png or another image format"
            found.problems.append(
                Problem("error", "image-without-mask", name, "the image has no mask", expected)
            )
        if folders.fov is not None and fov is None:
            expected = f"{relative(folders.fov, root)}/{stem}.png or another image format"
            found.problems.append(
                Problem("error", "image-without-fov", name, "the image has no field-of-view file", expected)
            )
        if (mask is not None or folders.masks is None) and (fov is not None or folders.fov is None):
            found.cases.extend(
                _pages(Case(stem, folders.split, image, mask, fov), root, axes, found.problems)
            )
    for kind, partners in (("mask", masks), ("fov", fields)):
        for path in partners.unused():
            name = "mask" if kind == "mask" else "field-of-view file"
            found.problems.append(
                Problem(
                    "error",
                    f"{kind}-without-image",
                    relative(path, root),
                    f"the {name} has no image of its name",
                )
            )
    found.problems.extend(_colliding(folders.split, found.cases, root))
    return found


def relative(path: Path, root: Path, page: int | None = None) -> str:
    """Path below the dataset's folder, for messages; people count pages from 1."""
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return name if page is None else f"{name}, page {page + 1}"


def stem_of(path: Path, folder: Path) -> str:
    """Path below the folder without suffix; composed Unicode, since macOS stores names decomposed."""
    return unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())


def partners_of(stem: str, known: Container[str], endings: Sequence[str]) -> list[str]:
    """The stems among `known` that belong to an image: its own, else those with one of the endings."""
    return [stem] if stem in known else [stem + end for end in endings if stem + end in known]


def _by_stem(folder: Path, root: Path, problems: list[Problem]) -> dict[str, Path]:
    stems: dict[str, list[Path]] = defaultdict(list)
    for path in image_files(folder):
        stems[stem_of(path, folder)].append(path)
    for paths in stems.values():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            problems.append(
                Problem(
                    "error",
                    "same-stem",
                    relative(paths[0], root),
                    "several files have the same name but for the suffix",
                    "one file",
                    names,
                    "remove or rename the others",
                )
            )
    return {stem: paths[0] for stem, paths in stems.items()}


class _Partners:
    """Masks (or fields of view) that wait for their image."""

    def __init__(
        self, folder: Path | None, root: Path, problems: list[Problem], endings: tuple[str, ...]
    ) -> None:
        self._files = {} if folder is None else _by_stem(folder, root, problems)
        self._used: set[str] = set()
        self._root, self._problems, self._endings = root, problems, endings

    def take(self, stem: str) -> Path | None:
        names = partners_of(stem, self._files, self._endings)
        self._used.update(names)
        if len(names) > 1:
            received = ", ".join(self._files[name].name for name in names)
            self._problems.append(
                Problem(
                    "error",
                    "several-partners",
                    relative(self._files[names[0]], self._root),
                    f"several files could belong to image {stem}",
                    "one file",
                    received,
                )
            )
        return self._files[names[0]] if names else None

    def unused(self) -> list[Path]:
        return [path for stem, path in self._files.items() if stem not in self._used]


def _pages(case: Case, root: Path, axes: str | None, problems: list[Problem]) -> list[Case]:
    """The case itself, or one case per page of a TIFF stack."""
    if case.image.suffix.lower() not in (".tif", ".tiff"):
        return [case]
    name = relative(case.image, root)
    try:
        header = read_header(case.image, axes)
        if header.pages == 1:
            return [case]
        others = [
            (what, read_header(path, axes).pages)
            for what, path in (("mask", case.mask), ("field of view", case.fov))
            if path is not None
        ]
    except ReunetError:
        return [case]  # unreadable: reported with the pixels, where every file is read
    letters = [axis for axis in header.axes if axis not in "YXC"]
    if set(letters) - {"T", "Z"}:
        problems.append(
            Problem(
                "error",
                "unnamed-axes",
                name,
                f"the file is a stack of {header.pages} pages",
                "named axes",
                header.axes,
                "say what the pages are with --axes, such as ZYX (depth), TYX (time) or CYX (channels)",
            )
        )
        return []
    wrong = [
        Problem(
            "error",
            "page-count",
            name,
            f"image and {what} have different numbers of pages",
            f"{header.pages} pages as in the image",
            f"{pages} in the {what}",
        )
        for what, pages in others
        if pages != header.pages and (what == "mask" or pages != 1)  # one field of view may serve all pages
    ]
    if wrong:
        problems.extend(wrong)
        return []
    axis: Literal["T", "Z"] = "T" if "T" in letters else "Z"
    return [
        Case(f"{case.id}#{page:04d}", case.split, case.image, case.mask, case.fov, page, None, case.id, axis)
        for page in range(header.pages)
    ]


def _colliding(split: str, cases: list[Case], root: Path) -> list[Problem]:
    """Names that differ only in upper and lower case overwrite each other on Windows and macOS."""
    seen: dict[str, Case] = {}
    problems = []
    for case in cases:
        other = seen.setdefault(case.id.casefold(), case)
        if other.id != case.id:
            problems.append(
                Problem(
                    "warning",
                    "case-collision",
                    relative(case.image, root),
                    f"its name differs from {relative(other.image, root)} only in upper and lower case",
                    fix="rename one: on Windows and macOS their outputs would overwrite each other",
                )
            )
    return problems
