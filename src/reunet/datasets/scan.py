"""Open a folder as a dataset: its cases with all that annotates them, and its classes."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap
from reunet.contracts.options.records import DataOptions
from reunet.datasets.annotated import (
    Told,
    category_classes,
    object_classes,
    read_categories,
    read_objects,
    with_partial,
    with_tracks,
)
from reunet.datasets.cases import SPLITS, Case, Dataset, raise_errors
from reunet.datasets.classes import class_list, read_classes
from reunet.datasets.corrected import with_corrected
from reunet.datasets.folders import Located, Parts, SplitFolders
from reunet.datasets.foreign import tell_left_out
from reunet.datasets.object_cases import object_folders, tracked_frames
from reunet.datasets.pairs import Found, PairedFiles
from reunet.datasets.reading import CaseReader
from reunet.datasets.recognise import locate
from reunet.datasets.regions import layer_names
from reunet.datasets.sequences import FILE, with_sequences
from reunet.datasets.split_lists import by_lists
from reunet.datasets.tables import DESCRIPTION, TABLES, class_names, compare_described, described, with_groups
from reunet.errors import DataError, UsageError
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.channels import listed_channels
from reunet.io.listing import folders_in, image_files, list_files
from reunet.io.tiff import check_axes
from reunet.progress import Progress


def open_dataset(
    root: Path | None,
    options: DataOptions | None = None,
    labels: LabelMap | None = None,
    categories: LabelMap | None = None,
) -> Dataset:
    """A dataset with all its cases; images are not decoded, masks only to find the class list in them.

    `recognise.py` knows which layouts are understood. Masks match images by their path without suffix;
    `_mask`, `_label`, `_seg`, `_segmentation` may follow it.

    labels, categories: the class lists of pixels and objects, and of images, when they are known already
    (those of a run); else those of dataset.json, of the options, or what the annotations of train and val
    speak for. Masks of test are not opened.
    Raises DataError (LabelError) that lists every problem of the structure at once.
    """
    return scan_dataset(root, options or DataOptions(), labels, categories).dataset()


class Scan:
    """What a look at the folders gave: usable cases and the problems of the others.

    layout: what the folder was recognised as, for people.
    """

    def __init__(self, root: Path, located: Located, layout: str) -> None:
        self.root, self.layout = root, layout
        self.reader = CaseReader(root)
        self.folders, self.given = located
        self.cases: list[Case] = []
        self.problems = Findings(root)
        self.labels: LabelMap | None = None
        self.categories: LabelMap | None = None

    @property
    def counts(self) -> dict[str, int]:
        """The number of cases per split."""
        counts = Counter(case.split for case in self.cases)
        return {split: counts[split] for split in SPLITS if counts[split]}

    def dataset(self) -> Dataset:
        """The dataset. Raises DataError (LabelError) that lists every problem of the structure at once."""
        raise_errors(self.problems, self.root)
        if self.labels is None:  # never without an error in the list
            raise DataError("the dataset has no class list", where=self.root)
        facts = described(self.root)
        name = facts["name"] if isinstance(facts.get("name"), str) else self.root.resolve().name or "dataset"
        cases, channels = tuple(self.cases), _channel_names(facts)
        return Dataset(name, self.root, self.labels, cases, self.given, channels, self.categories)


FACTS = frozenset({DESCRIPTION, FILE, *TABLES})
"""Files that tell about others, wherever they lie."""

CASES: dict[Parts, Callable[[SplitFolders, Path, str | None], Found]] = {
    "images": PairedFiles,
    "class folders": PairedFiles,
    "object folders": object_folders,
    "tracked frames": tracked_frames,
}


def _find_cases(scan: Scan, options: DataOptions) -> None:
    """What is in the folders, each with its split."""

    def look() -> list[Found]:
        return [CASES[folders.parts](folders, scan.root, options.axes) for folders in scan.folders]

    found = look()
    if not scan.given and options.images is None:
        ((whole,), (there,)) = scan.folders, found
        if parts := by_lists(whole, there.cases, scan.root, scan.problems):
            scan.folders, scan.given = parts, frozenset(one.split for one in parts)
            found = look()
    for one in found:
        scan.cases.extend(one.cases)
        scan.problems.extend(one)


def scan_dataset(
    root: Path | None,
    options: DataOptions,
    labels: LabelMap | None = None,
    categories: LabelMap | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Look at the folders. Raises DataError only when there is nothing to look at."""
    if options.axes is not None:
        check_axes(options.axes)
    scan = Scan(*locate(root, options))
    scan.reader = CaseReader(scan.root, options.axes, progress)
    layers = layer_names(described(scan.root))
    scan.folders = tuple(replace(folders, layers=layers) for folders in scan.folders)
    _find_cases(scan, options)
    compare_described(scan.root, scan.cases, scan.problems)
    _tell_left_out(scan)
    if options.images is None and options.masks is None:
        _tell_unused(scan)
    scan.cases = with_sequences(scan.cases, scan.folders, options.sequence, scan.problems)
    scan.cases = with_tracks(scan.cases, scan.folders)
    if options.group is not None:
        scan.cases = with_groups(scan.cases, options.group, scan.folders, scan.problems)
    given = options.classes
    names = list(read_classes(given, scan.problems).names) if given else class_names(scan.root)
    known = [case for case in scan.cases if case.split != "test"] or scan.cases
    has_masks = any(case.files.mask for case in known)
    scan.labels = labels or (_class_list(scan, options, known) if has_masks else None)
    objects = _read_objects(scan, names, is_known=labels is not None)
    own = categories.names if categories else names if scan.labels is None and objects is None else None
    if (told := read_categories(scan.folders, scan.problems, own)) is not None:
        scan.cases = [replace(case, category=told.of(case)) for case in scan.cases]
        scan.categories = categories or category_classes(told.classes)
    if scan.labels is None and not any(case.files.mask for case in scan.cases):
        _classes_without_masks(scan, options, objects, names)
    if options.boxes_from_masks is not None:
        _derive_boxes(scan, options.boxes_from_masks)
    if scan.labels is not None:
        scan.cases, scan.labels = with_partial(scan.cases, scan.labels, scan.root, scan.problems)
    if options.channels is not None:
        chosen = _in_files(listed_channels(options.channels), _channel_names(described(scan.root)))
        scan.cases = [replace(case, channels=chosen) for case in scan.cases]
    _leave_out(scan)
    scan.cases = with_corrected(scan.cases, scan.root)
    return scan


