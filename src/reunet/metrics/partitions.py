"""Regions that a boundary separates, and how well two partitions of an image agree."""

import numpy as np
from numpy.typing import NDArray

Regions = NDArray[np.int32]


def components(inside: np.ndarray) -> Regions:
    """Connected components of a bool image or volume, 1..n, 0 elsewhere; int32 of the same shape.

    Connected along the axes alone (4-connected in an image), so that a boundary that touches itself only at
    corners still separates.
    """
    from scipy import ndimage

    return np.asarray(ndimage.label(inside)[0], np.int32)


def regions_from_boundary(boundary_probability: np.ndarray, threshold: float) -> Regions:
    """Partition an image along its boundaries.

    The components of `boundary_probability < threshold` are the seeds; a watershed on the
    probability then gives each remaining pixel to one of them.

    boundary_probability: (*space) float32 in 0..1. Returns (*space) int32, 1..n; all 1 without a seed.
    """
    from skimage.segmentation import watershed

    seeds = components(boundary_probability < threshold)
    if not seeds.any():
        return np.ones_like(seeds)
    return np.asarray(watershed(boundary_probability, seeds), np.int32)


def rand_scores(truth_regions: np.ndarray, predicted_regions: np.ndarray) -> tuple[float, float]:
    """V_rand and V_info of Arganda-Carreras et al. 2015 (Front. Neuroanat. 9:142) with alpha = 0.5.

    Only pixels inside a true region (truth > 0) count; 1 is perfect.
    With p_ij the number of pixels of true region i and predicted region j, a_i and b_j their sums,

        V_rand = sum_ij p_ij (p_ij - 1) / (sum_i a_i (a_i - 1) / 2 + sum_j b_j (b_j - 1) / 2),

    that is 1 - the adapted Rand error, pairs counted without replacement as scikit-image does; and
    V_info = I(i; j) / (H(i) / 2 + H(j) / 2), the mutual information over the mean entropy.

    Both arrays: integers >= 0 of one shape. nan where undefined: without pairs, or for V_info when both
    partitions are one region.
    """
    inside = truth_regions > 0
    true, predicted = truth_regions[inside].astype(np.int64), predicted_regions[inside].astype(np.int64)
    if true.size < 2:
        return float("nan"), float("nan")
    p = _sizes(true * (int(predicted.max()) + 1) + predicted)
    a, b = _sizes(true), _sizes(predicted)

    same = (a @ a + b @ b) / 2 - true.size
    v_rand = float((p @ p - true.size) / same) if same > 0 else float("nan")
    mean_entropy = (_entropy(a) + _entropy(b)) / 2
    information = 2 * mean_entropy - _entropy(p)
    v_info = float(information / mean_entropy) if mean_entropy > 0 else float("nan")
    return v_rand, v_info


def _sizes(ids: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.unique(ids, return_counts=True)[1].astype(np.float64)


def _entropy(counts: NDArray[np.float64]) -> float:
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum())
