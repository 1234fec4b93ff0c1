"""Which outlines meet themselves or cross each other, so that their inside is no plain question."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]
"""(n, 2) x, y; the last point is joined to the first."""

_CHUNK = 1 << 18
_MOST_PAIRS = 1 << 24
"""Pairs of edges that are compared: more than any drawn outline has near each other."""


def ring_groups(rings: Sequence[Ring]) -> list[tuple[list[int], bool]]:
    """The rings by number, in groups that cross each other, and whether a group is entangled.

    A ring alone is entangled where it meets itself, which no simple polygon does. Two rings belong together
    where their edges cross, or where they are equal; to touch is not enough.
    """
    pairs = _crossing(rings)
    group = list(range(len(rings)))
    for one, other in pairs:
        merged = {group[one], group[other]}
        group = [min(merged) if number in merged else number for number in group]
    alone = {one for one, other in pairs if one == other}
    members = {number: [i for i, its in enumerate(group) if its == number] for number in group}
    return [(some, len(some) > 1 or not alone.isdisjoint(some)) for some in members.values()]


def _crossing(rings: Sequence[Ring]) -> set[tuple[int, int]]:
    """Pairs of rings that cross each other or are equal; a ring that meets itself is a pair with itself."""
    found = {(i, j) for j, ring in enumerate(rings) for i in range(j) if np.array_equal(rings[i], ring)}
    kept = [ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)] for ring in rings]  # edges have a length
    start, end = np.concatenate(kept), np.concatenate([np.roll(ring, -1, axis=0) for ring in kept])
    owner = np.repeat(np.arange(len(kept)), [len(ring) for ring in kept])
    for i, j in _near(start, end):
        u, v, between = end[i] - start[i], end[j] - start[j], start[j] - start[i]
        first = _cross(u, between) * _cross(u, between + v)  # below 0: the ends of j lie to both sides of i
        second = _cross(v, between) * _cross(v, between - u)
        follows = (end[i] == start[j]).all(axis=1) | (end[j] == start[i]).all(axis=1)
        goes_back = (_cross(u, v) == 0) & ((u * v).sum(axis=1) < 0)
        meets = (first <= 0) & (second <= 0) & (goes_back | ~follows)
        hit = np.where(owner[i] == owner[j], meets, (first < 0) & (second < 0))
        ends = np.sort(np.stack([owner[i[hit]], owner[j[hit]]], axis=1), axis=1)
        found |= {(one, other) for one, other in np.unique(ends, axis=0).tolist()}
    return found


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.asarray(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def _near(start: np.ndarray, end: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of edges whose upright boxes meet, in parts."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    orders = [np.argsort(low[:, axis]) for axis in (0, 1)]
    counts = [
        np.searchsorted(low[order, axis], high[order, axis], side="right") - np.arange(1, len(low) + 1)
        for axis, order in enumerate(orders)
    ]
    axis = int(counts[1].sum() < counts[0].sum())
    order, count, other = orders[axis], counts[axis], 1 - axis
    total, begin = np.cumsum(count), 0
    while begin < len(order) and total[begin] - count[begin] < _MOST_PAIRS:
        stop = max(begin + 1, int(np.searchsorted(total, total[begin] - count[begin] + _CHUNK)))
        some = count[begin:stop]
        first = np.repeat(np.arange(begin, stop), some)
        second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(some) - some, some)
        i, j = order[first], order[second]
        near = (low[i, other] <= high[j, other]) & (low[j, other] <= high[i, other])
        yield i[near], j[near]
        begin = stop