def _tell_left_out(scan: Scan) -> None:
    """Warn of the files in the folders that are read whose format is not read, folder by folder."""
    listed = [one.listing for one in scan.folders if one.listing is not None]
    aside = FACTS.union(*(one.tool.aside for one in listed))
    told = {path for one in listed for path in one.files} | {one.table for one in scan.folders if one.table}
    for one in scan.folders:
        for folder in one.places:
            others = [path for path in list_files(folder)[1] if path not in told and path.name not in aside]
            if one.parts == "tracked frames":
                others = [path for path in others if path.suffix.lower() != ".txt"]
            told.update(others)
            tell_left_out(folder, others, scan.problems)


def _tell_unused(scan: Scan) -> None:
    """Warn of folders beside those that are read whose images nobody asked for: a split of another name."""
    places = [place for one in scan.folders for place in (*one.places, *one.others)]
    for base in dict.fromkeys((scan.root, *(one.base for one in scan.folders))):
        for folder in folders_in(base):
            is_used = any(one.is_relative_to(folder) or folder.is_relative_to(one) for one in places)
            if not is_used and (files := image_files(folder)):
                message = f"the folder holds {len(files)} image(s) that are not used"
                fix = "call it as docs/data.md says, if they are to be, or keep it elsewhere"
                scan.problems.warning("folder-unused", folder, message, "", "", fix)


def _class_list(scan: Scan, options: DataOptions, cases: Sequence[Case]) -> LabelMap | None:
    """The class list of the masks, or of objects of several classes; None where it cannot be told."""
    wrong = any(problem.severity == "error" for problem in scan.problems)
    try:
        return class_list(scan.root, options, cases, scan.reader, scan.problems)
    except DataError as cause:
        if cases or not wrong:  # without a usable case, what is wrong is said already
            where = cause.where if isinstance(cause.where, Path) else str(scan.root)
            scan.problems.caught("class-list", where, cause)
    return None


