"""`reunet train`: from a folder of images and masks to a run folder."""

from __future__ import annotations

import shutil
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from reunet.backend import Backend, choose_backend, use_backend
from reunet.contracts.facts import EnvironmentFacts
from reunet.contracts.network import ENCODER_WISHES, OWN_ENCODERS
from reunet.contracts.options.records import TrainOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.results import TrainResult
from reunet.contracts.run import RunFolder
from reunet.contracts.sizes import margin
from reunet.datasets.splits import Splits
from reunet.devices import Device, able_backend, check_seen, choose_device, use_of
from reunet.errors import UsageError, counted
from reunet.flows.plan import check_wishes
from reunet.flows.prepare import Prepared, as_planned, prepare
from reunet.flows.train.checks import (
    check_init,
    check_plan_fits,
    check_plan_used,
    check_same_data,
    check_team,
    refuse_occupied,
)
from reunet.machine import cores, describe, gpu, versions
from reunet.planning import PlanRequest, make_plan
from reunet.progress import NullProgress, Progress
from reunet.storage import folder_lock, write_json
from reunet.tasks.work import Work
from reunet.training.functions import Functions
from reunet.training.setting import Setting
from reunet.training.team import ALONE, Team

if TYPE_CHECKING:
    import keras

    from reunet.networks.pretrained import Weights


@verb(TrainOptions)
def train(options: TrainOptions) -> TrainResult:
    """Train a U-Net on a dataset and write the run folder `output`.

    The dataset is a folder, or `images` and `masks`. A `plan` is followed instead of planning. With `init`
    the network of that run is used and its weights are the start; its class list may differ. `freeze` keeps
    the encoder of `init`, or a pretrained one, as it is; `encoder_weights` are `imagenet`, from the extra
    `photo` or downloaded once by Keras, the file of such weights, or `none` for fresh ones. `resume` goes on
    with the training in `output`, exactly where its last checkpoint was. Minutes count from `started`
    (`time.monotonic()`), or from now, to the final weights; ten when no budget is given.

    `processes` train together, on JAX: this is the one of number `process_id`, from 0, and all meet at
    `coordinator`, HOST:PORT of the first one. All see the same files under the same paths; the first one
    writes. (`reunet train --processes N` alone starts all of them here.)

    Python may give functions: `callbacks` of Keras, which hear of every step and validation; a `loss` of
    targets and logits, or a dict of them by head; a `network` that makes a Keras model of the configuration.
    The plan names them as `custom`, and what needs them later says so. `log` writes RUN/tensorboard.

    Raises DataError, UsageError, PlanError, StorageError, CheckpointError, TrainingError, BackendError;
    InterruptedRunError after Ctrl-C or SIGTERM, when the state is saved.
    """
    started = time.monotonic() if options.started is None else options.started
    run, settled = RunFolder(options.run), _settled_plan(options)
    team, chosen, device = _team(options, settled)
    functions = Functions.of(options.network, options.loss, options.callbacks)
    if settled is not None:
        functions = functions.fitted(settled)
    progress = options.on_progress if options.on_progress and team.is_first else NullProgress()
    if device == "cpu" and options.device == "auto" and gpu() is not None:
        progress.message(f"{chosen}: {use_of(chosen)}")
    check_init(options, progress)
    if team.is_first:
        refuse_occupied(options, run)
    try:
        with folder_lock(run.path) if team.is_first else nullcontext():
            if not team.is_first:
                team.agree([0])  # until the first one has begun the folder
                settled = run.plan()
            seed = settled.seed if settled else options.seed
            weights = _encoder_weights(options, settled.network.encoder if settled else options.encoder)
            prepared = prepare(
                options.data, options, progress, seed=seed, before=_splits_before(options), plan=settled
            )
            for line in counted((one.file, one.message) for one in prepared.warnings):
                progress.message(f"warning: {line}")
            made = settled or _new_plan(prepared, options, chosen, device)
            plan, functions = _with_functions(made, functions, options)
            check_plan_fits(plan, prepared)
            weights = weights or _encoder_weights(options, plan.network.encoder)
            team.share(plan.batch)
            model = _network(plan, options, functions, weights, progress)
            if options.resume:
                check_same_data(run, prepared)
            elif team.is_first:
                _begin_folder(run, plan, prepared, device)
            if team.is_first:
                team.agree([0])
            threads = cores() if options.workers is None else options.workers
            setting = Setting(plan, run, progress, started, threads, team, functions)
            return _train_and_finish(setting, model, prepared, options)
    finally:
        if team.is_first:
            with suppress(OSError):  # a training that could not begin leaves no folder behind
                run.path.rmdir()  # which only takes an empty one


def _team(options: TrainOptions, settled: Plan | None) -> tuple[Team, Backend, Device]:
    """The processes that train together, their backend, on which Keras runs from here on, and the device.

    Raises UsageError for wishes that cannot be fulfilled, before any data is read.
    """
    address = check_team(options.processes, options.process_id, options.coordinator)
    wanted = _agreed_backend(options.backend or ("jax" if address else None), settled)
    chosen = choose_backend(wanted or (None if options.device == "cpu" else able_backend()))
    device: Device = "cpu" if address else choose_device(options.device, chosen)
    use_backend(chosen)
    check_wishes(options)
    if address is None:
        check_seen(device)
        return ALONE, chosen, device
    if chosen != "jax":
        raise UsageError(
            "several processes train together on JAX only",
            where="--processes",
            received=f"--backend {chosen}",
            fix="give --backend jax, or a plan that was made for it",
        )
    from reunet.training.processes import join

    return join(*address), chosen, device


