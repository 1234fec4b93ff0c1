"""The one validator: every problem of a dataset in one list, for `check` and before training."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.results import Problem
from reunet.datasets.cases import SPLITS, Case, DataOptions, Dataset
from reunet.datasets.examine import CaseFacts, examine
from reunet.datasets.layouts import Scan, scan_dataset
from reunet.datasets.pairs import relative
from reunet.datasets.splits import shared_notes
from reunet.progress import NullProgress, Progress


def find_problems(
    root: Path | None,
    options: DataOptions | None = None,
    *,
    labels: LabelMap | None = None,
    splits: Collection[str] | None = None,
    progress: Progress | None = None,
) -> tuple[list[Problem], dict[str, int]]:
    """Every problem of a dataset, errors first, and the number of cases per split. Reads every file once.

    labels: the class list when it is known already. splits: look at the pixels of these splits only.
    Raises DataError only when there is nothing to look at (no such folder, no images).
    """
    options = options or DataOptions()
    scan = scan_dataset(root, options, labels)
    cases = [case for case in scan.cases if splits is None or case.split in splits]
    facts = _examine_all(cases, scan, options, progress or NullProgress())
    problems = [*scan.problems, *(problem for fact in facts for problem in fact.problems)]
    problems += _repeated_images(facts, scan.root)
    problems += _classes(facts, scan)
    problems += _whole_set(facts, scan)
    problems.sort(key=lambda problem: problem.severity != "error")  # stable: the order of the files stays
    counts = Counter(case.split for case in scan.cases)
    return problems, {split: counts[split] for split in SPLITS if counts[split]}


def _examine_all(cases: list[Case], scan: Scan, options: DataOptions, progress: Progress) -> list[CaseFacts]:
    progress.start("reading images and masks", len(cases))
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        futures = [pool.submit(examine, case, scan, options) for case in cases]
        for _ in as_completed(futures):
            progress.advance()
    return [future.result() for future in futures]


def _repeated_images(facts: Iterable[CaseFacts], root: Path) -> list[Problem]:
    """Identical images: in two splits an error, since the score would be of an image seen in training."""
    same: dict[str, list[Case]] = defaultdict(list)
    for fact in facts:
        if fact.pixels is not None:
            same[fact.pixels].append(fact.case)
    problems = []
    for cases in same.values():
        names = [relative(case.image, root, case.page) for case in cases]
        if len({case.split for case in cases}) > 1:
            problems.append(
                Problem(
                    "error",
                    "identical-image",
                    names[0],
                    "the same image is in two splits",
                    "each image in one split",
                    "also " + ", ".join(names[1:]),
                    "remove it from one of the splits",
                )
            )
        elif len(cases) > 1:
            problems.append(
                Problem(
                    "warning",
                    "duplicate-image",
                    names[0],
                    "the same image is there several times",
                    received="also " + ", ".join(names[1:]),
                )
            )
    return problems


def _classes(facts: Iterable[CaseFacts], scan: Scan) -> list[Problem]:
    """Classes without a pixel in a split: their scores there are undefined."""
    if scan.labels is None:
        return []
    totals: dict[str, np.ndarray] = {}
    for fact in facts:
        if fact.class_pixels is not None:
            totals[fact.case.split] = totals.get(fact.case.split, 0) + fact.class_pixels
    problems = []
    for split, pixels in totals.items():
        foreground = list(scan.labels.foreground)
        absent = [scan.labels.names[i] for i in range(len(scan.labels.classes)) if pixels[i] == 0]
        if foreground and pixels[foreground].sum() == 0:
            problems.append(
                Problem(
                    "warning",
                    "no-foreground",
                    split,
                    "no mask of this split has a foreground pixel",
                    received=f"only {scan.labels.names[int(pixels[:IGNORE].argmax())]}",
                )
            )
        elif absent:
            effect = "it cannot be learned" if split == "train" else "its score there is undefined"
            problems.append(
                Problem(
                    "warning",
                    "class-absent",
                    split,
                    f"a class has no pixel in this split: {effect}",
                    received=", ".join(absent),
                )
            )
    return problems


def _whole_set(facts: list[CaseFacts], scan: Scan) -> list[Problem]:
    """What concerns the dataset as a whole: too few cases, mixed sample types, groups shared by splits."""
    problems = []
    counts = Counter(case.split for case in scan.cases)
    if counts["train"] == 1 and not counts["val"]:
        problems.append(
            Problem(
                "error",
                "too-few-cases",
                "train",
                "one training case is too few: none can be held out",
                "at least 2 images in train/, or images in val/",
                "1 image",
            )
        )
    elif "train" not in {folders.split for folders in scan.folders}:
        problems.append(Problem("warning", "no-training-cases", "train", "there is no case to train on"))
    dtypes = Counter(fact.dtype for fact in facts if fact.dtype is not None)
    if len(dtypes) > 1:
        received = ", ".join(f"{count} {dtype}" for dtype, count in sorted(dtypes.items()))
        problems.append(
            Problem(
                "warning",
                "mixed-sample-types",
                scan.root.resolve().name,
                "images have different sample types, and probably different intensity scales",
                received=received,
            )
        )
    if scan.labels is not None:
        dataset = Dataset("", scan.root, scan.labels, tuple(scan.cases), scan.given)
        problems += [
            Problem("warning", "shared-group", scan.root.resolve().name, note)
            for note in shared_notes(dataset)
        ]
    return problems
