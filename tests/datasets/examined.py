"""What is wrong with a dataset, for tests."""

from __future__ import annotations

from pathlib import Path

from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.problems import examine_dataset


def find_problems(root: Path, options: DataOptions | None = None) -> tuple[list[Problem], dict[str, int]]:
    """Every problem of a dataset, errors first, and the number of cases per split."""
    scan, _, problems = examine_dataset(root, options or DataOptions())
    return problems, scan.counts
