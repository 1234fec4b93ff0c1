"""`reunet check`: every problem of a dataset in one list."""

from collections.abc import Sequence
from dataclasses import astuple, fields

from reunet.contracts.options.records import CheckOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.results import CheckResult, Problem
from reunet.datasets.examine import Examined
from reunet.datasets.facts import facts_of
from reunet.datasets.problems import examine_dataset
from reunet.datasets.scan import Scan
from reunet.errors import UsageError
from reunet.io.raster import write_png
from reunet.report.contact_sheet import contact_sheet
from reunet.storage import csv_text, refuse_other, write_text
from reunet.tasks.work import fitting_tasks

TITLE = "reunet: cases of a dataset"
"""Of the pictures, which tells them from other files."""


@verb(CheckOptions)
def check(options: CheckOptions) -> CheckResult:
    """Read every file of a dataset and list what is wrong with it.

    Options tell what the dataset does not say itself. The CSV file has the columns severity, code, file,
    message, expected, received, fix. The PNG file `pictures` shows some cases of each split with what
    annotates them. Raises DataError when there is nothing to look at: no such folder, or no images in it.
    """
    if options.pictures is not None and options.pictures.suffix.lower() not in ("", ".png"):
        raise UsageError("the pictures are PNG", where="--pictures", received=options.pictures.name)
    columns = [field.name for field in fields(Problem)]
    refuse_other(options.fix_list, ",".join(columns), "--fix-list")
    refuse_other(options.pictures, TITLE, "--pictures")
    scan, found, problems = examine_dataset(options.data, options, progress=options.on_progress)
    if options.fix_list is not None:
        write_text(options.fix_list, csv_text(columns, map(astuple, problems)))
    result = understanding(scan, found, problems)
    if options.pictures is not None:
        write_png(options.pictures, contact_sheet(scan, found, result), title=TITLE)
    return result


def understanding(scan: Scan, found: Sequence[Examined], problems: Sequence[Problem]) -> CheckResult:
    """What a dataset that was examined was understood to be."""
    known = [case for case in scan.cases if case.split != "test"] or scan.cases
    tasks = fitting_tasks({kind for case in known for kind in case.kinds})
    return CheckResult(tuple(problems), scan.counts, scan.layout, tuple(tasks), facts_of(scan, found))
