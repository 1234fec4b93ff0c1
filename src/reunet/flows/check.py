"""`reunet check`: every problem of a dataset in one list."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, fields
from pathlib import Path

from reunet.contracts.results import CheckResult, Problem
from reunet.datasets.cases import DataOptions
from reunet.datasets.problems import find_problems
from reunet.progress import Progress
from reunet.storage import write_text


def check(
    data: Path | str | None = None,
    *,
    fix_list: Path | str | None = None,
    images: Path | None = None,
    masks: Path | None = None,
    axes: str | None = None,
    classes: Path | None = None,
    colors: Path | None = None,
    group: str | None = None,
    allow_geometry_mismatch: bool = False,
    sequence: str | None = None,
    on_progress: Progress | None = None,
) -> CheckResult:
    """Read every file of the dataset `data` and list what is wrong with it.

    fix_list: CSV file to write the list to (severity, code, file, message, expected, received, fix).
    The other options say what the dataset does not say itself; see `reunet.datasets.cases.DataOptions`.
    Raises DataError when there is nothing to look at: no such folder, or no images in it.
    """
    options = DataOptions(images, masks, axes, classes, colors, group, allow_geometry_mismatch, sequence)
    problems, counts = find_problems(None if data is None else Path(data), options, progress=on_progress)
    if fix_list is not None:
        write_text(Path(fix_list), as_csv(problems))
    return CheckResult(tuple(problems), counts)


def as_csv(problems: list[Problem]) -> str:
    """The list as CSV with a heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Problem))
    writer.writerows(astuple(problem) for problem in problems)
    return text.getvalue()
