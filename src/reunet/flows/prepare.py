"""What plan and train do first: open the dataset, check it, split it, load and measure its cases."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.options.records import DataOptions
from reunet.contracts.plan import Plan
from reunet.contracts.results import Problem
from reunet.datasets.case_arrays import CaseArrays, case_arrays
from reunet.datasets.cases import Dataset, raise_errors
from reunet.datasets.examine import Examined
from reunet.datasets.problems import examine_dataset
from reunet.datasets.scan import Scan
from reunet.datasets.splits import Splits, make_splits, split_cases
from reunet.inference.predictor import seen_size
from reunet.machine import cores
from reunet.planning import take_fingerprint
from reunet.progress import Progress
from reunet.sampling.resize import at_size


@dataclass(frozen=True)
class Prepared:
    """A dataset ready for planning and training. scan, examined: its folders and files as they were read."""

    scan: Scan
    examined: tuple[Examined, ...]
    dataset: Dataset
    splits: Splits
    train: tuple[CaseArrays, ...]
    val: tuple[CaseArrays, ...]
    fingerprint: Fingerprint
    warnings: tuple[Problem, ...]


def prepare(
    data: Path | None,
    options: DataOptions,
    progress: Progress,
    *,
    seed: int = 0,
    before: Splits | None = None,
    plan: Plan | None = None,
) -> Prepared:
    """Open, check, split, load and measure; the test images are not looked at.

    data: the dataset folder, or None when `options` name images and masks. before: splits of an earlier
    training, whose held-out cases stay held out. plan: one that is there already, whose channels are read
    unless others are asked for. Raises DataError or LabelError
    listing every error of the dataset.
    """
    if plan is not None and plan.input.channel_names and options.channels is None:
        options = replace(options, channels=",".join(plan.input.channel_names))
    progress.start("checking the dataset", None)
    scan, examined, problems = examine_dataset(data, options, splits=("train", "val"), progress=progress)
    raise_errors(problems, scan.root)
    dataset = scan.dataset()
    splits = make_splits(dataset, seed, before)
    chosen = {name: split_cases(dataset, splits, name) for name in ("train", "val")}
    loaded = scan.reader.each(
        [*chosen["train"], *chosen["val"]],
        lambda case, reading: case_arrays(case, reading, dataset.labels),
        "loading the images",
    )
    train, val = tuple(loaded[: len(chosen["train"])]), tuple(loaded[len(chosen["train"]) :])
    fingerprint = take_fingerprint(dataset, train, val)
    read = (scan, tuple(examined))
    return Prepared(*read, dataset, splits, train, val, fingerprint, tuple(problems))


def as_planned(cases: Sequence[CaseArrays], plan: Plan) -> tuple[CaseArrays, ...]:
    """The cases as the network sees them: at its size, or with pixels of the plan's spacing."""

    def as_seen(case: CaseArrays) -> CaseArrays:
        return at_size(case, seen_size(case.image.shape[:-1], plan, case.spacing), plan.spacing)

    with ThreadPoolExecutor(cores()) as pool:
        return tuple(pool.map(as_seen, cases))
