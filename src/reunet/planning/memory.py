"""When a frame is not enough, so that a network with memory is proposed: a measured table.

Measured with `benchmarks/frames_enough.py`: what `frames.py` says of films. What memory gains on them was
tried with one seed; `benchmarks/recurrence.py --camera` races it.
"""

from dataclasses import replace

from reunet.contracts.fingerprint import Fingerprint
from reunet.planning.decision import Decision
from reunet.planning.request import PlanRequest

PRESET = "leak_unet"

LIMITS = {"noise": 0.6, "unseen": 0.2, "lost": 0.05}
"""From which on memory is proposed, by the field of `FrameFacts`.

Noise: of recorded videos .01 to .06; of nuclei under a camera that counts 8, 2 and 0.7 photons at full
intensity .32, .65 and .82; with the fewest, memory was ahead of single frames. Unseen: up to .08 in
videos with a frame a second, where what moves far is lost sight of.
"""

TOLD = {
    "noise": "noise between frames is {:.2f} of what they show",
    "unseen": "{:.2f} of the labels change where the image does not",
    "lost": "{:.2f} of the frames are blank, though labels tell of something",
}


def choose_memory(
    fingerprint: Fingerprint, tasks: tuple[str, ...], request: PlanRequest
) -> Decision[PlanRequest]:
    """The request with a preset that has memory, where classes of pixels are learned from frames in time and
    one is not enough.
    """
    facts = fingerprint.frames
    chosen = request.preset != "auto" or request.network is not None or request.prompt is not None
    if facts is None or chosen or request.encoder not in ("auto", "none") or tasks != ("semantic",):
        return Decision(request)
    values = {name: getattr(facts, name) for name in LIMITS}
    told = {name: f"{TOLD[name].format(values[name])} (limit {limit})" for name, limit in LIMITS.items()}
    beyond = [told[name] for name, limit in LIMITS.items() if values[name] >= limit]
    if not beyond:
        return Decision(request, {"clip": f"none, a frame is enough: {'; '.join(told.values())}"})
    why = f"with memory, as a frame is not enough: {'; '.join(beyond)}; --preset unet for frames alone"
    return Decision(replace(request, preset=PRESET), {"network.preset": why})
