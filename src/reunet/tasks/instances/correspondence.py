"""Which object of a frame is which of the frames before: cost, assignment, divisions, expected motion.

Linear assignment of neighbouring frames with gaps and divisions, after Jaqaman et al. 2008, "Robust
single-particle tracking in live-cell time-lapse sequences". Here the overlap of the moved outlines joins
distance and size in the cost, and a division must explain size and place of both daughters.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

NEIGHBOURS = 8  # objects considered for one track, the nearest ones to where it is expected
MEMORY = 0.5  # share of a track's velocity that comes from the frames before the last
LEAVING = 0.35  # diameters between the border and the centroid of what is taken to leave the view
# Two objects are daughters of one when ...
BALANCE = 0.5  # ... the smaller one has at least this share of the size of the other,
GROWTH = 1.7  # ... together they are at most this many times larger or smaller than the parent,
SHRINK = 0.85  # ... neither is larger than this share of the parent,
OFFSET = 0.4  # ... their common centroid is within this many diameters of where the parent is expected,
APART = 1.5  # ... they are at most this many diameters of the parent apart,
SWOLLEN = 1.4  # ... and the parent is not this many times as large as in the frame before.


@dataclass(frozen=True)
class Sightings:
    """What is known of the n objects of a frame, or of n tracks at their last sight."""

    flat: np.ndarray  # (p,) all their pixels, as indices into the flattened map
    owner: np.ndarray  # (p,) the object each pixel belongs to, 0..n-1
    count: np.ndarray  # (n,) pixels
    place: np.ndarray  # (n, axes) centroids, in units of the spacing
    diameter: np.ndarray  # (n,) of the disc or ball of equal size, in units of the spacing


@dataclass(frozen=True)
class Alive:
    """Tracks that may go on. The first rows are the objects of the last frame, in their order."""

    last: Sightings
    track: np.ndarray  # (n,) row in the table of tracks
    seen: np.ndarray  # (n,) frame of the last sight
    velocity: np.ndarray  # (n, axes) per frame
    young: np.ndarray  # (n,) bool: seen once only, so that its velocity is a guess
    swollen: np.ndarray  # (n,) bool: much larger than at the sight before, likely two seen as one


def measure(frame: np.ndarray, spacing: np.ndarray) -> Sightings:
    """Sightings of an instance map, (*space) integers with 0 for background, in the order of their ids."""
    flat = np.flatnonzero(frame)
    ids, owner = np.unique(frame.ravel()[flat], return_inverse=True)
    n, axes = len(ids), frame.ndim
    count = np.bincount(owner, minlength=n)
    at = np.unravel_index(flat, frame.shape)
    place = np.stack([np.bincount(owner, axis, n) / count for axis in at], axis=1) * spacing
    ball = np.pi if axes == 2 else 4 / 3 * np.pi
    return Sightings(flat, owner, count, place, 2 * (count * spacing.prod() / ball) ** (1 / axes))


def nobody(axes: int) -> Alive:
    """No tracks yet."""
    none = np.zeros(0, np.int64)
    places = np.zeros((0, axes))
    no = np.zeros(0, bool)
    return Alive(Sightings(none, none, none, places, np.zeros(0)), none, none, places, no, no)


@dataclass(frozen=True)
class Candidates:
    """Pairs of a track and an object that may be the same."""

    rows: np.ndarray  # (k,) tracks
    columns: np.ndarray  # (k,) objects
    cost: np.ndarray  # (k,) 0..1, where leaving a track without an object costs 1
    covered: np.ndarray  # (n,) share 0..1 of each track's pixels in view on which some object lies


def find_candidates(
    alive: Alive, objects: Sightings, t: int, shape: tuple[int, ...], spacing: np.ndarray, reach: float
) -> Candidates:
    """Sightings near where each track is expected in frame t, a map of that shape.

    With d the distance in units of the gate, r the ratio of sizes below 1 and IoU that of the object and
    the moved track, the cost is 1 - (IoU + (1 - d^2) sqrt(r)) / 2. The gate widens with the square root
    of the frames since the track was seen, and a link over a gap is worth that much less.
    """
    from scipy.spatial import cKDTree

    wait = np.sqrt(t - alive.seen)
    overlap, visible = _overlap(alive, objects, t, shape, spacing)
    n, m = len(alive.track), len(objects.count)
    covered = np.asarray(overlap.sum(axis=1)).ravel() / np.maximum(visible, 1)
    if not n or not m:
        return Candidates(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), covered)
    near = list(range(1, min(NEIGHBOURS, m) + 1))
    distance, columns = cKDTree(objects.place).query(expected(alive, t), near)
    d = distance / (reach * alive.last.diameter * wait)[:, None]
    rows = np.broadcast_to(np.arange(n)[:, None], d.shape)[d < 1]
    columns, d = columns[d < 1], d[d < 1]
    common = np.asarray(overlap[rows, columns]).ravel()
    iou = common / (visible[rows] + objects.count[columns] - common)
    sizes = np.stack([alive.last.count[rows], objects.count[columns]])
    likeness = (iou + (1 - d**2) * np.sqrt(sizes.min(0) / sizes.max(0))) / 2
    return Candidates(rows, columns, 1 - likeness / wait[rows], covered)


def expected(alive: Alive, t: int) -> np.ndarray:
    """(n, axes) centroids of the tracks in frame t at constant velocity, in units of the spacing."""
    return alive.last.place + alive.velocity * (t - alive.seen)[:, None]


def in_view(alive: Alive, t: int, shape: tuple[int, ...], spacing: np.ndarray) -> np.ndarray:
    """(n,) bool: tracks that should still be seen in frame t, since they are expected clear of the border.

    A disc cut by the border has its centroid less than half its diameter from it; below LEAVING most of it
    is outside. An axis shorter than two diameters has no border: stacks are often as thin as a cell.
    """
    sides = np.array(shape) * spacing
    diameter = alive.last.diameter[:, None]
    at = expected(alive, t)
    margin = np.minimum(at, sides - spacing - at)
    return np.all((margin >= LEAVING * diameter) | (sides < 2 * diameter), axis=1)


def _overlap(
    alive: Alive, objects: Sightings, t: int, shape: tuple[int, ...], spacing: np.ndarray
) -> tuple[Any, np.ndarray]:
    """Sparse (n, m) common pixels of the moved tracks and the objects; (n,) pixels that stay in view."""
    from scipy.sparse import csr_array

    last = alive.last
    step = np.rint(alive.velocity * (t - alive.seen)[:, None] / spacing).astype(np.int64)
    at = [axis + step[last.owner, i] for i, axis in enumerate(np.unravel_index(last.flat, shape))]
    view = np.logical_and.reduce([(a >= 0) & (a < n) for a, n in zip(at, shape, strict=True)])
    owner = last.owner[view]
    hit = np.zeros(int(np.prod(shape)), np.int32)
    hit[objects.flat] = objects.owner + 1
    target = hit[np.ravel_multi_index([a[view] for a in at], shape)]
    n, m = len(last.count), len(objects.count)
    pair = owner[target > 0] * m + target[target > 0] - 1
    pairs, common = np.unique(pair, return_counts=True)
    return csr_array((common, (pairs // max(m, 1), pairs % max(m, 1))), shape=(n, m)), np.bincount(
        owner, minlength=n
    )


def assign(rows: np.ndarray, columns: np.ndarray, cost: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(shape[0],) the column of each row at the lowest sum, -1 for none, which costs 1.

    Exact, and sparse: every row has a column of its own besides those of the pairs, so that all rows can
    be assigned (Jonker and Volgenant 1987, as in SciPy).
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    n, m = shape
    if not n:
        return np.zeros(0, np.int64)
    own = np.arange(n)
    # The sparse solver takes no explicit zeros: all costs are raised alike.
    values = np.concatenate([cost, np.ones(n)]) + 1e-3
    places = np.concatenate([rows, own]), np.concatenate([columns, m + own])
    _, chosen = min_weight_full_bipartite_matching(csr_array((values, places), shape=(n, m + n)))
    return np.where(chosen < m, chosen, -1)


def find_divisions(alive: Alive, objects: Sightings, match: np.ndarray, t: int) -> list[tuple[int, int]]:
    """Tracks that divided, and the second daughter of each; the first is the object that it matched."""
    from scipy.spatial import cKDTree

    free = np.setdiff1d(np.arange(len(objects.count)), match)
    linked = np.flatnonzero(match >= 0)
    if not len(free) or not len(linked):
        return []
    at = expected(alive, t)
    near = list(range(1, min(NEIGHBOURS, len(linked)) + 1))
    _, nearest = cKDTree(at[linked]).query(objects.place[free], near)
    other = np.repeat(free, len(near))
    parent = linked[nearest.ravel()]
    first = match[parent]
    a, b, whole = objects.count[first], objects.count[other], alive.last.count[parent]
    middle = (a[:, None] * objects.place[first] + b[:, None] * objects.place[other]) / (a + b)[:, None]
    offset = np.linalg.norm(middle - at[parent], axis=1) / alive.last.diameter[parent]
    apart = np.linalg.norm(objects.place[first] - objects.place[other], axis=1) / alive.last.diameter[parent]
    growth = np.abs(np.log((a + b) / whole))
    good = (
        (np.minimum(a, b) >= BALANCE * np.maximum(a, b))
        & (np.maximum(a, b) <= SHRINK * whole)
        & (growth <= np.log(GROWTH))
        & (offset <= OFFSET)
        & (apart <= APART)
        & ~alive.swollen[parent]
    )
    cost = (offset / OFFSET + growth / np.log(GROWTH)) / 2
    chosen = assign(parent[good], other[good], 0.99 * cost[good], (len(alive.track), len(objects.count)))
    return [(int(row), int(chosen[row])) for row in np.flatnonzero(chosen >= 0)]


def go_on(
    alive: Alive, objects: Sightings, track: np.ndarray, source: np.ndarray, lost: np.ndarray, t: int
) -> Alive:
    """The tracks after frame t: its objects, then those of `lost` rows.

    track: (m,) of each object. source: (m,) the row each object continues, -1 for none.
    A velocity is smoothed over time; that of a young track is the median around it.
    """
    known = np.flatnonzero(source >= 0)
    rows = source[known]
    motion = np.zeros_like(objects.place)
    motion[known] = (objects.place[known] - alive.last.place[rows]) / (t - alive.seen[rows])[:, None]
    young = np.ones(len(track), bool)
    young[known] = False
    swollen = np.zeros(len(track), bool)
    swollen[known] = objects.count[known] > SWOLLEN * alive.last.count[rows]
    guess = source < 0
    guess[known] = alive.young[rows]
    velocity = motion.copy()
    velocity[known] = MEMORY * alive.velocity[rows] + (1 - MEMORY) * motion[known]
    velocity[guess] = _median_around(objects.place[guess], objects.place[known], motion[known])
    old = alive.last
    pixels = lost[old.owner]
    renumbered = np.cumsum(lost) - 1 + len(track)
    join = np.concatenate
    last = Sightings(
        join([objects.flat, old.flat[pixels]]),
        join([objects.owner, renumbered[old.owner[pixels]]]),
        join([objects.count, old.count[lost]]),
        join([objects.place, old.place[lost]]),
        join([objects.diameter, old.diameter[lost]]),
    )
    return Alive(
        last,
        join([track, alive.track[lost]]),
        join([np.full(len(track), t), alive.seen[lost]]),
        join([velocity, alive.velocity[lost]]),
        join([young, alive.young[lost]]),
        join([swollen, alive.swollen[lost]]),
    )


def _median_around(at: np.ndarray, places: np.ndarray, motion: np.ndarray, neighbours: int = 5) -> np.ndarray:
    """(n, axes) median motion of the nearest places to each point; 0 where nothing is known."""
    from scipy.spatial import cKDTree

    if not len(places) or not len(at):
        return np.zeros_like(at)
    _, nearest = cKDTree(places).query(at, list(range(1, min(neighbours, len(places)) + 1)))
    return np.median(motion[nearest], axis=1)
