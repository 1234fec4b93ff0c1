"""Objects as foreground and, at each of their pixels, the direction to go to their centre.

Stringer et al. 2021 (Nature Methods 18:100), Methods: heat spreads from the centre inside the object and is
lost at its edge; the field is the direction of its gradient. It is read by following it. An object in
several pieces becomes several. docs/benchmarks.md compares it with a watershed from boundaries and distances,
and with votes for the centre.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from reunet.contracts.labels import IGNORE
from reunet.contracts.network import HeadSpec
from reunet.slices import Slices
from reunet.tasks.instances.sinks import Instances, boxes, connected_parts, follow, gather, jump

FOREGROUND, FLOWS = "instances", "flows"
"""Names of the heads."""

DOUBLINGS, JUMPS = 5, 4
"""Pixels walk 2 ** 5 steps between pixels, then 2 ** 4 times as far from pixel to pixel: 512 in all."""

CHOICES = tuple(
    {"foreground": foreground, "radius": radius, "votes": votes}
    for foreground in (0.5, 0.4, 0.6)
    for radius, votes in ((3, 30), (3, 10), (1, 1), (5, 10), (9, 30))
)
"""Thresholds of `decode` that are tried on held-out images; the first where there are none."""

DEFAULTS = CHOICES[0]


def heads(rank: int) -> tuple[HeadSpec, ...]:
    """Background and object; the direction to follow per axis."""
    return (
        HeadSpec(name=FOREGROUND, channels=2),
        HeadSpec(name=FLOWS, channels=rank, activation="linear", loss="smooth_l1"),
    )


def targets(objects: np.ndarray, known: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """instances: (*space) uint8 0, 1 or IGNORE. flows: (*space, rank) float32 of length 1, 0 at the centre,
    nan outside of objects, and where the way to the centre is too long for heat to arrive (hundreds of
    pixels). The edge of the patch cuts objects: heat is lost there as well.

    objects: instance map (*space). known: bool, False where nothing is to be learned.
    """
    parts = connected_parts(objects)
    flows = np.full((*parts.shape, parts.ndim), np.nan, np.float32)
    places = np.flatnonzero(parts)
    if len(places):
        flows[parts > 0] = _directions(parts, places)
    foreground = (parts > 0).astype(np.uint8)
    if known is not None:
        foreground[~known], flows[~known] = IGNORE, np.nan
    return {FOREGROUND: foreground, FLOWS: flows}


def _directions(parts: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Directions (n, rank) float32 at the object pixels `places` (n,), flat indices."""
    from scipy import sparse

    sources, extent = [], 1
    numbers = np.full([side + 2 for side in parts.shape], len(places))  # the last entry: outside, always cold
    middle = numbers[(slice(1, -1),) * parts.ndim]
    middle[parts > 0] = np.arange(len(places))
    for number, box in boxes(parts):
        own = parts[box] == number
        coordinates = np.argwhere(own)
        sources.append(middle[box][tuple(centre(coordinates))])
        extent = max(extent, sum(own.shape))
    ids, steps = parts.reshape(-1)[places], np.array(numbers.strides) // numbers.itemsize
    padded = np.flatnonzero(numbers != len(places))
    neighbours = numbers.reshape(-1)[padded[:, None] + np.concatenate([steps, -steps])]  # (n, 2 rank)
    same = np.append(ids, 0)[neighbours] == ids[:, None]
    neighbours[~same] = len(places)

    own = np.arange(len(places))
    rows = np.concatenate([own, np.repeat(own, same.sum(axis=1))])
    columns = np.concatenate([own, neighbours[same]])
    share = np.full(len(rows), 1 / (2 * parts.ndim + 1))
    spread = sparse.csr_array((share, (rows, columns)), shape=(len(places),) * 2)
    heat = np.zeros(len(places))
    for _ in range(extent):  # as many steps as height and width, so that the heat reaches every pixel
        heat[sources] += 1
        heat = spread @ heat
    heat = np.append(heat, 0.0)
    gradient = heat[neighbours[:, : parts.ndim]] - heat[neighbours[:, parts.ndim :]]
    # Far from the centre the heat is as small as numbers can be: its square would be none.
    largest = np.abs(gradient).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # where no heat arrives, no direction is known
        directions = gradient / largest
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[sources] = 0
    return directions.astype(np.float32)


def centre(places: np.ndarray) -> np.ndarray:
    """The one of the places (n, rank) that is nearest to their mean."""
    return places[np.square(places - places.mean(axis=0)).sum(axis=1).argmin()]


def turned(flows: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Directions (..., rank) of a mirrored image whose pixels are back in their places."""
    signs = np.ones(flows.shape[-1], np.float32)
    signs[list(axes)] = -1
    return flows * signs


def decode(maps: Mapping[str, np.ndarray], thresholds: Mapping[str, float]) -> Instances:
    """Objects from the pixels that flow to one place.

    maps: `instances` (*space, 2) probabilities, `flows` (*space, rank). thresholds: `foreground`
    probability; `radius` and `votes` of centres, see `gather`. Returns (*space) int32, 1..n.
    """
    ends = _ends(maps, thresholds["foreground"])
    return gather(ends, round(thresholds["radius"]), thresholds["votes"])


def decode_each(
    maps: Mapping[str, np.ndarray], choices: Iterable[Mapping[str, float]]
) -> Iterator[Instances]:
    """The same for each of several thresholds; pixels are followed once for those of one foreground."""
    followed: dict[float, np.ndarray] = {}
    for some in choices:
        foreground = some["foreground"]
        if foreground not in followed:
            followed[foreground] = _ends(maps, foreground)
        yield gather(followed[foreground].copy(), round(some["radius"]), some["votes"])


def _ends(maps: Mapping[str, np.ndarray], least: float) -> np.ndarray:
    """Where each pixel of the foreground flows to, as of `follow`."""
    foreground = maps[FOREGROUND][..., 1] >= np.float32(least)

    def step(part: Slices) -> np.ndarray:
        flows = np.where(foreground[part][..., None], maps[FLOWS][part], np.float32(0))
        return flows / np.maximum(np.linalg.norm(flows, axis=-1, keepdims=True), 1).astype(np.float32)

    ends = follow(step, foreground, DOUBLINGS)
    for _ in range(JUMPS):
        jump(ends)
    return ends
