"""Which files a prediction reads, and what its results are called."""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings, some_of
from reunet.datasets.cases import FrameSequence
from reunet.datasets.folders import nearest
from reunet.datasets.foreign import unread, ways
from reunet.datasets.recognise import NNUNET, channel_of
from reunet.datasets.sequences import FILE, SequencePattern, natural_order, read_places
from reunet.datasets.told_apart import masks_among
from reunet.datasets.vocabulary import SPLIT_NAMES, role_of
from reunet.errors import DataError, ReunetError, UsageError, beside
from reunet.io.formats.table import images_in, is_store, place_of
from reunet.io.images import IMAGE_SUFFIXES, composed, image_suffix, read_header, without_suffix
from reunet.io.lazy import is_array
from reunet.io.listing import list_files
from reunet.io.video import VIDEO_SUFFIXES, is_video

CHANNEL_FOLDERS = frozenset(images for images, _ in NNUNET.values())
NOT_IMAGES = frozenset({*(masks for _, masks in NNUNET.values()), "instances", "fov"})
"""Folders beside the images of a dataset, as masks are; predicting them would be a mistake."""


@dataclass(frozen=True)
class Source:
    """One image file. `name` is the relative path of its results, without suffix; `channels` are the files
    of further channels, `tiles` those of a scene, of which `path` is the folder.
    """

    path: Path
    name: Path
    channels: tuple[Path, ...] = ()
    tiles: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read."""
        return (self.path, *self.channels, *self.tiles)


@dataclass(frozen=True)
class Film:
    """Files that are frames of one sequence, in its order, or one stack.

    axes: what it runs through: T for time, Z for depth; other letters, or none, where that is not told.
    """

    name: str
    axes: str
    sources: tuple[Source, ...]


def find_sources(
    inputs: Sequence[Path], *, exclude: Path, results: Container[str] = (), scene: bool = False
) -> tuple[tuple[Source, ...], tuple[Path, ...]]:
    """The image files named by `inputs`: files as they are, folders with everything below, sorted; and the
    other files in these folders, which are left out.

    Results of a file in a folder keep its path below that folder. Files below `exclude` (the output)
    and hidden ones are not looked at; where an input lies in the output, files below its folders of `results`
    are not, unless it is one of these. scene: the files of each folder are tiles of one image. Raises
    DataError for an input that does not exist, holds no image or is a dataset, UsageError when two files
    would have results of one name, and for a scene that is no folder.
    """
    if not inputs:
        raise UsageError("nothing to predict", expected="at least one image file or folder")
    sources: dict[tuple[Path, Path], Source] = {}  # a file that is named twice is predicted once
    left_out: dict[Path, None] = {}
    for given in inputs:
        found, others = _sources_of(given, partial(_is_result, given, exclude.resolve(), results), scene)
        left_out |= dict.fromkeys(others)
        for source in found:
            sources.setdefault((source.path.resolve(), source.name), source)
    _check_names(sources.values(), exclude)
    return tuple(sources.values()), tuple(left_out)


def _is_result(given: Path, output: Path, results: Container[str], path: Path) -> bool:
    """Whether a file below an input is a result of an earlier prediction: it lies in the output."""
    place, start = path.resolve(), given.resolve()
    if not place.is_relative_to(output) or not start.is_relative_to(output):
        return place.is_relative_to(output)
    first = place.relative_to(output).parts[0]
    return first in results and not start.is_relative_to(output / first)


def _sources_of(
    given: Path, is_result: Callable[[Path], bool], scene: bool
) -> tuple[list[Source], list[Path]]:
    file, name = place_of(given)
    if scene and file.is_file():
        fix = f"give {given.parent}" if len(given.parts) > 1 else "give their folder"
        raise UsageError("the tiles of a scene are the files of a folder", where=given, fix=fix)
    if file.is_file() or (is_array(given) and given.is_dir()) or is_store(given):
        images = [given] if name else images_in(given)
        return _join_channels([Source(one, _result_name(one.relative_to(file.parent))) for one in images]), []
    if not given.is_dir():
        raise DataError(
            "the input does not exist",
            where=given,
            expected="an image file or a folder of images",
            fix=beside(given),
        )
    images, others = (
        [path for path in some if not is_result(path)]
        for some in list_files(given, lambda path: image_suffix(path) or is_video(path))
    )
    if not images:
        found = unread(others)
        raise DataError(
            "the folder holds no images",
            where=given,
            expected=f"files ending in {', '.join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))}",
            received="; ".join(one.describe(given) for one in found[:5]) or nearest(given),
            fix=ways(found) or None,
        )
    _check_no_dataset(given, images)
    if scene:
        return [Source(given, Path(given.resolve().name), tiles=tuple(images))], others
    each = (one for path in images for one in images_in(path))
    return _join_channels([Source(path, _result_name(path.relative_to(given))) for path in each]), others


def _result_name(path: Path) -> Path:
    """The path without the suffix of its format. A number is no suffix but part of a name, as of a series."""
    bare = without_suffix(path)
    if bare != path or path.suffix.strip(".").isdigit():
        return bare
    return path.with_name(path.stem)


def _join_channels(sources: list[Source]) -> list[Source]:
    """The files `name_0000`, `name_0001` ... of nnU-Net's image folders, which hold a channel each, as one
    source `name`; any other file as it is.
    """
    groups: dict[Path, dict[int, Source]] = {}
    others = []
    for source in sources:
        channel = channel_of(source.name.name)
        if channel is None or source.path.resolve().parent.name not in CHANNEL_FOLDERS:
            others.append(source)
        else:
            groups.setdefault(source.name.with_name(channel[0]), {})[channel[1]] = source
    for name, group in groups.items():
        files = [group[number].path for number in sorted(group)]
        whole = set(group) == set(range(len(group)))
        others += [Source(files[0], name, tuple(files[1:]))] if whole else group.values()
    return others


def _check_no_dataset(given: Path, images: Iterable[Path]) -> None:
    folders = {folder for path in images for folder in path.relative_to(given).parents}
    beside = {
        folder.parent: folder
        for folder in sorted(folders)
        if role_of(folder.name) == "images" or folder.name in CHANNEL_FOLDERS
    }
    for folder in sorted(folders):
        is_truth = role_of(folder.name) == "masks" or folder.name in NOT_IMAGES
        if is_truth and folder.parent in beside:
            raise DataError(
                "this folder is a dataset: its masks would be predicted like images",
                where=given,
                received=f"{folder} beside {beside[folder.parent].name}",
                fix=f"give {given / beside[folder.parent]}",
            )
    masks = sorted(masks_among([_result_name(path.relative_to(given)).as_posix() for path in images]))
    if masks:
        raise DataError(
            "some of these files are masks of others, and would be predicted like images",
            where=given,
            received=some_of(masks, 5),
            fix="keep the masks elsewhere, or give the images one by one",
        )


def _check_names(sources: Iterable[Source], output: Path) -> None:
    """Refuse results of one name, also of names that differ in case where the file system does not care."""
    folded = _ignores_case(output)
    seen: dict[str, Source] = {}
    clashes = []
    for source in sources:
        name = composed(str(source.name))
        other = seen.setdefault(name.casefold() if folded else name, source)
        if other is not source:
            clashes.append(f"{other.path} and {source.path}")
    if clashes:
        raise UsageError(
            f"{len(clashes)} pair(s) of inputs would write results of the same name",
            received="; ".join(clashes[:5]),
            fix="give their common folder, rename them, or predict them into two folders with -o",
        )


def _ignores_case(folder: Path) -> bool:
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    other = Path(str(existing).swapcase())
    return other != existing and other.exists() and other.samefile(existing)


def in_sequences(sources: Sequence[Source], pattern: str | None, axes: str | None) -> list[Film]:
    """The files by the sequence that they are frames of.

    A stack is a sequence by itself. Others are ordered by `pattern`, or by the sequences.json of the dataset
    they lie in; where neither says, the files of one folder are a sequence, by the numbers in their names.
    Raises UsageError for a pattern that is not understood, or not by every name; DataError for a damaged
    sequences.json.
    """
    rule = None if pattern is None else SequencePattern(pattern)
    listed: dict[Path, dict[tuple[str, str], FrameSequence]] = {}
    groups: dict[tuple[str, ...], list[tuple[Any, Source]]] = {}
    for source in sources:
        name = composed(source.name.as_posix())
        key: tuple[str, ...]  # ends in what the sequence runs through and its name
        order: Any = None
        if (pages := _page_axes(source.path, axes)) is not None:
            key = "stack", str(source.path), pages, name
        elif rule is not None:
            if (found := rule.place(name)) is None:
                raise UsageError(
                    "a name does not fit the pattern", where="--sequence", expected=pattern, received=name
                )
            tells = "{sequence}" in rule.text or "/" in name  # else the folder that was given tells
            key = "named", rule.axis, found[0] if tells else source.path.resolve().parent.name
            order = found[1]
        elif (told := _listed_place(source.path, listed)) is not None:
            split, sequence, order = told
            key = "listed", split, sequence.axis, sequence.name
        else:
            folder = source.path.parent
            key, order = ("folder", str(folder), "", folder.resolve().name), natural_order(name)
        groups.setdefault(key, []).append((order, source))
    return [
        Film(key[-1], key[-2], tuple(source for _, source in sorted(group, key=lambda item: item[0])))
        for key, group in groups.items()
    ]


def _listed_place(
    image: Path, listed: dict[Path, dict[tuple[str, str], FrameSequence]]
) -> tuple[str, FrameSequence, int] | None:
    """The split, the sequence and the number that the sequences.json of a dataset says of an image in it;
    `listed` remembers the files read.
    """
    folder = image.absolute().parent
    for root in (folder, *folder.parents[:2]):
        if not (root / FILE).is_file():
            continue
        if root not in listed:
            listed[root] = read_places(root, Findings(root))
        parts = folder.relative_to(root).parts
        split = next((SPLIT_NAMES[part.lower()] for part in parts if part.lower() in SPLIT_NAMES), "train")
        names = ["/".join((*parts[i:], composed(image.stem))) for i in range(len(parts) + 1)]
        order = {key: number for number, key in enumerate(listed[root])}
        known = (key for key in ((split, name) for name in names) if key in order)
        return next(((split, listed[root][key], order[key]) for key in known), None)
    return None


def _page_axes(path: Path, axes: str | None) -> str | None:
    """What the pages of a stack run through; None for other files."""
    try:
        header = read_header(path, axes)
    except ReunetError:
        return None  # told when its sequence is predicted
    return "".join(axis for axis in header.axes if axis not in "YXC") if header.pages > 1 else None
