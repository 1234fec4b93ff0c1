"""Scores of the GlaS challenge: Sirinukunwattana et al. 2017, Med. Image Anal. 35:489."""

from __future__ import annotations

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
