"""The one validator: every problem of a dataset in one list, for `check` and before training."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings, relative
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.options import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.cases import SPLITS, Case, Dataset
from reunet.datasets.examine import CaseFacts, examine
from reunet.datasets.fixes import with_fixes
from reunet.datasets.scan import Scan, scan_dataset
from reunet.datasets.splits import shared_notes
from reunet.io.annotations.ctc import check_tracks, read_tracks
from reunet.progress import NullProgress, Progress


def find_problems(
    root: Path | None, options: DataOptions | None = None, *, progress: Progress | None = None
) -> tuple[list[Problem], dict[str, int]]:
    """Every problem of a dataset, errors first, and the number of cases per split. Reads every file once.

    Raises DataError only when there is nothing to look at (no such folder, no images).
    """
    scan, problems = examine_dataset(root, options or DataOptions(), progress=progress)
    return problems, scan.counts


def examine_dataset(
    root: Path | None,
    options: DataOptions,
    *,
    splits: Collection[str] = SPLITS,
    progress: Progress | None = None,
) -> tuple[Scan, list[Problem]]:
    """The same with what lies in the folders, for those who go on with the dataset.

    splits: look at the pixels of these only. Raises DataError as `find_problems` does.
    """
    scan = scan_dataset(root, options)
    cases = [case for case in scan.cases if case.split in splits]
    facts = _examine_all(cases, scan, options, progress or NullProgress())
    problems = Findings(scan.root)
    problems += [*scan.problems, *(problem for fact in facts for problem in fact.problems)]
    _repeated_images(facts, scan.root, problems)
    _frame_sizes(facts, problems)
    _tracks(facts, problems)
    _classes(facts, scan, problems)
    _objects(facts, problems)
    _whole_set(facts, scan, problems)
    problems.sort(key=lambda problem: problem.severity != "error")  # stable: the order of the files stays
    return scan, with_fixes(dict.fromkeys(problems))  # a file of tracks may be read twice


def _examine_all(cases: list[Case], scan: Scan, options: DataOptions, progress: Progress) -> list[CaseFacts]:
    progress.start("reading images and masks", len(cases))
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        futures = [pool.submit(examine, case, scan, options) for case in cases]
        for _ in as_completed(futures):
            progress.advance()
    return [future.result() for future in futures]


def _repeated_images(facts: Iterable[CaseFacts], root: Path, problems: Findings) -> None:
    """Identical images: in two splits an error, since the score would be of an image seen in training."""
    same: dict[str, list[Case]] = defaultdict(list)
    for fact in facts:
        if fact.pixels is not None:
            same[fact.pixels].append(fact.case)
    for cases in same.values():
        first, *others = [relative(case.image, root, case.page) for case in cases]
        received = "also " + ", ".join(others)
        if len({case.split for case in cases}) > 1:
            message, fix = "the same image is in two splits", "remove it from one of the splits"
            problems.error("identical-image", first, message, "each image in one split", received, fix)
        elif others:
            problems.warning("duplicate-image", first, "the same image is there several times", "", received)


def _frame_sizes(facts: Iterable[CaseFacts], problems: Findings) -> None:
    """Frames of one sequence that differ in size from its first one."""
    firsts: dict[tuple[str, str], CaseFacts] = {}
    for fact in facts:
        if fact.case.sequence is None or fact.header is None:
            continue
        first = firsts.setdefault((fact.case.split, fact.case.sequence.name), fact)
        if first.header is not None and fact.header.size != first.header.size:
            message = f"the frames of sequence {fact.case.sequence.name} have different sizes"
            sizes = [" x ".join(map(str, header.size)) for header in (first.header, fact.header)]
            fix = "crop them to one size, or make sequences of one size each"
            expected = f"{sizes[0]} as {first.case.id}"
            problems.error("frame-size", fact.case.image, message, expected, sizes[1], fix)


def _tracks(facts: Iterable[CaseFacts], problems: Findings) -> None:
    """Files of tracks that are damaged or disagree with the objects of the frames."""
    films: dict[Path, list[CaseFacts]] = defaultdict(list)
    for fact in facts:
        if fact.case.sequence is not None and fact.case.sequence.tracks is not None:
            films[fact.case.sequence.tracks].append(fact)
    for path, frames in films.items():
        tracks = read_tracks(path, problems)
        present = {frame: one.track_ids for frame, one in enumerate(frames) if one.track_ids is not None}
        if len(present) == len(frames):  # else an unreadable frame is reported already
            check_tracks(tracks, present, path, problems)


def _classes(facts: Iterable[CaseFacts], scan: Scan, problems: Findings) -> None:
    """Classes that a split lacks: their scores there are undefined."""
    pixels: dict[str, np.ndarray] = {}
    images: dict[str, np.ndarray] = {}
    for fact in facts:
        split = fact.case.split
        if fact.class_counts is not None:
            pixels[split] = pixels.get(split, 0) + fact.class_counts
        if fact.case.annotation.category is not None:
            images[split] = images.get(split, 0) + np.bincount([fact.case.annotation.category], minlength=256)
    for labels, totals in ((scan.labels, pixels), (scan.categories, images)):
        for split, counts in totals.items():
            if labels is not None:
                _absent_classes(split, labels, counts, problems)


def _objects(facts: Iterable[CaseFacts], problems: Findings) -> None:
    """Images that show no object."""
    empty: dict[str, list[str]] = defaultdict(list)
    for fact in facts:
        if fact.n_objects == 0:
            empty[fact.case.split].append(fact.case.id)
    for split, names in empty.items():
        message = f"{len(names)} image(s) show no object, and are learned from as such"
        received = ", ".join(names[:10]) + ", ..." * (len(names) > 10)
        problems.warning("no-objects", split, message, "", received)


def _absent_classes(split: str, labels: LabelMap, counts: np.ndarray, problems: Findings) -> None:
    foreground = list(labels.foreground)
    absent = [
        name for name, count in zip(labels.names, counts[: len(labels.classes)], strict=True) if not count
    ]
    if foreground and counts[foreground].sum() == 0:
        received = f"only {labels.names[int(counts[:IGNORE].argmax())]}" if counts[:IGNORE].any() else ""
        problems.warning("no-foreground", split, "no image of this split shows any foreground", "", received)
    elif absent:
        effect = "it cannot be learned" if split == "train" else "its score there is undefined"
        problems.warning(
            "class-absent", split, f"a class is nowhere in this split: {effect}", "", ", ".join(absent)
        )


def _whole_set(facts: list[CaseFacts], scan: Scan, problems: Findings) -> None:
    """What concerns the dataset as a whole: too few cases, mixed sample types, groups shared by splits."""
    name, counts = scan.root.resolve().name, Counter(case.split for case in scan.cases)
    if counts["train"] == 1 and not counts["val"]:
        message = "one training case is too few: none can be held out"
        expected = "at least 2 images in train/, or images in val/"
        problems.error("too-few-cases", "train", message, expected, "1 image")
    elif "train" not in {folders.split for folders in scan.folders}:
        problems.warning("no-training-cases", "train", "there is no case to train on")
    dtypes = Counter(fact.dtype for fact in facts if fact.dtype is not None)
    if len(dtypes) > 1:
        message = "images have different sample types, and probably different intensity scales"
        received = ", ".join(f"{count} {dtype}" for dtype, count in sorted(dtypes.items()))
        problems.warning("mixed-sample-types", name, message, "", received)
    _axes_and_spacing(facts, name, problems)
    if scan.labels is not None:
        for note in shared_notes(Dataset("", scan.root, scan.labels, tuple(scan.cases), scan.given)):
            problems.warning("shared-group", name, note)


def _axes_and_spacing(facts: list[CaseFacts], name: str, problems: Findings) -> None:
    """Images and volumes in one dataset, and volumes that do not say how large their voxels are."""
    known = [(fact.case.image, fact.header) for fact in facts if fact.header is not None]
    volumes = [(image, header) for image, header in known if header.is_volume]
    if volumes and len(volumes) != len(known):
        message = "the dataset holds images and volumes"
        received = f"{len(known) - len(volumes)} images, {len(volumes)} volumes"
        problems.error("mixed-dimensions", name, message, "one kind", received, "make two datasets of it")
    unstated = [image for image, header in volumes if header.spacing is None]
    message, fix = "the volume does not state the size of its voxels", "write it into the file's header"
    if len(unstated) == len(volumes):
        for image in unstated:
            problems.warning("no-spacing", image, message, "millimetres per axis", "taken as 1 x 1 x 1", fix)
    for image in unstated if len(unstated) < len(volumes) else ():
        problems.error("no-spacing", image, message, "millimetres per axis, as in other volumes", "", fix)
