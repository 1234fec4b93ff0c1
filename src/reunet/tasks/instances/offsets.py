"""Objects as foreground and offsets to their centre; read by letting each pixel vote for a centre.

As Neven et al. 2019 (arXiv 1906.11109) with plain regression, and Panoptic-DeepLab (arXiv 1911.10194). An
object in several pieces stays one.
"""

from __future__ import annotations

import numpy as np

from reunet.contracts.network import HeadSpec
from reunet.tasks.instances.parts import boxes
from reunet.tasks.instances.representation import Instances, Maps, Thresholds, hide_unknown
from reunet.tasks.instances.sinks import follow, gather

UNIT = 16.0
"""Pixels that an offset of 1 stands for: about the radius of an object, so that targets are about 1."""

GRID = {"foreground": (0.5, 0.4, 0.6), "radius": (1, 3, 5, 9), "votes": (1, 10, 30)}

LOSSES = {"instances": "segmentation", "offsets": "l1"}


def heads(rank: int) -> tuple[HeadSpec, ...]:
    """Background and object; the offset to the centre per axis."""
    return (
        HeadSpec(name="instances", channels=2),
        HeadSpec(name="offsets", channels=rank, activation="linear"),
    )


def targets(objects: np.ndarray, known: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """instances: (*space) uint8 0, 1 or IGNORE. offsets: (*space, rank) float32 in UNIT pixels, nan outside
    of objects. The centre is the object's own pixel nearest to the mean of those seen.
    """
    offsets = np.full((*objects.shape, objects.ndim), np.nan, np.float32)
    for number, box in boxes(objects):
        own = objects[box] == number
        places = np.argwhere(own)
        offsets[box][own] = (centre(places) - places) / UNIT
    return hide_unknown({"instances": (objects > 0).astype(np.uint8), "offsets": offsets}, known)


def centre(places: np.ndarray) -> np.ndarray:
    """The one of the places (n, rank) that is nearest to their mean."""
    return places[np.square(places - places.mean(axis=0)).sum(axis=1).argmin()]


def decode(maps: Maps, thresholds: Thresholds) -> Instances:
    """Objects from votes for their centres.

    maps: `instances` (*space, 2) probabilities, `offsets` (*space, rank). thresholds: `foreground`
    probability; `radius` and `votes` of centres, see `gather`. Returns (*space) int32, 1..n.
    """
    foreground = maps["instances"][..., 1] >= np.float32(thresholds["foreground"])
    ends = follow(lambda part: maps["offsets"][part] * np.float32(UNIT), foreground, 0)
    return gather(ends, round(thresholds["radius"]), thresholds["votes"])
