"""`reunet train`: from a folder of images and masks to a run folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reunet.backend import Backend, choose_backend, use_backend
from reunet.contracts.plan import Plan
from reunet.contracts.results import TrainResult
from reunet.contracts.run import RunFolder
from reunet.datasets.cases import DataOptions
from reunet.errors import CheckpointError, DataError, PlanError, StorageError, UsageError
from reunet.flows.prepare import Prepared, prepare, semantic_only
from reunet.machine import cores, describe, versions
from reunet.planning import PlanRequest, make_plan
from reunet.progress import NullProgress, Progress
from reunet.storage import folder_lock, write_json


@dataclass(frozen=True)
class TrainOptions:
    """The wishes of a training that are not about the data."""

    plan: Path | None = None
    init: Path | None = None
    freeze: str | None = None
    resume: bool = False
    workers: int | None = None
    overwrite: bool = False


def train(
    data: str | Path | None,
    *,
    output: str | Path,
    plan: str | Path | None = None,
    task: Sequence[str] = ("auto",),
    preset: str = "auto",
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    init: str | Path | None = None,
    freeze: str | None = None,
    resume: bool = False,
    seed: int = 0,
    backend: str | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
    started: float | None = None,
    images: Path | None = None,
    masks: Path | None = None,
    axes: str | None = None,
    classes: Path | None = None,
    colors: Path | None = None,
    group: str | None = None,
    allow_geometry_mismatch: bool = False,
) -> TrainResult:
    """Train a U-Net on the dataset `data` and write the run folder `output`.

    Parameters
    ----------
    data: a dataset folder, or None with `images` and `masks`. output: the run folder to create.
    plan: a plan.json to follow instead of planning; then preset, budget and seed come from it.
    minutes, epochs, steps: the budget, one of them; minutes are wall time from the start of the process
        to the final weights. Ten minutes when nothing is given.
    init: a run whose weights are the start; its network is used, its class list may differ.
    freeze: `encoder` keeps the encoder of `init` as it is.
    resume: go on with the training in `output`, exactly where its last checkpoint was.
    workers: threads that prepare batches; 0 for none.
    max_memory: bytes that training may need.
    started: `time.monotonic()` from which the minutes count; now when None.
    images, masks, axes, classes, colors, group, allow_geometry_mismatch: see `DataOptions`.

    Raises DataError, UsageError, PlanError, StorageError, CheckpointError, TrainingError, BackendError;
    InterruptedRunError after Ctrl-C or SIGTERM, when the state is saved.
    """
    started = time.monotonic() if started is None else started
    progress = on_progress or NullProgress()
    run = RunFolder(Path(output))
    options = TrainOptions(
        Path(plan) if plan else None, Path(init) if init else None, freeze, resume, workers, overwrite
    )
    request = PlanRequest(
        preset=preset, minutes=minutes, steps=steps, epochs=epochs, seed=seed, max_memory=max_memory
    )
    semantic_only(task)
    check_options(options, request)
    data_options = DataOptions(images, masks, axes, classes, colors, group, allow_geometry_mismatch)
    settled = _settled_plan(run, options)
    backend = choose_backend(backend or (settled.backend if settled else None))
    use_backend(backend)
    make_room(run, options)
    with folder_lock(run.path):
        prepared = prepare(
            None if data is None else Path(data),
            data_options,
            progress,
            seed=settled.seed if settled else seed,
        )
        for warning in prepared.warnings:
            progress.message(f"warning: {warning.file}: {warning.message}")
        made = settled or _new_plan(prepared, request, backend, options)
        check_plan_fits(made, prepared)
        if resume:
            _check_same_data(run, prepared)
        else:
            made.write(run.plan_file)
            prepared.fingerprint.write(run.fingerprint_file)
            prepared.splits.write(run.splits_file)
        return _train_and_finish(run, made, prepared, options, progress, started)


def check_options(options: TrainOptions, request: PlanRequest) -> None:
    """Raise UsageError for options that contradict each other."""
    budget_given = any(value is not None for value in (request.minutes, request.steps, request.epochs))
    wrong = {
        "--resume with --plan": options.resume and options.plan,
        "--resume with --init": options.resume and options.init,
        "--resume with --overwrite": options.resume and options.overwrite,
        "--resume with a budget": options.resume and budget_given,
        "--plan with a budget": options.plan and budget_given,
        "--plan with --init": options.plan and options.init,
        "--init with --preset": options.init and request.preset != "auto",
        "--freeze without --init": options.freeze and not options.init,
    }
    for text, is_wrong in wrong.items():
        if is_wrong:
            raise UsageError("these options contradict each other", where=text, fix="leave one of them out")
    if options.freeze not in (None, "encoder"):
        raise UsageError("unknown part", where="--freeze", expected="encoder", received=options.freeze)
    if options.workers is not None and options.workers < 0:
        raise UsageError(
            "not a number of threads", where="--workers", expected="0 or more", received=options.workers
        )
    if not options.resume and options.plan is None:
        _check_budget(request)


def _check_budget(request: PlanRequest) -> None:
    for name, value in request.budget.items():
        if value is not None and value <= 0:
            raise UsageError("not a budget", where=f"--{name}", expected="more than 0", received=value)


def make_room(run: RunFolder, options: TrainOptions) -> None:
    """See that the run folder is free, or holds what --resume needs. Raises StorageError, CheckpointError."""
    if options.resume:
        if not run.plan_file.is_file() or not any(run.checkpoints.glob("[0-9]*")):
            raise CheckpointError(
                "there is no checkpoint to resume from", where=run.path, fix="train again without --resume"
            )
        return
    if run.path.is_file():
        raise StorageError("this is a file, not a folder", where=run.path, fix="choose another name with -o")
    if not run.path.exists() or all(entry.name == ".lock" for entry in run.path.iterdir()):
        return  # a lock is the business of `folder_lock`
    is_run = run.plan_file.is_file()
    if not options.overwrite or not is_run:
        raise StorageError(
            "the output folder exists and is not empty",
            where=run.path,
            fix="choose another folder" + (", or add --resume or --overwrite" if is_run else ""),
        )
    with folder_lock(run.path):  # refuses while another process trains there
        for entry in run.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != ".lock":
                entry.unlink()


def _settled_plan(run: RunFolder, options: TrainOptions) -> Plan | None:
    if options.resume and run.plan_file.is_file():
        return run.plan()
    return Plan.read(options.plan) if options.plan else None


def _new_plan(prepared: Prepared, request: PlanRequest, backend: Backend, options: TrainOptions) -> Plan:
    network = RunFolder(options.init).plan().network if options.init else None
    return make_plan(prepared.fingerprint, replace(request, backend=backend, network=network))


def check_plan_fits(plan: Plan, prepared: Prepared) -> None:
    """Raise PlanError when a plan was made for other data."""
    fingerprint = prepared.fingerprint
    if plan.labels != fingerprint.labels:
        raise PlanError(
            "the plan was made for other classes",
            where="labels",
            expected=", ".join(fingerprint.labels.names),
            received=", ".join(plan.labels.names),
            fix="make the plan again with `reunet plan`",
        )
    if plan.input.channels != fingerprint.channels or (
        fingerprint.mixed_channels and not plan.input.grey_to_rgb
    ):
        raise PlanError(
            "the plan was made for images with other channels",
            where="input.channels",
            expected=fingerprint.channels,
            received=plan.input.channels,
            fix="make the plan again with `reunet plan`",
        )


def _check_same_data(run: RunFolder, prepared: Prepared) -> None:
    """Raise DataError when the training images are not those the run began with."""
    from reunet.contracts.fingerprint import Fingerprint

    before = {case.id: case.content for case in Fingerprint.read(run.fingerprint_file).cases}
    now = {case.id: case.content for case in prepared.fingerprint.cases}
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        raise DataError(
            "the training images have changed since this training began, so it cannot be resumed exactly",
            where=run.path,
            received=f"{len(changed)} cases differ, such as {changed[0]}",
            fix="restore them, or start a new training with --init",
        )


def _train_and_finish(
    run: RunFolder, plan: Plan, prepared: Prepared, options: TrainOptions, progress: Progress, started: float
) -> TrainResult:
    from reunet.flows.finish import finish
    from reunet.networks import margin
    from reunet.sampling.patches import PatchSampler
    from reunet.training.compile import compiled_network
    from reunet.training.loop import Training
    from reunet.training.precision import fix_threads
    from reunet.training.transfer import transfer_weights
    from reunet.training.validation import Validator

    fix_threads(cores())
    write_json(run.environment_file, {"machine": describe(), "versions": versions(), "threads": cores()})
    model = compiled_network(plan, frozen=options.freeze)
    if options.init:
        for note in transfer_weights(model, plan, RunFolder(options.init)):
            progress.message(note)
    top, left = margin(plan.network)[-2:]
    sampler = PatchSampler(prepared.train, plan, margin=(top, left))
    plain = PatchSampler(prepared.train, plan, margin=(top, left), augment=False)
    validator = Validator(model, plan, plain, prepared.val)
    training = Training(
        model,
        plan,
        run,
        sampler,
        validator,
        progress=progress,
        started=started,
        threads=cores() if options.workers is None else options.workers,
    )
    outcome = training.resumed() if options.resume else training.fresh()
    model.load_weights(run.verified_weights(plan))
    finish(run, plan, prepared, validator, outcome, progress)
    return TrainResult(run.path, outcome.steps, outcome.best_score, outcome.seconds)
