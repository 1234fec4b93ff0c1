"""The rules in their order: from a fingerprint and the user's wishes to a plan, with a why for everything."""

from typing import Any

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.labels import Classes
from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import Inference, Plan, Precision, Schedule, ThinkingSpec
from reunet.contracts.sizes import valid_frames, valid_size
from reunet.machine import gpu, has_cpu_bfloat16
from reunet.planning.augmentation import choose_augmentation
from reunet.planning.balance import choose_corrected, choose_loss, choose_sampling
from reunet.planning.decision import Decision
from reunet.planning.encoder import choose_encoder
from reunet.planning.inputs import choose_input
from reunet.planning.memory import choose_memory
from reunet.planning.patch import choose_patch, choose_whole
from reunet.planning.request import PlanRequest
from reunet.planning.resolution import choose_longest, choose_micrometres, choose_spacing
from reunet.planning.sequences import choose_chain, choose_clip
from reunet.planning.topology import choose_strides
from reunet.planning.width import choose_networks, choose_width, pretrained
from reunet.tasks.work import Work, choose_tasks

ENCODER_RATE, ENCODER_FROM = 0.3, 0.45
BFLOAT16_FROM = 8.0
"""Capability of NVIDIA GPUs from which they multiply bfloat16."""
WHY_RATE = "what the encoder learned from photographs is changed slowly, and its statistics are kept"
WHY_LATE = "at rest the encoder makes a step less than half as costly; the way up learns first, and fast"
FEW_MINUTES = 3.0
MEMORY_FROM = 0.65
WHY_MEMORY = (
    "memory joins late: single frames teach in fewer minutes what frames show, and with gains of zero "
    "nothing of that is lost when windows follow"
)
WHY_FIXED = "the encoder stays as it is: in so few minutes the way up learns more from twice as many steps"
WHY_TILE = "the training patch: what the network knows, and what its statistics expect"


def make_plan(fingerprint: Fingerprint, request: PlanRequest) -> Plan:
    """Decide everything a training needs. Raises UsageError and PlanError for wishes that do not fit."""
    tasks = _choose_tasks(fingerprint, request)
    memory = choose_memory(fingerprint, tasks.value, request)
    clip = choose_clip(fingerprint, memory.value)
    encoder = choose_encoder(fingerprint, tasks.value, memory.value)
    request = encoder.value
    heads = Work(tasks.value, Classes(fingerprint.labels, fingerprint.categories)).heads(fingerprint.rank)
    tells_images = all(head.of == "image" for head in heads)
    whole = tells_images and clip.value is None and fingerprint.rank == 2
    spacing = Decision(None) if whole else choose_spacing(fingerprint, tasks.value)
    longest = Decision(None) if whole else choose_longest(fingerprint, spacing.value)
    patch = choose_whole(fingerprint) if whole else choose_patch(fingerprint, spacing.value, clip.value)
    strides = choose_strides(patch.value, spacing.value, pretrained=pretrained(request))
    networks = choose_networks(fingerprint, request, strides.value, heads)
    size, window = valid_size(networks.value[0], patch.value), clip.value
    if window is not None:
        window = window.model_copy(update={"frames": valid_frames(networks.value[0], window.frames)})
    width = choose_width(networks.value, (window.frames, *size) if window else size, request)
    network, batch = width.value
    schedule = choose_schedule(request, network)
    chain = choose_chain(fingerprint, network, window, schedule.value)
    decisions: dict[str, Decision[Any]] = {
        "tasks": tasks,
        "spacing": spacing if longest.value is None else Decision(None),
        "micrometres": choose_micrometres(fingerprint),
        "patch": Decision(size, patch.reasons),
        "clip": Decision(chain.value, {**clip.reasons, **chain.reasons}),
        "network": Decision(
            network, {**strides.reasons, **networks.reasons, **encoder.reasons, **memory.reasons}
        ),
        "thinking": choose_thinking(network, request),
        **choose_prompt(request),
        "batch": Decision(batch, width.reasons),
        "loss": choose_loss(fingerprint, request.loss, spacing.value),
        "input": choose_input(fingerprint, size if whole else None, longest),
        "class_sampling": Decision(()) if whole else choose_sampling(fingerprint),
        "corrected_sampling": choose_corrected(fingerprint),
        "augmentation": choose_augmentation(fingerprint, spacing.value, window, whole=whole),
        "schedule": schedule,
        "inference": Decision(Inference(tile=size), {"inference.tile": WHY_TILE}),
        "precision": choose_precision(request),
    }
    return _plan_of(fingerprint, request, decisions)


