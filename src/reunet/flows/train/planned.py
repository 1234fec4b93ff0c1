"""What a training follows: a plan that is there or a new one, and a pretrained start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reunet.backend import Backend
from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.network import ENCODER_WISHES, OWN_ENCODERS, NetworkConfig
from reunet.contracts.options.records import TrainOptions
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.devices import Device
from reunet.errors import UsageError
from reunet.flows.train.checks import check_plan_used
from reunet.planning import PlanRequest, make_plan

if TYPE_CHECKING:
    from reunet.networks.pretrained import Weights


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


def new_plan(
    fingerprint: Fingerprint, options: TrainOptions, backend: Backend, device: Device, **wishes: Any
) -> Plan:
    """What the planner decides. wishes: instead of those of the options. Raises UsageError, PlanError."""
    network = _begun_network(options)
    request = replace(PlanRequest.of(options, backend, device, network), **wishes)
    if options.network is not None and options.encoder == "auto":  # the caller's network has its own
        request = replace(request, encoder="none")
    made = make_plan(fingerprint, request)
    settings: dict[str, object] = {"freeze": options.freeze}
    if options.encoder_weights == "none":  # what begins fresh learns like the rest
        settings["schedule"] = made.schedule.model_copy(update={"encoder_rate": 1.0, "encoder_from": 0.0})
    return made.model_copy(update=settings)


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