def _read_objects(scan: Scan, names: Sequence[str] | None, *, is_known: bool) -> Told[AnnotatedImage] | None:
    """Give the cases their objects, whose classes are those of the masks where there are masks.

    Masks of two classes that nobody named take the name of the one class of the objects.
    """
    nameless = scan.labels is not None and not is_known and names is None
    classes = scan.labels.names if scan.labels is not None and not nameless else names
    objects = read_objects(scan.folders, scan.cases, scan.problems, classes, background=nameless)
    if objects is not None:
        scan.cases = [replace(case, objects=objects.of(case)) for case in scan.cases]
    if nameless and objects is not None and scan.labels is not None:
        if len(objects.classes) == len(scan.labels.classes) == 2:
            first, second = scan.labels.classes
            named = (first, second.model_copy(update={"name": objects.classes[1]}))
            scan.labels = scan.labels.model_copy(update={"classes": named})
        else:
            message = "masks and objects tell different classes"
            received = f"{', '.join(objects.classes[1:])} of objects"
            expected = f"{', '.join(scan.labels.names)} of masks"
            fix = 'list the classes of both in dataset.json: {"classes": [{"id": 0, "name": "..."}, ...]}'
            scan.problems.error("class-list", str(scan.root), message, expected, received, fix)
    return objects


def _classes_without_masks(
    scan: Scan, options: DataOptions, objects: Told[AnnotatedImage] | None, names: Sequence[str] | None
) -> None:
    """The class list of a dataset that has no masks: of its objects, else of its images."""
    if objects is not None and objects.classes:
        scan.labels = object_classes(objects.classes)
    elif any("instances" in case.kinds for case in scan.cases):
        if names is None or len(names) == 1:
            scan.labels = object_classes(("background", *(names or ("object",))))
        else:
            scan.labels = _class_list(scan, options, ())
            told = [] if scan.labels is None else [scan.labels.names[i] for i in scan.labels.foreground]
            if len(told) > 1:
                message = f"ids do not say of which class an object is: all count as {told[0]}"
                received, fix = ", ".join(told), "add masks/ with the class of each pixel, or list one class"
                scan.problems.warning("class-list", str(scan.root), message, "one class", received, fix)
    elif scan.categories is not None:
        scan.labels = scan.categories
    elif not any(problem.severity == "error" for problem in scan.problems):
        told = [one.listing.describe() for one in scan.folders if one.listing is not None]
        received = f"{len(scan.cases)} images" + "".join(f", no object in {one}" for one in told)
        raise DataError("nothing in this dataset is annotated", where=scan.root, received=received)


def _derive_boxes(scan: Scan, listed: str) -> None:
    """Let boxes be put around the connected parts of some classes, which become the foreground.

    Raises UsageError for unknown classes, and where boxes are told or there are no masks.
    """
    if any(case.objects for case in scan.cases) or not any(case.files.mask for case in scan.cases):
        raise UsageError(
            "boxes are derived where a dataset has masks and no boxes of its own",
            where="--boxes-from-masks",
            received=scan.layout,
            fix="leave the option out",
        )
    wanted = tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))
    if scan.labels is None:  # what is wrong with the masks is said already
        return
    unknown = [name for name in wanted if name not in scan.labels.names]
    if unknown or not wanted:
        raise UsageError(
            "boxes can only be derived from classes of the masks",
            where="--boxes-from-masks",
            expected=f"some of: {', '.join(scan.labels.names)}",
            received=", ".join(unknown) or listed,
        )
    entries = scan.labels.classes
    chosen = tuple(one.model_copy(update={"foreground": one.name in wanted}) for one in entries)
    scan.labels = scan.labels.model_copy(update={"classes": chosen})
    scan.cases = [replace(case, boxed=wanted) for case in scan.cases]


def _leave_out(scan: Scan) -> None:
    """Leave out the images that the list of their split does not name; its reader has warned of them."""
    for folders in scan.folders:
        cases = [case for case in scan.cases if case.split == folders.split]
        if cases and not folders.listed and not any(case.kinds for case in cases):
            message = "the split has no annotations and cannot be scored"
            scan.problems.warning("split-without-masks", folders.split, message)
    left_out = {folders.split for folders in scan.folders if folders.listed}
    scan.cases = [case for case in scan.cases if case.kinds or case.split not in left_out]


def _in_files(wanted: Sequence[str], told: Sequence[str]) -> tuple[str, ...]:
    """Channels by their number where dataset.json names them."""
    places = {name.casefold(): str(number) for number, name in enumerate(told, 1)}
    return tuple(places.get(name.casefold(), name) for name in wanted)


def _channel_names(facts: dict[str, Any]) -> tuple[str, ...]:
    """`channel_names` of nnU-Net, or `modality` of the Decathlon: {"0": "CT"}, by number."""
    named = facts.get("channel_names", facts.get("modality"))
    if isinstance(named, list):
        named = dict(enumerate(named))
    if not isinstance(named, dict) or not all(str(number).isdecimal() for number in named):
        return ()
    return tuple(str(named[number]) for number in sorted(named, key=int))
