"""The rules for sequences: which networks need them, and how many frames a window has."""

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import ClipSpec, Schedule
from reunet.errors import PlanError, known_name
from reunet.networks.presets import PRESETS
from reunet.planning.decision import Decision
from reunet.planning.request import PlanRequest

CLIP_FRAMES = 4
CHAIN = 4
"""Windows that follow each other, where memory joins late, in sequences of so many frames."""


def needs_sequences(fingerprint: Fingerprint, where: str) -> None:
    """Raise PlanError when no image belongs to a sequence, for a network that sees time."""
    if fingerprint.sequences:
        return
    raise PlanError(
        "this network needs sequences, and the dataset has single images only",
        where=where,
        expected="frames in the order of time or depth",
        received="no sequences.json, no stack, no --sequence",
        fix="name the frames in sequences.json, or say how file names tell sequence and frame, such as "
        '--sequence "{sequence}_{frame}"; or choose another --preset',
    )


def choose_clip(fingerprint: Fingerprint, request: PlanRequest) -> Decision[ClipSpec | None]:
    """For a network that sees time windows of CLIP_FRAMES frames, fewer where most sequences are shorter.

    Raises PlanError where no image belongs to a sequence.
    """
    if _asked_time(request) == "none":
        return Decision(None)
    needs_sequences(fingerprint, f"preset {request.preset}" if request.network is None else "--init")
    usual = sorted(fingerprint.sequences)[len(fingerprint.sequences) // 2]
    frames = min(CLIP_FRAMES, usual)
    what = "slices" if fingerprint.axis == "Z" else "frames"
    why = (
        f"windows of {frames} {what}, from {len(fingerprint.sequences)} sequence(s), usually of {usual}: "
        "long enough to see what moves, short enough that a batch mixes places and times"
    )
    return Decision(ClipSpec(frames=frames, axis=fingerprint.axis or "T"), {"clip": why})


def choose_chain(
    fingerprint: Fingerprint, network: NetworkConfig, clip: ClipSpec | None, schedule: Schedule
) -> Decision[ClipSpec | None]:
    """For memory that joins late, as long chains of windows as CHAIN and most sequences allow."""
    if clip is None or not schedule.memory_from:
        return Decision(clip)
    usual = sorted(fingerprint.sequences)[len(fingerprint.sequences) // 2]
    carry = max(1, min(CHAIN, usual // clip.frames)) if network.causal else 1
    if carry == 1:
        return Decision(clip)
    why = f"once there is memory, windows follow each other in chains that grow to {carry}, and carry it on"
    return Decision(clip.model_copy(update={"carry": carry}), {"clip.carry": why})


def _asked_time(request: PlanRequest) -> str:
    """Whether the network that is asked for sees time, as in `NetworkConfig.time`."""
    if request.network is not None:
        return request.network.time
    if request.preset == "auto":
        return "none"
    return str(PRESETS[known_name(request.preset, PRESETS, where="preset")].fields.get("time", "none"))
