"""`reunet check`: every problem of a dataset in one list."""

from __future__ import annotations

from dataclasses import astuple, fields

from reunet.contracts.options.records import CheckOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.results import CheckResult, Problem
from reunet.datasets.problems import examine_dataset
from reunet.storage import csv_text, write_text


@verb(CheckOptions)
def check(options: CheckOptions) -> CheckResult:
    """Read every file of a dataset and list what is wrong with it.

    Options tell what the dataset does not say itself. The CSV file has the columns severity, code, file,
    message, expected, received, fix. Raises DataError when there is nothing to look at: no such folder, or
    no images in it.
    """
    scan, problems = examine_dataset(options.data, options, progress=options.on_progress)
    if options.fix_list is not None:
        columns = (field.name for field in fields(Problem))
        write_text(options.fix_list, csv_text(columns, map(astuple, problems)))
    return CheckResult(tuple(problems), scan.counts, scan.layout)
