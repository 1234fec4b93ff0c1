"""Cases with what single files tell about many images: objects, classes, and what they are annotated with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Generic, TypeVar

from reunet.contracts.findings import Findings
from reunet.contracts.labels import BACKGROUND_NAMES, LabelMap, default_classes
from reunet.datasets.cases import Case
from reunet.datasets.folders import SplitFolders
from reunet.datasets.people import one_of_each
from reunet.datasets.tables import described
from reunet.datasets.tools import COCO, Listing
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.annotations.coco import read_coco
from reunet.io.annotations.image_labels import class_folders, read_labels
from reunet.io.annotations.pictures import Pictures, tell_unlisted
from reunet.io.annotations.sheet import labels_of, together

T = TypeVar("T")


@dataclass(frozen=True)
class Told(Generic[T]):
    """What files tell of many images, by the file of each; what is a class is an index into `classes`."""

    classes: tuple[str, ...]
    images: Mapping[Path, T]

    def of(self, case: Case) -> T | None:
        """What is told of a case."""
        return self.images.get(case.image.absolute())


def read_objects(
    folders: Sequence[SplitFolders],
    cases: Sequence[Case],
    problems: Findings,
    classes: Sequence[str] | None,
    *,
    background: bool = False,
) -> Told[AnnotatedImage] | None:
    """The objects that files of programs tell; None without such files.

    classes: their names, those of the first split when None; then, where shapes are told or `background` is
    wanted, what lies outside of all objects becomes the first class, unless one is named background.
    """
    images: dict[Path, AnnotatedImage] = {}
    given = classes
    for listing, entries in _by_listing(folders).items():
        if listing.tool is COCO:
            for entry in entries:
                told = read_coco(listing.place, (entry.images, listing.place.parent), problems, classes)
                images |= {(entry.images / image.file).absolute(): image for image in told.images}
                classes = classes or told.classes or None
            continue
        splits = {entry.split for entry in entries}
        pictures = Pictures((case.id, case.image) for case in cases if case.split in splits)
        found = listing.tool.read(_files(listing, entries, pictures), pictures, problems)
        tell_unlisted(pictures, found.sheets, problems)
        first_split = {case.image for case in cases if case.split == entries[0].split}
        known = classes or found.classes or labels_of(one for one in found.sheets if one.image in first_split)
        names, drawn = together(found, problems, known or None)
        wanted = described(problems.root).get("labels_of")
        images |= one_of_each(drawn, wanted, listing.place, problems)
        classes = classes or names or None
    if all(entry.listing is None for entry in folders):
        return None
    shaped = any(image.shaped for image in images.values())
    names, first = tuple(classes or ()), 0
    if (shaped or background) and given is None and not {name.lower() for name in names} & BACKGROUND_NAMES:
        names, first = ("background", *names), 1
    moved = {file: replace(one.boxes, classes=one.boxes.classes + first) for file, one in images.items()}
    return Told(names, {file: replace(one, shaped=shaped, boxes=moved[file]) for file, one in images.items()})


def _by_listing(folders: Sequence[SplitFolders]) -> dict[Listing, list[SplitFolders]]:
    """The splits of each listing; one file may be about several."""
    found: dict[Listing, list[SplitFolders]] = {}
    for entry in folders:
        if entry.listing is not None:
            found.setdefault(entry.listing, []).append(entry)
    return found


def _files(listing: Listing, entries: Sequence[SplitFolders], pictures: Pictures) -> list[Path]:
    """Its files; of a dataset whose splits are lists of names, those that are about listed images."""
    if all(entry.names is None for entry in entries):
        return list(listing.files)
    return [path for path in listing.files if pictures.named(path.with_suffix("").parts) is not None]


def read_categories(
    folders: Sequence[SplitFolders], problems: Findings, classes: Sequence[str] | None
) -> Told[int] | None:
    """The classes of images that tables or folders tell, with the names of the first split unless given; None
    where nothing tells any.
    """
    images: dict[Path, int] = {}
    any_told = False
    for entry in folders:
        if entry.parts == "class folders":
            told = class_folders(entry.images, problems, classes)
        elif entry.table is not None:
            told = read_labels(entry.table, (entry.images, entry.table.parent), problems, classes)
        else:
            continue
        classes, any_told = classes or told.classes, True
        images |= {(entry.images / file).absolute(): index for file, index in told.images.items()}
    return Told(tuple(classes), images) if any_told and classes else None


def with_tracks(cases: Sequence[Case], folders: Sequence[SplitFolders]) -> list[Case]:
    """The cases with the lineages of their sequences: `tracks/<sequence>.txt` beside the images folder."""
    base = {entry.split: entry.images.parent / "tracks" for entry in folders}

    def placed(case: Case) -> Case:
        sequence = case.sequence
        if sequence is None or sequence.tracks is not None or case.files.instances is None:
            return case
        file = base[case.split] / f"{sequence.name}.txt"
        return replace(case, sequence=replace(sequence, tracks=file)) if file.is_file() else case

    return list(map(placed, cases))


def with_partial(
    cases: Sequence[Case], labels: LabelMap, root: Path, problems: Findings
) -> tuple[list[Case], LabelMap]:
    """The cases with the classes that they are annotated with, from `annotated` in dataset.json:
    {"pattern of names, such as liver_*": [class names]}; and the class list that knows which there are.
    """
    patterns = described(root).get("annotated", {})
    found = _annotated(patterns, labels, problems, root) if patterns else {}
    if not found:
        return list(cases), labels
    changed = [
        replace(case, classes=next((c for p, c in found.items() if fnmatchcase(case.id, p)), None))
        for case in cases
    ]
    partial = sorted({case.classes for case in changed if case.classes is not None})
    return changed, LabelMap.model_validate(labels.model_dump() | {"partial": partial})


def _annotated(
    patterns: Any, labels: LabelMap, problems: Findings, root: Path
) -> dict[str, tuple[int, ...] | None]:
    """Class indices, background included, by the pattern of names of the images; None for all."""
    message, file = "what the images are annotated with is not understood", root / "dataset.json"
    if labels.regions or labels.background is None:
        problems.error("annotated", file, message, "classes with a background, and no regions")
        return {}
    found: dict[str, tuple[int, ...] | None] = {}
    for pattern, names in patterns.items() if isinstance(patterns, Mapping) else [("annotated", None)]:
        if not isinstance(names, list) or not all(name in labels.names for name in names):
            problems.error("annotated", file, message, f"a list of {', '.join(labels.names)}", str(names))
            continue
        indices = {labels.names.index(name) for name in names} | {labels.background}
        found[pattern] = tuple(sorted(indices)) if len(indices) < len(labels.classes) else None
    return found


def object_classes(names: Sequence[str]) -> LabelMap:
    """The class list of objects: every class is one of objects but a first one that is named background."""
    is_background = names[0].lower() in BACKGROUND_NAMES and len(names) > 1
    first = 0 if is_background else 1
    entries = default_classes(list(range(first, len(names) + first)), list(names))
    told = [entry.model_copy(update={"foreground": entry.id > 0}) for entry in entries]
    return LabelMap(classes=tuple(told))


def category_classes(names: Sequence[str]) -> LabelMap:
    """The class list of whole images."""
    entries = default_classes(list(range(len(names))), list(names))
    return LabelMap(classes=tuple(entry.model_copy(update={"foreground": True}) for entry in entries))
