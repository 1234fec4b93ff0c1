"""Whether a network begins with what another one has learned from photographs."""

from dataclasses import replace

from reunet.contracts.fingerprint import Fingerprint
from reunet.errors import installing
from reunet.networks.photo import PHOTO_ENCODER, photo_weights
from reunet.planning.decision import Decision
from reunet.planning.request import PlanRequest

COLOURS = 3
WON = frozenset({"semantic", "detection"})
"""Tasks for which it was compared with a network that begins fresh on colour images, and won."""

WON_ON_PHOTOGRAPHS = WON | {"instances", "classification"}
"""The same on images of many hues; on stained tissue and grey nuclei it did not win these."""

LONG = 60.0
"""Minutes beyond which it was not compared with a network that begins fresh."""


def choose_encoder(
    fingerprint: Fingerprint, tasks: tuple[str, ...], request: PlanRequest
) -> Decision[PlanRequest]:
    """The request with its encoder settled: a name, or None for that of the preset.

    A pretrained one is chosen in trainings of minutes, for classes of pixels and boxes in colour images and
    for single objects and classes of images in photographs: on road scenes it was far ahead of one that began
    fresh in the same time (docs/benchmarks.md), on vessels not behind.
    """
    if request.encoder != "auto":
        return Decision(replace(request, encoder=None if request.encoder == "none" else request.encoder))
    settled = replace(request, encoder=None)
    minutes = request.minutes
    fits = fingerprint.rank == 2 and fingerprint.channels == COLOURS
    free = request.preset == "auto" and request.network is None and request.prompt is None
    won = WON_ON_PHOTOGRAPHS if fingerprint.has_many_hues else WON
    if not (fits and free and won.issuperset(tasks) and minutes is not None and minutes <= LONG):
        return Decision(settled)
    if photo_weights() is None:
        why = "begins fresh; one that has seen a million photographs learns colour images in less time: "
        why += installing("photo")
        return Decision(settled, {"network.encoder": why})
    why = (
        "colour images, and minutes: it has seen a million photographs, and was ahead of a network that "
        "begins fresh in the same time; --encoder none begins fresh"
    )
    return Decision(replace(request, encoder=PHOTO_ENCODER), {"network.encoder": why})
