"""Open a folder as a dataset: the data-pack convention, nnU-Net's, or a plain pair of folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap, default_classes
from reunet.datasets.annotated import (
    category_classes,
    object_classes,
    read_categories,
    read_objects,
    with_categories,
    with_objects,
)
from reunet.datasets.cases import Case, DataOptions, Dataset, raise_errors
from reunet.datasets.classes import class_list
from reunet.datasets.folders import SplitFolders, locate
from reunet.datasets.pairs import pair_files
from reunet.datasets.regions import layer_names, with_partial
from reunet.datasets.sequences import with_sequences
from reunet.datasets.tables import read_json, with_groups
from reunet.errors import DataError, LabelError
from reunet.io.annotations.objects import Annotations
from reunet.io.tiff import check_axes


def open_dataset(
    root: Path | None, options: DataOptions | None = None, labels: LabelMap | None = None
) -> Dataset:
    """A dataset with all its cases; images are not decoded, masks only to find the class list in them.

    Understood are `<split>/images` + `<split>/masks` (+ `fov`), the same without split folders,
    `images/<split>` + `masks/<split>`, `imagesTr` + `labelsTr` (+ `imagesTs`, `labelsTs`) with a file per
    channel (`_0000`), and any two folders named with options. Masks match images by their
    path without suffix; `_mask`, `_label`, `_seg`, `_segmentation` may follow it.

    labels: the class list when it is known already (that of a run); else that of dataset.json, of the
    options, or the one the masks of train and val speak for. Masks of test are not opened.
    Raises DataError (LabelError) that lists every problem of the structure at once.
    """
    return scan_dataset(root, options or DataOptions(), labels).dataset()


class Scan:
    """What a look at the folders gave: usable cases and the problems of the others."""

    def __init__(self, root: Path, folders: Sequence[SplitFolders], given: frozenset[str]) -> None:
        self.root, self.folders, self.given = root, folders, given
        self.cases: list[Case] = []
        self.problems = Findings(root)
        self.labels: LabelMap | None = None
        self.categories: LabelMap | None = None

    def dataset(self) -> Dataset:
        """The dataset. Raises DataError (LabelError) that lists every problem of the structure at once."""
        raise_errors(self.problems, self.root)
        if self.labels is None:  # never without an error in the list
            raise DataError("the dataset has no class list", where=self.root)
        facts = _description(self.root)
        name = facts["name"] if isinstance(facts.get("name"), str) else self.root.resolve().name or "dataset"
        cases, channels = tuple(self.cases), _channel_names(facts)
        return Dataset(name, self.root, self.labels, cases, self.given, channels, self.categories)


def scan_dataset(root: Path | None, options: DataOptions, labels: LabelMap | None = None) -> Scan:
    """Look at the folders. Raises DataError only when there is nothing to look at."""
    if options.axes is not None:
        check_axes(options.axes)
    scan = Scan(*locate(root, options))
    layers = layer_names(_description(scan.root))
    scan.folders = tuple(replace(folders, layers=layers) for folders in scan.folders)
    for folders in scan.folders:
        found = pair_files(folders, scan.root, options.axes)
        scan.cases.extend(found.cases)
        scan.problems.extend(found.problems)
        if not any((folders.masks, folders.instances, folders.objects, folders.table)):
            message = "the split has no annotations and cannot be scored"
            scan.problems.warning("split-without-masks", folders.split, message)
    scan.cases, found_in_order = with_sequences(scan.cases, scan.folders, scan.root, options.sequence)
    scan.problems.extend(found_in_order)
    if options.group is not None:
        scan.cases, problems = with_groups(scan.cases, options.group, scan.folders, scan.root)
        scan.problems.extend(problems)
    given = class_names(scan.root)
    objects = read_objects(scan.folders, scan.problems, given)
    scan.cases = with_objects(scan.cases, scan.folders, objects)
    masks = any(case.mask is not None for case in scan.cases)
    only_table = not masks and not objects and all(case.instances is None for case in scan.cases)
    categories = read_categories(scan.folders, scan.problems, given if only_table else None)
    scan.cases = with_categories(scan.cases, scan.folders, categories)
    if categories:
        scan.categories = category_classes(next(iter(categories.values())).classes)
    if labels is None and not masks and options.classes is None and options.colors is None:
        labels = _without_masks(scan, objects)
    known = [case for case in scan.cases if case.split != "test"] or scan.cases
    wrong = any(problem.severity == "error" for problem in scan.problems)
    try:
        scan.labels = labels or class_list(scan.root, options, known)
        scan.cases, scan.labels = with_partial(scan.cases, scan.labels, scan.root, scan.problems)
    except DataError as cause:
        if not wrong and not isinstance(cause, LabelError):
            raise
        if known or not wrong:  # without a usable case, what is wrong is said already
            scan.problems.caught("class-list", str(scan.root), cause)
    return scan


def _without_masks(scan: Scan, objects: dict[str, Annotations]) -> LabelMap | None:
    """The class list of a dataset that has no masks: of its objects, else of its images."""
    if objects:
        return object_classes(next(iter(objects.values())).classes)
    if any(case.instances is not None for case in scan.cases):
        names = class_names(scan.root)
        return LabelMap(classes=default_classes([0, 1], ["background", "object"])) if names is None else None
    return scan.categories


def class_names(root: Path) -> list[str] | None:
    """The names of the classes in dataset.json, None where it has none."""
    entries = _description(root).get("classes")
    if not isinstance(entries, list) or not entries:
        return None
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    return [str(name) for name in names] if all(isinstance(name, str) and name for name in names) else None


def _description(root: Path) -> dict[str, Any]:
    file = root / "dataset.json"
    data = read_json(file) if file.is_file() else {}
    return data if isinstance(data, dict) else {}


def _channel_names(facts: dict[str, Any]) -> tuple[str, ...]:
    """`channel_names` of nnU-Net, or `modality` of the Decathlon: {"0": "CT"}, by number."""
    named = facts.get("channel_names", facts.get("modality"))
    if isinstance(named, list):
        named = dict(enumerate(named))
    if not isinstance(named, dict) or not all(str(number).isdecimal() for number in named):
        return ()
    return tuple(str(named[number]) for number in sorted(named, key=int))
