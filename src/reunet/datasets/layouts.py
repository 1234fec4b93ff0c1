"""Open a folder as a dataset: the data-pack convention, nnU-Net's, or a plain pair of folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reunet.contracts.labels import LabelMap
from reunet.datasets.cases import Case, DataOptions, Dataset, raise_errors
from reunet.datasets.classes import class_list
from reunet.datasets.findings import Findings
from reunet.datasets.folders import SplitFolders, locate
from reunet.datasets.pairs import pair_files
from reunet.datasets.sequences import with_sequences
from reunet.datasets.tables import read_json, with_groups
from reunet.errors import DataError, LabelError
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

    def dataset(self) -> Dataset:
        """The dataset. Raises DataError (LabelError) that lists every problem of the structure at once."""
        raise_errors(self.problems, self.root)
        if self.labels is None:  # never without an error in the list
            raise DataError("the dataset has no class list", where=self.root)
        facts = _description(self.root)
        name = facts["name"] if isinstance(facts.get("name"), str) else self.root.resolve().name or "dataset"
        return Dataset(name, self.root, self.labels, tuple(self.cases), self.given, _channel_names(facts))


def scan_dataset(root: Path | None, options: DataOptions, labels: LabelMap | None = None) -> Scan:
    """Look at the folders. Raises DataError only when there is nothing to look at."""
    if options.axes is not None:
        check_axes(options.axes)
    scan = Scan(*locate(root, options))
    for folders in scan.folders:
        found = pair_files(folders, scan.root, options.axes)
        scan.cases.extend(found.cases)
        scan.problems.extend(found.problems)
        if folders.masks is None:
            message = "the split has no masks and cannot be scored"
            scan.problems.warning("split-without-masks", folders.split, message)
    scan.cases, found_in_order = with_sequences(scan.cases, scan.folders, scan.root, options.sequence)
    scan.problems.extend(found_in_order)
    if options.group is not None:
        scan.cases, problems = with_groups(scan.cases, options.group, scan.folders, scan.root)
        scan.problems.extend(problems)
    known = [case for case in scan.cases if case.split != "test"] or scan.cases
    wrong = any(problem.severity == "error" for problem in scan.problems)
    try:
        scan.labels = labels or class_list(scan.root, options, known)
    except DataError as cause:
        if not wrong and not isinstance(cause, LabelError):
            raise
        if known or not wrong:  # without a usable case, what is wrong is said already
            scan.problems.caught("class-list", str(scan.root), cause)
    return scan


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
