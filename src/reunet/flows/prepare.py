"""What plan and train do first: open the dataset, check it, split it, load and measure its cases."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.results import Problem
from reunet.datasets.cache import CaseArrays, load_case
from reunet.datasets.cases import Case, DataOptions, Dataset
from reunet.datasets.layouts import open_dataset
from reunet.datasets.problems import find_problems
from reunet.datasets.splits import Splits, make_splits
from reunet.errors import DataError, UsageError
from reunet.machine import cores
from reunet.planning import take_fingerprint
from reunet.progress import Progress


@dataclass(frozen=True)
class Prepared:
    """A dataset ready for planning and training."""

    dataset: Dataset
    splits: Splits
    train: tuple[CaseArrays, ...]
    val: tuple[CaseArrays, ...]
    fingerprint: Fingerprint
    warnings: tuple[Problem, ...]


def prepare(data: Path, options: DataOptions, progress: Progress, *, seed: int = 0) -> Prepared:
    """Open, check, split, load and measure. Raises DataError listing every error of the dataset."""
    progress.start("checking the dataset", None)
    warnings = refuse_errors(data, options)
    dataset = open_dataset(data, options)
    splits = make_splits(dataset, seed)
    by_id = {case.id: case for case in dataset.cases}
    progress.start("loading the images", len(splits.train) + len(splits.val))
    train = load_cases([by_id[i] for i in splits.train], dataset, options, progress)
    val = load_cases([by_id[i] for i in splits.val], dataset, options, progress)
    fingerprint = take_fingerprint(
        dataset.name,
        dataset.labels,
        train,
        n_val=len(val),
        has_fov=any(case.fov is not None for case in dataset.cases),
    )
    return Prepared(dataset, splits, train, val, fingerprint, warnings)


def refuse_errors(data: Path, options: DataOptions) -> tuple[Problem, ...]:
    """The warnings of a dataset. Raises DataError with all errors in one message when there are any."""
    problems, _ = find_problems(data, options)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        shown = "\n".join(f"  {p.file}: {p.message}" + (f" ({p.fix})" if p.fix else "") for p in errors[:20])
        more = f"\n  and {len(errors) - 20} more" if len(errors) > 20 else ""
        raise DataError(
            f"the dataset has {len(errors)} error(s):\n{shown}{more}",
            where=data,
            fix="mend these files; `reunet check` lists everything, with warnings",
        )
    return tuple(problem for problem in problems if problem.severity == "warning")


def load_cases(
    cases: Sequence[Case], dataset: Dataset, options: DataOptions, progress: Progress
) -> tuple[CaseArrays, ...]:
    """Load cases in parallel through the cache, in the order given."""

    def load(case: Case) -> CaseArrays:
        arrays = load_case(case, dataset.labels, axes=options.axes)
        progress.advance(1)
        return arrays

    with ThreadPoolExecutor(cores()) as pool:
        return tuple(pool.map(load, cases))


def semantic_only(task: Sequence[str]) -> None:
    """Raise UsageError for a task that is not there; `auto` is semantic, as masks are all that is read."""
    for name in task:
        if name not in ("auto", "semantic"):
            raise UsageError("unknown task", where="--task", expected="auto or semantic", received=name)
