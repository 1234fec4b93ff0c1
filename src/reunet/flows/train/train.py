"""`reunet train`: from a folder of images and masks to a run folder."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from reunet.backend import Backend, choose_backend, use_backend
from reunet.contracts.options.records import TrainOptions
from reunet.contracts.options.verb import verb
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.results import TrainResult
from reunet.contracts.run import RunFolder
from reunet.datasets.splits import Splits
from reunet.devices import Device, able_backend, check_seen, choose_device, use_of
from reunet.errors import UsageError, counted
from reunet.flows.plan import check_wishes
from reunet.flows.prepare import Prepared, prepare
from reunet.flows.train.checks import (
    check_init,
    check_plan_fits,
    check_same_data,
    check_team,
    refuse_occupied,
)
from reunet.flows.train.planned import (
    agreed_backend,
    encoder_weights,
    new_plan,
    settled_plan,
    with_functions,
)
from reunet.flows.train.training import begin_folder, made_network, trained
from reunet.machine import cores, gpu
from reunet.progress import NullProgress
from reunet.storage import folder_lock
from reunet.training.functions import Functions
from reunet.training.setting import Setting
from reunet.training.team import ALONE, Team

if TYPE_CHECKING:
    import keras


@verb(TrainOptions)
def train(options: TrainOptions) -> TrainResult:
    """Train a U-Net on a dataset and write the run folder `output`.

    The dataset is a folder, or `images` and `masks`. A `plan` is followed instead of planning. With `init`
    the network of that run is used and its weights are the start; its class list may differ, and a `preset`
    with memory beside the path adds that memory. `freeze` keeps the encoder of `init`, or a pretrained one,
    as it is; `encoder_weights` are `imagenet`, from the extra `photo` or downloaded once by Keras, the file
    of such weights, or `none` for fresh ones. `resume` goes on with the training in `output`, exactly where
    its last checkpoint was. Minutes count from `started`
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
    run, settled = RunFolder(options.run), settled_plan(options)
    if options.several or (options.resume and run.trainings_file.is_file()):
        from reunet.flows.folds.train import train_several

        return train_several(options, started)
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
            weights = encoder_weights(options, settled.network.encoder if settled else options.encoder)
            prepared = prepare(
                options.data, options, progress, seed=seed, before=_splits_before(options), plan=settled
            )
            for line in counted((one.file, one.message) for one in prepared.warnings):
                progress.message(f"warning: {line}")
            made = settled or new_plan(prepared.fingerprint, options, chosen, device)
            plan, functions = with_functions(made, functions, options)
            check_plan_fits(plan, prepared)
            weights = weights or encoder_weights(options, plan.network.encoder)
            team.share(plan.batch)
            threads = cores() if options.workers is None else options.workers
            setting = Setting(plan, run, progress, started, threads, team, functions)
            model = made_network(setting, resume=options.resume, init=options.init, weights=weights)
            if options.resume:
                check_same_data(run, prepared)
            elif team.is_first:
                begin_folder(run, plan, prepared, device)
            if team.is_first:
                team.agree([0])
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
    wanted = agreed_backend(options.backend or ("jax" if address else None), settled)
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


def _splits_before(options: TrainOptions) -> Splits | None:
    """Those of the training that this one goes on from, so that what was held out there stays so."""
    if not options.resume and options.init is None:
        return None
    run = RunFolder(options.run) if options.init is None else run_at(options.init)
    return Splits.read(run.splits_file) if run.splits_file.is_file() else None


def _train_and_finish(
    setting: Setting, model: keras.Model, prepared: Prepared, options: TrainOptions
) -> TrainResult:
    """Train; the first process finishes the folder."""
    from reunet.flows.train.finish import finish
    from reunet.training.state import load_weights

    result, validator = trained(setting, model, prepared, resume=options.resume, log=options.log)
    if setting.team.is_first:
        load_weights(model, setting.plan, setting.run.verified_weights(setting.plan))
        finish(setting, prepared, validator, result, options.lang)
    return result
