"""Scores of objects as challenges of histology define them: AJI of nuclei, and those of glands (GlaS)."""

import numpy as np
from numpy.typing import NDArray

from reunet.metrics.object_overlap import ObjectOverlap


def aggregated_jaccard(overlap: ObjectOverlap) -> float:
    """AJI of Kumar et al. 2017 (IEEE Trans. Med. Imaging 36:1550), algorithm 1.

    Each true object takes the predicted one with the highest IoU, which others may take too. AJI is the sum
    of the intersections over the sum of the unions, to which true objects without a partner and predicted
    ones that nobody took add their areas. nan without any object.
    """
    pair = overlap.best(0, overlap.iou)
    pair = pair[pair >= 0]
    true, predicted = overlap.pair_areas
    taken = np.unique(overlap.pairs[pair, 1])
    shared = overlap.shared[pair].sum()
    alone = overlap.true_areas.sum() - true[pair].sum()
    unused = overlap.predicted_areas.sum() - overlap.predicted_areas[taken].sum()
    union = (true + predicted - overlap.shared)[pair].sum() + alone + unused
    return float(shared / union) if union else float("nan")


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