def _plan_of(fingerprint: Fingerprint, request: PlanRequest, decisions: dict[str, Decision[Any]]) -> Plan:
    """What was decided, with all reasons, and what needs no decision."""
    plan = {
        "dataset": fingerprint.dataset,
        "labels": fingerprint.labels,
        "categories": fingerprint.categories,
        "backend": request.backend,
        "seed": request.seed,
        "reasons": {name: why for decision in decisions.values() for name, why in decision.reasons.items()},
    }
    return Plan.parse(plan | {name: decision.value for name, decision in decisions.items()}, where="plan")


def _choose_tasks(fingerprint: Fingerprint, request: PlanRequest) -> Decision[tuple[str, ...]]:
    """What is learned, the main task first."""
    if request.prompt is not None and request.task == ("auto",):
        why = "dots ask for one thing, whose pixels are the answer"
        return Decision(choose_tasks(("semantic",), fingerprint.kinds), {"tasks": why})
    tasks = choose_tasks(request.task, fingerprint.kinds)
    if request.task != ("auto",) or len(fingerprint.kinds) < 2:
        return Decision(tasks)
    why = f"the most specific of what is annotated: {', '.join(fingerprint.kinds)}"
    return Decision(tasks, {"tasks": why})


def choose_schedule(request: PlanRequest, network: NetworkConfig) -> Decision[Schedule]:
    """Budget and learning rate, and what joins late."""
    reasons = {"schedule": "AdamW, warm-up, then decay to zero exactly at the end of the budget"}
    settings = {**request.budget, "early_stop": 0, "validations": 10}
    if request.minutes is not None and request.minutes > 60:
        settings |= {"early_stop": 15, "validations": 40}
        reasons["schedule.early_stop"] = "a long training may end once 15 validations bring nothing new"
    if pretrained(request):
        few = request.minutes is not None and request.minutes <= FEW_MINUTES
        settings["encoder_rate"] = 0.0 if few else ENCODER_RATE
        reasons["schedule.encoder_rate"] = WHY_FIXED if few else WHY_RATE
        if not few:
            settings["encoder_from"], reasons["schedule.encoder_from"] = ENCODER_FROM, WHY_LATE
    begins_fresh = request.network is None
    if begins_fresh and network.recurs_beside and network.recurs_over_frames:
        settings["memory_from"], reasons["schedule.memory_from"] = MEMORY_FROM, WHY_MEMORY
    return Decision(Schedule.parse(settings, where="schedule"), reasons)


def choose_thinking(network: NetworkConfig, request: PlanRequest) -> Decision[ThinkingSpec | None]:
    """How a network that thinks is trained."""
    if not network.thinks:
        return Decision(None)
    why = "learned from the last of up to {} iterations: cheap, and any beginning is carried on"
    if request.prompt is None:
        return Decision(ThinkingSpec(), {"thinking": why.format("four")})
    why += "; what one finds asks the next, which learns to go on from there by up to eight pixels"
    return Decision(ThinkingSpec(iterations=3, feedback=True, reach=8), {"thinking": why.format("three")})


def choose_prompt(request: PlanRequest) -> dict[str, Decision[Any]]:
    """What is planned otherwise where the network is asked by points."""
    if request.prompt is None:
        return {}
    why = "patches show things to be asked for: the dots are drawn on one of them, and the mask is that one's"
    return {
        "prompt": Decision(request.prompt, {"prompt": "as asked: the network finds what dots belong to"}),
        "foreground_sampling": Decision(0.9, {"foreground_sampling": why}),
    }


def choose_precision(request: PlanRequest) -> Decision[Precision]:
    """bfloat16 where the device computes it natively and the backend can use it well."""
    precision: Precision = "float32"
    if request.device == "gpu":
        found = gpu()
        if request.backend == "jax" and found is not None and found.capability >= BFLOAT16_FROM:
            precision, why = "bfloat16", f"{found.name} multiplies it natively; weights and sums stay float32"
        else:
            why = "this GPU, or this backend on it, is left with it"
    elif request.backend != "tensorflow":
        why = "with this backend bfloat16 is not faster on a CPU"
    elif has_cpu_bfloat16():
        precision, why = "bfloat16", "this processor multiplies it natively, about 1.3 times as fast"
    else:
        why = "this processor has no bfloat16 instructions"
    return Decision(precision, {"precision": f"{precision}: {why}"})
