"""Scores of the GlaS challenge: Sirinukunwattana et al. 2017, Med. Image Anal. 35:489."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from reunet.metrics.object_overlap import ObjectOverlap


def detection_counts(overlap: ObjectOverlap) -> NDArray[np.int64]:
    """True positives, false positives and false negatives for the F1 score: (3,), may be added over images.

    A predicted object is right when it covers more than half of the true object that it shares most pixels
    with (exactly half is not enough in the challenge's program, so that no true object is found twice).
    """
    pair = overlap.best(1, overlap.shared)
    pair = pair[pair >= 0]
    hits = int((2 * overlap.shared[pair] > overlap.pair_areas[0][pair]).sum())
    return np.array([hits, len(overlap.predicted_ids) - hits, len(overlap.true_ids) - hits], np.int64)


def object_f1(counts: np.ndarray) -> float:
    """F1 of `detection_counts`, nan without any object."""
    hits, false, missed = counts
    total = 2 * hits + false + missed
    return float(2 * hits / total) if total else float("nan")


def object_dice(overlap: ObjectOverlap) -> float:
    """Object-level Dice: the mean over both sides of the area-weighted Dice of each object.

    Each object is compared with the one of the other map that it shares most pixels with, and has 0 when
    there is none. nan without any object, 0 when one map is empty.
    """
    if not len(overlap.true_ids) + len(overlap.predicted_ids):
        return float("nan")
    sides = []
    for side, areas in enumerate((overlap.true_areas, overlap.predicted_areas)):
        pair = overlap.best(side, overlap.shared)
        score = np.where(pair >= 0, overlap.dice[pair], 0.0) if len(overlap.pairs) else np.zeros(len(pair))
        sides.append((areas * score).sum() / max(areas.sum(), 1))
    return float(sum(sides) / 2)


def object_hausdorff(
    truth: np.ndarray, prediction: np.ndarray, overlap: ObjectOverlap, known: np.ndarray | None = None
) -> float:
    """Object-level Hausdorff distance in pixels: as `object_dice`, with the distance for the score.

    An object that shares no pixel with another is compared with the nearest one, by the same distance.
    truth, prediction, known: what `overlap` was computed from. nan unless both maps have an object.
    """
    n, m = len(overlap.true_ids), len(overlap.predicted_ids)
    if not n or not m:
        return float("nan")
    if known is not None:
        truth, prediction = np.where(known, truth, 0), np.where(known, prediction, 0)
    objects = [_coordinates(truth), _coordinates(prediction)]

    @cache
    def distance(i: int, j: int) -> float:
        return hausdorff(objects[0][i], objects[1][j])

    sides = []
    for side, areas in enumerate((overlap.true_areas, overlap.predicted_areas)):
        total = 0.0
        for i, pair in enumerate(overlap.best(side, overlap.shared)):
            if pair >= 0:
                nearest = distance(*map(int, overlap.pairs[pair]))
            elif side == 0:
                nearest = min(distance(i, j) for j in range(m))
            else:
                nearest = min(distance(j, i) for j in range(n))
            total += areas[i] * nearest
        sides.append(total / areas.sum())
    return float(sum(sides) / 2)


def hausdorff(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance of a point of one set from the nearest one of the other; (n, axes) and (m, axes)."""
    from scipy.spatial import KDTree

    return float(max(KDTree(b).query(a)[0].max(), KDTree(a).query(b)[0].max()))


def _coordinates(instances: np.ndarray) -> list[NDArray[np.intp]]:
    """The pixels (n, axes) of each object, in ascending order of ids."""
    where = np.argwhere(instances)
    ids = instances[instances != 0]
    order = np.argsort(ids, kind="stable")
    _, sizes = np.unique(ids, return_counts=True)
    return np.split(where[order], np.cumsum(sizes)[:-1])
