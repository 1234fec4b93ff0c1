"""`reunet train`: from a folder of images and masks to a run folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reunet.backend import choose_backend, use_backend
from reunet.contracts.plan import Plan
from reunet.contracts.results import TrainResult
from reunet.contracts.run import RunFolder, read_facts
from reunet.datasets.cases import DataOptions
from reunet.errors import CheckpointError, DataError, PlanError, StorageError, UsageError
from reunet.flows.prepare import Prepared, as_planned, prepare
from reunet.machine import cores, describe, versions
from reunet.planning import PlanRequest, make_plan, needs_sequences
from reunet.progress import NullProgress, Progress
from reunet.storage import folder_lock, write_json
from reunet.tasks import Work, check_tasks

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class TrainOptions:
    """The wishes of a training that are not about the data."""

    output: Path
    plan: Path | None = None
    init: Path | None = None
    freeze: Literal["encoder"] | None = None
    encoder_weights: str = "imagenet"
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
    freeze: Literal["encoder"] | None = None,
    encoder: str | None = None,
    encoder_weights: str = "imagenet",
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
    sequence: str | None = None,
) -> TrainResult:
    """Train a U-Net on the dataset `data` and write the run folder `output`.

    Parameters
    ----------
    data: a dataset folder, or None with `images` and `masks`. output: the run folder to create.
    plan: a plan.json to follow instead of planning; then preset, budget and seed come from it.
    minutes, epochs, steps: the budget, one of them; minutes are wall time from the start of the process
        to the final weights. Ten minutes when nothing is given.
    init: a run whose weights are the start; its network is used, its class list may differ.
    freeze: `encoder` keeps the encoder of `init`, or a pretrained one, as it is.
    encoder: a pretrained encoder by name, for images with two axes. encoder_weights: `imagenet`, which
        Keras downloads once, the file of such weights, or `none` for fresh ones.
    resume: go on with the training in `output`, exactly where its last checkpoint was.
    workers: threads that prepare batches; 0 for none.
    max_memory: bytes that training may need.
    started: `time.monotonic()` from which the minutes count; now when None.
    images, masks, axes, classes, colors, group, allow_geometry_mismatch, sequence: see `DataOptions`.

    Raises DataError, UsageError, PlanError, StorageError, CheckpointError, TrainingError, BackendError;
    InterruptedRunError after Ctrl-C or SIGTERM, when the state is saved.
    """
    started = time.monotonic() if started is None else started
    progress = on_progress or NullProgress()
    run = RunFolder(Path(output))
    options = TrainOptions(
        run.path,
        Path(plan) if plan else None,
        Path(init) if init else None,
        freeze,
        encoder_weights,
        resume,
        workers,
        overwrite,
    )
    request = PlanRequest(
        preset=preset,
        minutes=minutes,
        steps=steps,
        epochs=epochs,
        seed=seed,
        max_memory=max_memory,
        encoder=encoder,
    )
    check_tasks(task)
    check_options(options, request)
    data_options = DataOptions(images, masks, axes, classes, colors, group, allow_geometry_mismatch, sequence)
    settled = _settled_plan(run, options)
    chosen = choose_backend(_agreed_backend(backend, settled))
    use_backend(chosen)
    refuse_occupied(run, options)
    try:
        with folder_lock(run.path):
            prepared = prepare(
                None if data is None else Path(data),
                data_options,
                progress,
                seed=settled.seed if settled else seed,
            )
            for warning in prepared.warnings:
                progress.message(f"warning: {warning.file}: {warning.message}")
            made = settled or _new_plan(prepared, replace(request, backend=chosen), options)
            check_plan_fits(made, prepared)
            model = _network(made, options, progress)
            if resume:
                _check_same_data(run, prepared)
            else:
                _begin_folder(run, made, prepared)
            return _train_and_finish(run, model, made, prepared, options, progress, started)
    finally:
        with suppress(OSError):  # a training that could not begin leaves no folder behind
            run.path.rmdir()  # which only takes an empty one


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
        "--plan with --preset": options.plan and request.preset != "auto",
        "--plan with --seed": options.plan and request.seed,
        "--plan with --max-memory": options.plan and request.max_memory,
        "--plan with --encoder": options.plan and request.encoder,
        "--init with --preset": options.init and request.preset != "auto",
        "--init with --encoder": options.init and request.encoder,
        "--freeze without --init or --encoder": options.freeze and not (options.init or request.encoder),
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


def refuse_occupied(run: RunFolder, options: TrainOptions) -> None:
    """See that the run folder is free, or holds what --resume needs. Raises StorageError, CheckpointError."""
    has_checkpoint = run.plan_file.is_file() and any(run.checkpoints.glob("[0-9]*"))
    if options.resume:
        if not has_checkpoint:
            raise CheckpointError(
                "there is no checkpoint to resume from", where=run.path, fix="train again without --resume"
            )
        return
    if run.path.is_file():
        raise StorageError("this is a file, not a folder", where=run.path, fix="choose another name with -o")
    if options.init is not None and options.init.resolve() == run.path.resolve():
        raise UsageError(
            "a run cannot start from itself", where="--init", fix="choose another folder with -o"
        )
    if not run.path.exists() or all(entry.name == ".lock" for entry in run.path.iterdir()):
        return  # a lock is the business of `folder_lock`
    if not options.overwrite or not run.plan_file.is_file():
        ways = ["choose another folder", *(["add --resume"] if has_checkpoint else [])]
        ways += ["add --overwrite"] if run.plan_file.is_file() else []
        raise StorageError(
            "the output folder exists and is not empty", where=run.path, fix=", or ".join(ways)
        )


def _begin_folder(run: RunFolder, plan: Plan, prepared: Prepared) -> None:
    """Clear what --overwrite replaces, and write what the run begins with."""
    for entry in run.path.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()
    plan.write(run.plan_file)
    prepared.fingerprint.write(run.fingerprint_file)
    prepared.splits.write(run.splits_file)
    write_json(run.environment_file, {"machine": describe(), "versions": versions(), "threads": cores()})


def _agreed_backend(wanted: str | None, settled: Plan | None) -> str | None:
    """The backend of the plan, unless another was asked for, which is an error: the plan was made for one."""
    if settled is None:
        return wanted
    if wanted not in (None, settled.backend):
        raise UsageError(
            "the plan is for another backend",
            where="--backend",
            expected=settled.backend,
            received=wanted,
            fix="leave --backend out, or make a plan for it with `reunet plan --backend`",
        )
    return settled.backend


def _settled_plan(run: RunFolder, options: TrainOptions) -> Plan | None:
    if options.resume and run.plan_file.is_file():
        return run.plan()
    return Plan.read(options.plan) if options.plan else None


def _new_plan(prepared: Prepared, request: PlanRequest, options: TrainOptions) -> Plan:
    network = RunFolder(options.init).plan().network if options.init else None
    made = make_plan(prepared.fingerprint, replace(request, network=network))
    return made.model_copy(update={"freeze": options.freeze})


def check_plan_fits(plan: Plan, prepared: Prepared) -> None:
    """Raise PlanError when a plan was made for other data."""
    fingerprint = prepared.fingerprint
    if plan.clip is not None:
        needs_sequences(fingerprint, "clip")
    if plan.clip is not None and plan.clip.axis != fingerprint.axis:
        raise PlanError(
            "the plan was made for sequences of another kind",
            where="clip.axis",
            expected=fingerprint.axis,
            received=plan.clip.axis,
            fix="make the plan again with `reunet plan`, or correct clip.axis: T for time, Z for depth",
        )
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

    begun = Fingerprint.read(run.fingerprint_file)
    before = {f"{c.split}/{c.id}": c.content for c in begun.cases}
    now = {f"{c.split}/{c.id}": c.content for c in prepared.fingerprint.cases}
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if not changed and (list(before), begun.sequences) != (list(now), prepared.fingerprint.sequences):
        changed = ["the order of the frames"]
    if changed:
        raise DataError(
            "the training images have changed since this training began, so it cannot be resumed exactly",
            where=run.path,
            received=f"{len(changed)} difference(s), such as {changed[0]}",
            fix="restore them and give the same data options, or start a new training with --init",
        )


def _network(plan: Plan, options: TrainOptions, progress: Progress) -> keras.Model:
    """The compiled network, with the weights of --init or of a pretrained encoder."""
    from reunet.networks.pretrained import APPLICATIONS, load_pretrained
    from reunet.training.carry import network_of
    from reunet.training.compile import compiled_network
    from reunet.training.precision import fix_threads
    from reunet.training.transfer import transfer_weights

    run, wanted = RunFolder(options.output), cores()
    if options.resume and run.environment_file.is_file():
        wanted = int(read_facts(run.environment_file).get("threads", wanted))
    if not fix_threads(wanted):
        progress.message(f"this process does not compute with {wanted} threads: not repeatable bit for bit")
    model = compiled_network(plan)
    if options.init:
        for note in transfer_weights(network_of(model), plan, RunFolder(options.init)):
            progress.message(note)
    elif plan.network.encoder in APPLICATIONS and not options.resume and options.encoder_weights != "none":
        load_pretrained(network_of(model), plan.network, options.encoder_weights)
    return model


def _train_and_finish(
    run: RunFolder,
    model: keras.Model,
    plan: Plan,
    prepared: Prepared,
    options: TrainOptions,
    progress: Progress,
    started: float,
) -> TrainResult:
    from reunet.flows.finish import finish
    from reunet.networks import margin
    from reunet.sampling.patches import PatchSampler
    from reunet.training.loop import Training
    from reunet.training.state import load_weights
    from reunet.training.validation import Validator

    lost = margin(plan.network)
    cases = as_planned(prepared.train, plan)
    targets = Work.of(plan).targets
    sampler = PatchSampler(cases, plan, targets=targets, margin=lost)
    plain = PatchSampler(cases, plan, targets=targets, margin=lost, augment=False)
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
    load_weights(model, plan, run.verified_weights(plan))
    finish(run, plan, prepared, validator, outcome, progress)
    return TrainResult(run.path, outcome.steps, outcome.best_score, outcome.seconds)