def _begin_folder(run: RunFolder, plan: Plan, prepared: Prepared, device: Device) -> None:
    """Clear what --overwrite replaces, and write what the run begins with."""
    for entry in run.path.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()
    plan.write(run.plan_file)
    prepared.fingerprint.write(run.fingerprint_file)
    prepared.splits.write(run.splits_file)
    facts = {"machine": describe(), "device": device, "versions": versions(), "threads": cores()}
    write_json(run.environment_file, facts)


def _splits_before(options: TrainOptions) -> Splits | None:
    """Those of the training that this one goes on from, so that what was held out there stays so."""
    if not options.resume and options.init is None:
        return None
    run = RunFolder(options.run) if options.init is None else run_at(options.init)
    return Splits.read(run.splits_file) if run.splits_file.is_file() else None


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


def _settled_plan(options: TrainOptions) -> Plan | None:
    """The plan that is there already. Raises PlanError, and UsageError for an option that it has no use
    for.
    """
    run = RunFolder(options.run)
    if options.resume and run.plan_file.is_file():
        return run.plan()
    if options.plan is None:
        return None
    plan = Plan.read(options.plan)
    check_plan_used(options, plan)
    return plan


def _new_plan(prepared: Prepared, options: TrainOptions, backend: Backend, device: Device) -> Plan:
    network = run_at(options.init).plan().network if options.init else None
    request = PlanRequest.of(options, backend, device, network)
    if options.network is not None and options.encoder == "auto":  # the caller's network has its own
        request = replace(request, encoder="none")
    made = make_plan(prepared.fingerprint, request)
    settings: dict[str, object] = {"freeze": options.freeze}
    if options.encoder_weights == "none":  # what begins fresh learns like the rest
        settings["schedule"] = made.schedule.model_copy(update={"encoder_rate": 1.0, "encoder_from": 0.0})
    return made.model_copy(update=settings)


def _encoder_weights(options: TrainOptions, encoder: str | None) -> Weights | None:
    """What a pretrained encoder begins with; None where nothing is loaded, or it is not chosen yet.

    Raises ModelFileError.
    """
    begun = options.resume or options.init is not None or options.encoder_weights == "none"
    if begun or encoder is None or encoder in ENCODER_WISHES + OWN_ENCODERS:
        return None
    from reunet.networks.pretrained import pretrained_weights

    return pretrained_weights(encoder, options.encoder_weights)


def _with_functions(plan: Plan, functions: Functions, options: TrainOptions) -> tuple[Plan, Functions]:
    """What Python gave as functions, and the plan that names them. Raises UsageError."""
    functions = functions.fitted(plan)
    if options.network is not None and plan.network.encoder not in OWN_ENCODERS:
        raise UsageError(
            "a network of your own brings its own encoder",
            where="network",
            received=f"encoder {plan.network.encoder}",
            fix="leave `encoder` out, or `network`",
        )
    return plan if options.resume else plan.model_copy(update={"custom": functions.custom}), functions


def _network(
    plan: Plan, options: TrainOptions, functions: Functions, weights: Weights | None, progress: Progress
) -> keras.Model:
    """The compiled network, with the weights of --init or those of a pretrained encoder."""
    from reunet.networks.pretrained import load_pretrained
    from reunet.training.carry import network_of
    from reunet.training.compile import compiled_network
    from reunet.training.precision import fix_threads
    from reunet.training.transfer import transfer_weights

    wanted, environment = cores(), RunFolder(options.run).environment_file
    if options.resume and environment.is_file():
        wanted = EnvironmentFacts.read(environment).threads or wanted
    if not fix_threads(wanted):
        progress.message(f"this process does not compute with {wanted} threads: not repeatable bit for bit")
    model = compiled_network(plan, functions)
    if options.init:
        for note in transfer_weights(network_of(model), plan, run_at(options.init)):
            progress.message(note)
    elif weights is not None:
        load_pretrained(network_of(model), plan.network, weights)
    return model


def _train_and_finish(
    setting: Setting, model: keras.Model, prepared: Prepared, options: TrainOptions
) -> TrainResult:
    """Train from the first step, or on from the latest checkpoint; the first process finishes the folder."""
    from reunet.flows.train.finish import finish
    from reunet.sampling.patches import PatchSampler
    from reunet.training.compile import as_trained
    from reunet.training.loop import Training
    from reunet.training.state import load_weights
    from reunet.training.validation import Validator

    plan, run, team = setting.plan, setting.run, setting.team
    draw = partial(
        PatchSampler,
        as_planned(prepared.train, plan),
        plan,
        targets=Work.of(plan).targets,
        margin=margin(plan.network),
    )
    sampler = draw(share=team.share(plan.batch))
    validator = Validator(model, plan, draw(augment=False), prepared.val)
    if options.log == "tensorboard" and team.is_first:
        from reunet.flows.train.tensorboard import TensorBoard

        setting = setting.with_callback(TensorBoard(run, plan, validator))
    training = Training(
        setting, team.spread(as_trained(model, plan, setting.functions), plan), sampler, validator
    )
    trained = training.resumed() if options.resume else training.fresh()
    team.leave()
    if team.is_first:
        load_weights(model, plan, run.verified_weights(plan))
        finish(setting, prepared, validator, trained, options.lang)
    return trained
