"""`reunet check`: every problem of a dataset in one list."""

from __future__ import annotations

from dataclasses import astuple, fields
from pathlib import Path
from typing import Unpack

from reunet.contracts.options import DataOptions
from reunet.contracts.results import CheckResult, Problem
from reunet.datasets.problems import examine_dataset
from reunet.flows.arguments import DataArguments, spread
from reunet.progress import Progress
from reunet.storage import csv_text, write_text


@spread
def check(
    data: Path | str | None = None,
    *,
    fix_list: Path | str | None = None,
    on_progress: Progress | None = None,
    **options: Unpack[DataArguments],
) -> CheckResult:
    """Read every file of the dataset `data` and list what is wrong with it.

    fix_list: CSV file to write the list to (severity, code, file, message, expected, received, fix).
    options: what the dataset does not say itself; see `reunet.datasets.cases.DataOptions`.
    Raises DataError when there is nothing to look at: no such folder, or no images in it.
    """
    root = None if data is None else Path(data)
    scan, problems = examine_dataset(root, DataOptions(**options), progress=on_progress)
    if fix_list is not None:
        columns = (field.name for field in fields(Problem))
        write_text(Path(fix_list), csv_text(columns, map(astuple, problems)))
    return CheckResult(tuple(problems), scan.counts, scan.layout)
