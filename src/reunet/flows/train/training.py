"""One training in a run folder: the folder, the network, the loop."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reunet.contracts.facts import EnvironmentFacts
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.results import TrainResult
from reunet.contracts.run import RunFolder
from reunet.contracts.sizes import margin
from reunet.devices import Device
from reunet.flows.prepare import Prepared, as_planned
from reunet.locks import LOCK
from reunet.machine import cores, describe, versions
from reunet.storage import write_json
from reunet.tasks.work import Work
from reunet.training.setting import Setting

if TYPE_CHECKING:
    import keras

    from reunet.networks.pretrained import Weights
    from reunet.training.validation import Validator


def begin_folder(run: RunFolder, plan: Plan, prepared: Prepared, device: Device) -> None:
    """Clear what --overwrite replaces, and write what the run begins with."""
    run.path.mkdir(parents=True, exist_ok=True)
    for entry in run.path.iterdir():
        if entry.name == LOCK:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    write_beginning(run, plan, prepared, device)


def write_beginning(run: RunFolder, plan: Plan, prepared: Prepared, device: Device) -> None:
    """The plan, the data and the machine."""
    plan.write(run.plan_file)
    prepared.fingerprint.write(run.fingerprint_file)
    prepared.splits.write(run.splits_file)
    facts = {"machine": describe(), "device": device, "versions": versions(), "threads": cores()}
    write_json(run.environment_file, facts)


def made_network(
    setting: Setting, *, resume: bool, init: Path | None = None, weights: Weights | None = None
) -> keras.Model:
    """The compiled network. weights: that a pretrained encoder begins with; or those of the run `init`."""
    from reunet.networks.pretrained import load_pretrained
    from reunet.training.carry import network_of
    from reunet.training.compile import compiled_network
    from reunet.training.precision import fix_threads
    from reunet.training.transfer import transfer_weights

    plan, progress = setting.plan, setting.progress
    wanted, environment = cores(), setting.run.environment_file
    if resume and environment.is_file():
        wanted = EnvironmentFacts.read(environment).threads or wanted
    if not fix_threads(wanted):
        progress.message(f"this process does not compute with {wanted} threads: not repeatable bit for bit")
    model = compiled_network(plan, setting.functions)
    if init is not None:
        for note in transfer_weights(network_of(model), plan, run_at(init)):
            progress.message(note)
    elif weights is not None:
        load_pretrained(network_of(model), plan.network, weights)
    return model


def trained(
    setting: Setting, model: keras.Model, prepared: Prepared, *, resume: bool, log: str | None = None
) -> tuple[TrainResult, Validator]:
    """Train from the first step, or on from the latest checkpoint; what scored the held-out cases."""
    from reunet.sampling.patches import PatchSampler
    from reunet.training.compile import as_trained
    from reunet.training.loop import Training
    from reunet.training.validation import Validator

    plan, team = setting.plan, setting.team
    draw = partial(
        PatchSampler,
        as_planned(prepared.train, plan),
        targets=Work.of(plan).targets,
        margin=margin(plan.network),
    )
    validator = Validator(model, plan, draw(plan, augment=False), prepared.val)
    if log == "tensorboard" and team.is_first:
        from reunet.flows.train.tensorboard import TensorBoard

        setting = setting.with_callback(TensorBoard(setting.run, plan, validator))
    learning = team.spread(as_trained(model, plan, setting.functions), plan)
    training = Training(setting, learning, lambda cut: draw(cut, share=team.share(cut.batch)), validator)
    result = training.resumed() if resume else training.fresh()
    team.leave()
    return result, validator
