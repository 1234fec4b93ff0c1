"""How every training begins, alone, in folds or in a race: the device, the data, the plan, the folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reunet.backend import Backend, choose_backend, use_backend
from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.network import ENCODER_WISHES, OWN_ENCODERS, NetworkConfig
from reunet.contracts.options.records import TrainOptions
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.datasets.splits import Splits
from reunet.devices import Device, able_backend, check_seen, choose_device, use_of
from reunet.errors import UsageError, counted
from reunet.flows.plan import check_wishes
from reunet.flows.prepare import Prepared, prepare
from reunet.flows.train.checks import (
    check_init,
    check_own_network,
    check_plan_fits,
    check_plan_used,
    check_same_data,
    check_team,
    refuse_occupied,
)
from reunet.flows.train.training import begin_folder
from reunet.machine import cores, gpu
from reunet.planning import PlanRequest, make_plan
from reunet.progress import NullProgress, Progress
from reunet.storage import folder_lock
from reunet.training.functions import Functions
from reunet.training.pace import paced
from reunet.training.setting import Setting
from reunet.training.team import ALONE, Team

if TYPE_CHECKING:
    from reunet.networks.pretrained import Weights


@dataclass(frozen=True)
class Beginning:
    """What a command has that trains, before there is a network.

    settled: the plan that is there already, given or of the training that goes on. started:
    `time.monotonic()` of the moment from which the minutes count.
    """

    options: TrainOptions
    settled: Plan | None
    started: float
    team: Team
    backend: Backend
    device: Device
    functions: Functions
    progress: Progress

    @property
    def seed(self) -> int:
        return self.settled.seed if self.settled else self.options.seed

    def read(self, before: Splits | None = None) -> Prepared:
        """The data, whose warnings are told. before: splits that stay. Raises DataError, LabelError."""
        options, settled = self.options, self.settled
        told = prepare(options.data, options, self.progress, seed=self.seed, before=before, plan=settled)
        for line in counted((one.file, one.message) for one in told.warnings):
            self.progress.message(f"warning: {line}")
        return told

    def new_plan(self, fingerprint: Fingerprint, **wishes: Any) -> Plan:
        """What the planner decides. wishes: instead of those of the options. Raises UsageError, PlanError."""
        options, network = self.options, _begun_network(self.options)
        request = replace(PlanRequest.of(options, self.backend, self.device, network), **wishes)
        if options.network is not None and options.encoder == "auto":  # the caller's network has its own
            request = replace(request, encoder="none")
        made = make_plan(fingerprint, paced(request, self.progress))
        settings: dict[str, object] = {"freeze": options.freeze}
        if options.encoder_weights == "none":  # what begins fresh learns like the rest
            settings["schedule"] = made.schedule.model_copy(update={"encoder_rate": 1.0, "encoder_from": 0.0})
        return made.model_copy(update=settings)

    def fitted(self, plan: Plan, prepared: Prepared) -> Plan:
        """A plan that was made for these data, with the names of what Python gave as functions.

        Raises UsageError, PlanError.
        """
        functions = self.functions.fitted(plan)
        check_own_network(self.options, plan)
        if not self.options.resume:
            plan = plan.model_copy(update={"custom": functions.custom})
        check_plan_fits(plan, prepared)
        return plan

    def setting(self, plan: Plan, run: RunFolder, started: float) -> Setting:
        """Of a training in the folder `run`."""
        threads = cores() if self.options.workers is None else self.options.workers
        return Setting(plan, run, self.progress, started, threads, self.team, self.functions.fitted(plan))

    def open_folder(self, plan: Plan, prepared: Prepared) -> None:
        """Write what the run begins with, or see that it goes on with the same data. Raises DataError."""
        run = RunFolder(self.options.run)
        if self.options.resume:
            check_same_data(run, prepared)
        elif self.team.is_first:
            begin_folder(run, plan, prepared, self.device)
        if self.team.is_first:
            self.team.agree([0])


@contextmanager
def begun(options: TrainOptions, settled: Plan | None, started: float) -> Iterator[Beginning]:
    """Inside, the run folder is locked; if nothing was written, it is gone afterwards.

    Raises UsageError, BackendError, PlanError, StorageError, CheckpointError for what cannot begin.
    """
    team, backend, device = _team(options, settled)
    functions, run = Functions.of(options.network, options.loss, options.callbacks), RunFolder(options.run)
    if settled is not None:
        functions.fitted(settled)
    progress = options.on_progress if options.on_progress and team.is_first else NullProgress()
    if device == "cpu" and options.device == "auto" and gpu() is not None:
        progress.message(f"{backend}: {use_of(backend)}")
    check_init(options, progress)
    if team.is_first:
        refuse_occupied(options, run)
    try:
        with folder_lock(run.path) if team.is_first else nullcontext():
            if not team.is_first:
                team.agree([0])  # until the first one has begun the folder
                settled = run.plan()
            yield Beginning(options, settled, started, team, backend, device, functions, progress)
    finally:
        if team.is_first:
            with suppress(OSError):  # a training that could not begin leaves no folder behind
                run.path.rmdir()  # which only takes an empty one


def _team(options: TrainOptions, settled: Plan | None) -> tuple[Team, Backend, Device]:
    """The processes that train together, their backend, on which Keras runs from here on, and the device.

    Raises UsageError for wishes that cannot be fulfilled.
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


def agreed_backend(wanted: str | None, settled: Plan | None) -> str | None:
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


def settled_plan(options: TrainOptions) -> Plan | None:
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


def _begun_network(options: TrainOptions) -> NetworkConfig | None:
    """The network of --init, with the memory of --preset where that is another one. Raises PlanError."""
    if options.init is None:
        return None
    from reunet.networks.controls import with_memory

    network = run_at(options.init).plan().network
    return network if options.preset in ("auto", network.preset) else with_memory(network, options.preset)


def encoder_weights(options: TrainOptions, encoder: str | None) -> Weights | None:
    """What a pretrained encoder begins with; None where nothing is loaded, or it is not chosen yet.

    Raises ModelFileError.
    """
    return None if options.resume or options.init else weights_of(encoder, options.encoder_weights)


def weights_of(encoder: str | None, source: str) -> Weights | None:
    """The same of an encoder by its name. source: as of `--encoder-weights`. Raises ModelFileError."""
    if source == "none" or encoder is None or encoder in ENCODER_WISHES + OWN_ENCODERS:
        return None
    from reunet.networks.pretrained import pretrained_weights

    return pretrained_weights(encoder, source)
