"""Objects found, invented and missed at thresholds of the IoU, and the scores made of these counts."""

import numpy as np
from numpy.typing import NDArray

from reunet.metrics.object_overlap import ObjectOverlap
from reunet.metrics.overlap import Scores, divide

THRESHOLDS = np.arange(10, 20) / 20
"""IoU 0.50, 0.55, ... 0.95, each exactly the nearest float64."""


def match_counts(overlap: ObjectOverlap, thresholds: np.ndarray = THRESHOLDS) -> Scores:
    """Count matched and unmatched objects, as StarDist's matching does.

    At each threshold true and predicted objects are assigned one to one such that as many pairs as possible
    have an IoU of at least the threshold (`assign`); these are the true positives.

    Returns (T, 4) float64: true positives, false positives, false negatives, and the sum of the IoU of the
    true positives. Counts of several images may be added before a score is computed from them.
    """
    rows = []
    for threshold in thresholds:
        matched = assign(overlap, float(threshold))
        hits, total = len(matched), overlap.iou[matched].sum()
        rows.append((hits, len(overlap.predicted_ids) - hits, len(overlap.true_ids) - hits, total))
    return np.array(rows, np.float64).reshape(-1, 4)


def assign(overlap: ObjectOverlap, threshold: float) -> NDArray[np.intp]:
    """The most pairs with an IoU >= threshold such that no object is in two; of equals, the highest IoU sum.

    Returns indices into `overlap.pairs`, ascending. Above 0.5 no object can be in two such pairs, so only few
    are left to the Hungarian assignment, and many objects cost little. Raises ValueError for a threshold
    outside 0..1, without 0.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold is {threshold}, expected 0 < threshold <= 1")
    chosen = np.flatnonzero(overlap.iou >= threshold)
    rivals = np.zeros(len(chosen), bool)
    for ids in overlap.pairs[chosen].T:
        rivals |= np.bincount(ids)[ids] > 1 if ids.size else False
    contested = chosen[rivals]
    return np.sort(np.r_[chosen[~rivals], contested[_hungarian(overlap, contested)]])


def _hungarian(overlap: ObjectOverlap, contested: NDArray[np.intp]) -> NDArray[np.intp]:
    """Which of the contested pairs to keep."""
    if not contested.size:
        return contested
    from scipy.sparse import coo_array, hstack
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    rows, columns = (np.unique(ids, return_inverse=True)[1] for ids in overlap.pairs[contested].T)
    n, m = rows.max() + 1, columns.max() + 1
    # One pair more weighs 1 more than all IoUs can; each true object may stay alone at a weight of 1.
    weights = coo_array((2 + overlap.iou[contested] / (2 * n), (rows, columns)), shape=(n, m))
    alone = coo_array((np.ones(n), (np.arange(n), np.arange(n))), shape=(n, n))
    matched = dict(
        zip(*min_weight_full_bipartite_matching(hstack([weights, alone]).tocsr(), True), strict=True)
    )
    return np.flatnonzero([matched[row] == column for row, column in zip(rows, columns, strict=True)])


def average_precision(counts: np.ndarray) -> Scores:
    """TP / (TP + FP + FN), which the Data Science Bowl 2018 and StarDist call average precision.

    counts: (..., 3) or (..., 4) that begin as those of `match_counts`; returns (...). nan without any object.
    """
    hits, false, missed = np.moveaxis(counts, -1, 0)[:3]
    return divide(hits, hits + false + missed)


def precision(counts: np.ndarray) -> Scores:
    """Share of the predicted objects that are right. Shapes as in `average_precision`; nan if none is."""
    return divide(counts[..., 0], counts[..., 0] + counts[..., 1])


def recall(counts: np.ndarray) -> Scores:
    """Share of the true objects that were found. Shapes as in `average_precision`; nan if there is none."""
    return divide(counts[..., 0], counts[..., 0] + counts[..., 2])


def f1(counts: np.ndarray) -> Scores:
    """2 TP / (2 TP + FP + FN), the recognition quality. Shapes and nan as in `average_precision`."""
    hits, false, missed = np.moveaxis(counts, -1, 0)[:3]
    return divide(2 * hits, 2 * hits + false + missed)


def panoptic_quality(counts: np.ndarray) -> Scores:
    """Sum of the IoU of the true positives / (TP + FP / 2 + FN / 2), of Kirillov et al. 2019, eq. 1.

    That is their mean IoU * `f1`; the paper's is the one at an IoU of 0.5. Shapes and nan as in
    `average_precision`: 0 where nothing was found although there is something.
    """
    hits, false, missed, total = np.moveaxis(counts, -1, 0)
    return divide(total, hits + (false + missed) / 2)
