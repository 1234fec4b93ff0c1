"""The Aggregated Jaccard Index."""

from __future__ import annotations

import numpy as np

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
