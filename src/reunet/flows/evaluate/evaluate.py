"""`reunet evaluate`: how good a run, or anybody's masks, are on labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.options import DataOptions
from reunet.contracts.plan import Plan
from reunet.contracts.results import EvaluateResult
from reunet.contracts.run import RunFolder
from reunet.datasets.cases import Case, Dataset
from reunet.datasets.reading import CaseReader, content_hash
from reunet.datasets.scan import open_dataset
from reunet.datasets.splits import Splits
from reunet.errors import DataError, ReunetError, UsageError
from reunet.flows.arguments import DataArguments, spread
from reunet.flows.evaluate.given_results import evaluate_given
from reunet.flows.evaluate.held_out import SEEN_ALREADY, context_of
from reunet.flows.evaluate.labelled import labelled_cases, loaders_of
from reunet.flows.evaluate.mask_values import labels_of_dataset
from reunet.flows.evaluate.scoring import (
    evaluation_of,
    refuse_existing,
    score_images,
    write_evaluation,
)
from reunet.flows.remote import Engine, connected, score_on
from reunet.inference.load import load
from reunet.progress import NullProgress, Progress
from reunet.tasks import check_tasks
from reunet.tasks.work import Work


@spread
def evaluate(
    run: str | Path | None = None,
    data: str | Path | None = None,
    *,
    split: str = "test",
    output: str | Path | None = None,
    pred: str | Path | None = None,
    truth: str | Path | None = None,
    task: str = "auto",
    overwrite: bool = False,
    engine: str = "auto",
    precision: str = "auto",
    tta: bool = False,
    cluster: str | None = None,
    on_progress: Progress | None = None,
    **options: Unpack[DataArguments],
) -> EvaluateResult:
    """Score a run on one split of a dataset; or, with `pred` and `truth`, two folders of results.

    Parameters
    ----------
    run, data: a run folder, and a dataset folder (or `images` and `masks`).
    split: `train`, `val` or `test`; `val` without such a folder is what the run held out. A dataset
        without split folders is scored whole.
    output: folder for metrics.json, metrics.csv and report.html; RUN/evaluation/<split> by default, for
        results from elsewhere a folder beside `pred`.
    pred, truth: folders or files with results and truth of the same names, scored without any run. `images`
        then are only shown.
    task: what these are of; `auto` for what both hold.
    engine, precision, tta: as in `reunet.load`. cluster: as in `predict`.
    options: about the dataset; see `reunet.datasets.cases.DataOptions`.

    Images that fail are in `failures` of the result. Raises UsageError, DataError, ModelFileError,
    PlanError, StorageError.
    """
    progress = on_progress or NullProgress()
    described = DataOptions(**options)
    check_tasks((task,))
    target = None if output is None else Path(output)
    if pred is not None or truth is not None:
        pair = _two_folders(pred, truth, run or data)
        return evaluate_given(*pair, task, described, target, progress, overwrite=overwrite)
    if run is None or (data is None and (described.images is None or described.masks is None)):
        raise UsageError(
            "nothing to evaluate",
            expected="a run and a dataset, or two folders of masks",
            fix="reunet evaluate RUN DATA, or reunet evaluate --pred DIR --truth DIR",
        )
    folder = RunFolder(Path(run))
    target = target or folder.evaluation(split)
    plan = folder.plan()
    refuse_existing(target, overwrite=overwrite)
    dataset = _open(None if data is None else Path(data), described, plan)
    cases = cases_of_split(dataset, split, folder)
    predictor = load(folder.path, engine, precision, tta)
    images = labelled_cases(cases, dataset.labels, described.axes)
    loaders, work = loaders_of(predictor, images), Work.of(plan)
    if cluster is None:
        evaluation = score_images(loaders, work, predictor.calibration, split, progress)
    else:
        wanted = Engine.of(folder.path, engine, precision, tta)
        with connected(cluster, folder.path, target, progress) as workers:
            scores = score_on(workers, wanted, cases, (dataset.labels, described.axes, split), progress)
        evaluation = evaluation_of(scores, loaders, work, split)
    warnings = _seen_in_training(folder, cases, split)
    return write_evaluation(evaluation, context_of(folder, predictor, dataset.name, split, warnings), target)


def _two_folders(
    pred: str | Path | None, truth: str | Path | None, other: str | Path | None
) -> tuple[Path, Path]:
    """--pred and --truth. Raises UsageError for one without the other, or beside a run or dataset."""
    if other is not None:
        raise UsageError(
            "--pred and --truth need no run and no dataset",
            where="--pred",
            received=f"{other} as well",
            fix="leave one of the two out",
        )
    if pred is None or truth is None:
        raise UsageError("--pred and --truth belong together", fix="give both: --pred DIR --truth DIR")
    return Path(pred), Path(truth)


def cases_of_split(dataset: Dataset, split: str, run: RunFolder) -> tuple[Case, ...]:
    """The cases to score: the split's own, what the run held out, or all where there are no splits.

    Raises DataError for a split that does not exist or has no masks.
    """
    cases = dataset.split(split)
    if not cases and split in ("val", "train") and run.splits_file.is_file():
        splits = Splits.read(run.splits_file)
        cases = tuple(case for case in dataset.cases if case.id in set(getattr(splits, split)))
    elif split == "train" and run.splits_file.is_file():
        held_out = set(Splits.read(run.splits_file).val)
        cases = tuple(case for case in cases if case.id not in held_out) or cases
    if not cases and split == "test" and not dataset.given_splits:
        cases = dataset.cases
    if not cases:
        raise DataError(
            "the dataset has no such split",
            where=dataset.root,
            expected=", ".join(sorted(dataset.given_splits)) or "test, which means all images here",
            received=split,
            fix=f"name another one with --split, or add a {split}/ folder",
        )
    if not any(case.kinds for case in cases):
        raise DataError(
            "this split has no annotations to compare with", where=dataset.root, received=f"--split {split}"
        )
    return cases


def _open(data: Path | None, options: DataOptions, plan: Plan) -> Dataset:
    """The dataset with class indices as in the plan. Raises PlanError when the classes are others."""
    described = options.classes is not None or options.colors is not None
    if data is not None and (data / "dataset.json").is_file():
        described = True
    dataset = open_dataset(data, options, None if described else plan.labels, plan.categories)
    readings = map(CaseReader(dataset.root, options.axes, keep=False), dataset.cases)
    labels = labels_of_dataset(plan.labels, dataset.labels, readings)
    return replace(dataset, labels=labels)


def _seen_in_training(run: RunFolder, cases: Sequence[Case], split: str) -> list[str]:
    """Warnings about images that the network has learned from, found by their content."""
    if split == "val" and run.splits_file.is_file():
        held_out = Splits.read(run.splits_file).val
        if {case.id for case in cases} <= set(held_out):
            return [SEEN_ALREADY]
    notes = list(Splits.read(run.splits_file).notes) if run.splits_file.is_file() else []
    if not run.fingerprint_file.is_file():
        return notes
    known = Fingerprint.read(run.fingerprint_file).cases
    trained = {facts.content for facts in known if facts.split == "train"}
    seen = sum(_content(case) in trained for case in cases)
    if seen:
        text = (
            f"{seen} of these {len(cases)} images were used in training: the scores say how well the network "
            "remembers them, not how well it does on new images."
        )
        notes.insert(0, text)
    return notes


def _content(case: Case) -> str | None:
    try:
        return content_hash(case)
    except ReunetError:
        return None
