"""Overlap of boxes, and which predicted boxes are right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes


def box_iou(a: np.ndarray, b: np.ndarray) -> NDArray[np.float64]:
    """Intersection over union of boxes (..., 4) with boxes (..., 4) of a shape that broadcasts: (...)."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    common = np.maximum(high - low, 0).prod(axis=-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(axis=-1) for x in (a, b)]
    return common / np.maximum(areas[0] + areas[1] - common, np.finfo(np.float64).tiny)


def overlapping(
    a: Boxes, b: Boxes, at: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Pairs of boxes of one class with an IoU of at least `at` >= 0.5: positions in a, in b, and the IoU.

    The longer sides of such boxes differ by a factor of 2 at most, and their centres along each axis by
    (1 - at) of the longer one: octave by octave only neighbours are compared, so that time and memory grow
    with the number of boxes and not with its square.
    """
    from scipy.spatial import cKDTree

    found = [(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))]
    middles = [(x.corners[:, :2].astype(np.float64) + x.corners[:, 2:]) / 2 for x in (a, b)]
    octaves = [_octave(x) for x in (a, b)]
    for index in np.intersect1d(a.classes, b.classes):
        for octave in np.unique(octaves[0][a.classes == index]):
            mine = np.flatnonzero((a.classes == index) & (octaves[0] == octave))
            other = np.flatnonzero((b.classes == index) & (np.abs(octaves[1] - octave) <= 1))
            trees = cKDTree(middles[0][mine]), cKDTree(middles[1][other])
            reach = (1 - at) * 2.0 ** (octave + 2)
            near = trees[0].sparse_distance_matrix(trees[1], reach, p=np.inf, output_type="ndarray")
            i, j = mine[near["i"]], other[near["j"]]
            iou = box_iou(a.corners[i], b.corners[j])
            found.append((i[iou >= at], j[iou >= at], iou[iou >= at]))
    i, j, iou = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return i, j, iou


def hits(truth: Boxes, predicted: Boxes, at: float = 0.5) -> NDArray[np.bool_]:
    """Which predicted boxes find a true one: (n,) bool, see `matched`."""
    found: NDArray[np.bool_] = matched(truth, predicted, at) >= 0
    return found


def matched(truth: Boxes, predicted: Boxes, at: float = 0.5) -> NDArray[np.intp]:
    """The true box that each predicted box finds, (n,) positions in `truth`, -1 where it finds none.

    As COCO counts: from the highest score down, each takes the best true box of its class that is still
    free, the later one of equals, if their IoU is at least `at` >= 0.5. What is found at a score is so for
    any threshold below it.
    """
    return _taken(overlapping(predicted, truth, at), truth, predicted)


RIGHT, WRONG, NEITHER = 1, 0, -1


def judged(
    truth: Boxes,
    predicted: Boxes,
    known: NDArray[np.bool_] | None = None,
    thresholds: Sequence[float] = (0.5,),
) -> NDArray[np.int8]:
    """Whether each predicted box is RIGHT, WRONG or NEITHER at thresholds of the IoU: (T, n).

    As COCO counts what lies in a crowd: a box that finds no true box is NEITHER where the share of its own
    area in which nothing is known reaches the threshold. known: (H, W) bool, None for everywhere.
    """
    pairs = overlapping(predicted, truth, min(thresholds))
    fates = np.full((len(thresholds), len(predicted)), WRONG, np.int8)
    unknown = np.zeros(len(predicted)) if known is None or known.all() else predicted.share_in(~known)
    for fate, at in zip(fates, thresholds, strict=True):
        enough = pairs[2] >= at
        found = _taken(tuple(part[enough] for part in pairs), truth, predicted) >= 0
        fate[found], fate[~found & (unknown >= at)] = RIGHT, NEITHER
    return fates


def _taken(pairs: tuple[np.ndarray, ...], truth: Boxes, predicted: Boxes) -> NDArray[np.intp]:
    mine, true, iou = pairs
    taken, free = np.full(len(predicted), -1, np.intp), np.ones(len(truth), np.bool_)
    for pair in np.lexsort((-true, -iou, mine, -predicted.sureness[mine])):
        if free[true[pair]] and taken[mine[pair]] < 0:
            taken[mine[pair]], free[true[pair]] = true[pair], False
    return taken


def _octave(boxes: Boxes) -> NDArray[np.intp]:
    sides = boxes.corners[:, 2:] - boxes.corners[:, :2]
    return np.floor(np.log2(np.maximum(sides.max(axis=1, initial=0), 1e-6))).astype(np.intp)
