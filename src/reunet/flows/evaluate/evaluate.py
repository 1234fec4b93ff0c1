"""`reunet evaluate`: how good a run, or anybody's masks, are on labelled images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.labels import LabelMap
from reunet.contracts.options.records import DataOptions, EvaluateOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.results import EvaluateResult
from reunet.contracts.run import RunFolder
from reunet.datasets.cases import Case, Dataset
from reunet.datasets.classes import with_encoding
from reunet.datasets.reading import CaseReader, Reading, content_hash
from reunet.datasets.scan import open_dataset
from reunet.datasets.splits import Splits
from reunet.errors import DataError, PlanError, ReunetError
from reunet.flows.evaluate.given_results import evaluate_given
from reunet.flows.evaluate.held_out import SEEN_ALREADY, report_of
from reunet.flows.evaluate.labelled import labelled_cases, loaders_of
from reunet.flows.evaluate.scoring import FILES, of_split, score_images, write_evaluation
from reunet.flows.remote import Engine, score_on
from reunet.inference.cluster import Cluster
from reunet.inference.load import load
from reunet.progress import NullProgress
from reunet.storage import refuse_existing
from reunet.tasks import check_tasks

LOOKED_AT = 8
"""Images, about, by which a dataset is recognised."""


@verb(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> EvaluateResult:
    """Score a run on one split of a dataset; or, with `pred` and `truth`, two folders of results.

    The dataset is a folder, or `images` and `masks`; `val` without such a folder is what the run held out,
    and a dataset without split folders is scored whole. metrics.json, metrics.csv and report.html go to
    RUN/evaluation/<split>, of another dataset than the run's to RUN/evaluation/<dataset>-<split>, those of
    results from elsewhere to a folder beside `pred`. These, folders or
    files, are scored against the truth of the same names; `images` then are only shown.

    Images that fail are in `failures` of the result. Raises UsageError, DataError, ModelFileError,
    PlanError, StorageError.
    """
    progress = options.on_progress or NullProgress()
    check_tasks((options.task,))
    if options.pred is not None and options.truth is not None:
        return evaluate_given(options.pred, options.truth, options, progress)
    run, split = run_at(options.run or Path()), options.split  # there is one, as the options have checked
    plan = run.plan()
    known = run.verified_data(run.splits_file)
    splits = None if known is None else Splits.read(known)
    dataset = _open(options.data, options, plan)
    other = "" if is_own(dataset, run, plan, splits) else dataset.name
    target = options.output or run.evaluation(split, other)
    if options.output is None and options.run is not None and options.run.is_file():  # a pack
        target = options.run.resolve().with_suffix("") / target.relative_to(run.path)
    refuse_existing(target, [target / name for name in FILES], overwrite=options.overwrite)
    run.history()  # the report, which is made at the end, would refuse it
    cases = cases_of_split(dataset, split, splits)
    predictor = load(run.path, **options.how)
    loaders = loaders_of(predictor, labelled_cases(cases, dataset.labels, options.axes))
    if options.cluster is None:
        evaluation = score_images(loaders, predictor.work, predictor.calibration, split, progress)
    else:
        wanted = Engine.of(run.path, options)
        with Cluster(options.cluster, progress) as workers:
            workers.check(run.path, target)
            scores = score_on(workers, wanted, cases, (dataset.labels, options.axes, split), progress)
        evaluation = of_split(scores, len(loaders), predictor.work, split)
    warnings = _seen_in_training(run, splits, cases, split)
    report = report_of(run, predictor, loaders, f"{dataset.name}: {split}", warnings)
    return write_evaluation(evaluation, replace(report, language=options.lang), target)


def is_own(dataset: Dataset, run: RunFolder, plan: Plan, splits: Splits | None) -> bool:
    """Whether a dataset is the one that the run was trained on, whatever it is called now.

    It is when an image that was trained on is there, some of them being looked at; where it has none of
    their names, when it has the name of the run's dataset and one of its test images.
    """
    fingerprint = run.verified_data(run.fingerprint_file)
    if splits is None or fingerprint is None:
        return True
    known = {facts.id: facts.content for facts in Fingerprint.read(fingerprint).cases}
    shared = [case for case in dataset.cases if case.id in known]
    if shared:
        some = shared[:: max(1, len(shared) // LOOKED_AT)]
        return any(_content(case) == known[case.id] for case in some)
    return dataset.name == plan.dataset and bool({case.id for case in dataset.cases} & set(splits.test))


def cases_of_split(dataset: Dataset, split: str, splits: Splits | None) -> tuple[Case, ...]:
    """The cases to score: the split's own, what the run held out, or all where there are no splits.

    splits: of the run, if it has any. Raises DataError for a split that does not exist or has no masks.
    """
    cases = dataset.split(split)
    if splits is not None and not cases and split in ("val", "train"):
        wanted = set(getattr(splits, split))
        cases = tuple(case for case in dataset.cases if case.id in wanted)
    elif splits is not None and split == "train":
        held_out = set(splits.val)
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
    cases = tuple(replace(case, channels=plan.input.channel_names) for case in dataset.cases)
    return replace(dataset, labels=labels, cases=cases)


def _seen_in_training(run: RunFolder, splits: Splits | None, cases: Sequence[Case], split: str) -> list[str]:
    """Warnings about images that the network has learned from, found by their content."""
    if splits is not None and split == "val" and {case.id for case in cases} <= set(splits.val):
        return [SEEN_ALREADY]
    notes = [] if splits is None else list(splits.notes)
    fingerprint = run.verified_data(run.fingerprint_file)
    if fingerprint is None:
        return notes
    trained = {facts.content for facts in Fingerprint.read(fingerprint).cases if facts.split == "train"}
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


def labels_of_dataset(known: LabelMap, found: LabelMap, readings: Iterable[Reading]) -> LabelMap:
    """The class list by which the masks of `readings` are read so that indices mean the classes of `known`.

    known: the classes of the run. found: those of the dataset; a class without a name of its own (such as
    `foreground`) fits any. Raises PlanError when the classes are others.
    """
    if not _fits(known.names, found.names):
        raise PlanError(
            "the dataset has other classes than the run was trained on",
            where="class list",
            expected=", ".join(known.names),
            received=", ".join(found.names),
            fix="say what the mask values mean with --classes FILE (lines: id,name), in the order of the run",
        )
    return with_encoding(found, readings)


def _fits(known: Sequence[str], found: Sequence[str]) -> bool:
    """Equal names, position by position; a name that nobody chose fits any that it does not contradict."""

    def same(a: str, b: str) -> bool:
        free = (_generic(a) and a not in found) or (_generic(b) and b not in known)
        return free or a.casefold() == b.casefold()

    return len(known) == len(found) and all(map(same, known, found))


def _generic(name: str) -> bool:
    return name in ("background", "foreground") or name.startswith("class_")
