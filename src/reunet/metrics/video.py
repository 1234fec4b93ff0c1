"""Scores of videos: of one object in a frame, as DAVIS defines them, and how restless predictions are."""

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import IGNORE
from reunet.metrics.overlap import confusion, iou, mutual_share

TOLERANCE = 0.008
"""How far boundaries may be apart, as a share of the diagonal of the frame."""


def region_similarity(truth: np.ndarray, prediction: np.ndarray) -> float:
    """J: the IoU of two masks (H, W) bool; nan when both are empty."""
    counts = confusion(truth.astype(np.uint8), prediction.astype(np.uint8), 2)
    return float(iou(counts)[1])


def boundary_measure(truth: np.ndarray, prediction: np.ndarray) -> float:
    """F: the harmonic mean of precision and recall of the boundary of a mask (H, W) bool.

    A pixel of one boundary is right when the other boundary has a pixel within 0.008 of the diagonal of the
    frame, rounded up to whole pixels. nan when neither mask has a boundary, 0 when one has none.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {prediction.shape}")
    import cv2

    radius = int(np.ceil(TOLERANCE * np.hypot(*truth.shape)))
    disk = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius
    lines = [boundary(mask).astype(np.uint8) for mask in (truth, prediction)]
    near = [cv2.dilate(line, disk.astype(np.uint8)) for line in lines]
    return mutual_share(lines, near[::-1])


def boundary(mask: np.ndarray) -> NDArray[np.bool_]:
    """Pixels (H, W) whose right, lower or lower right neighbour is on the other side of the mask's edge.

    The edge of the frame is none.
    """
    inside = mask.astype(bool)
    padded = np.pad(inside, (0, 1), mode="edge")
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (inside != right) | (inside != below) | (inside != diagonal)


Pair = tuple[np.ndarray, np.ndarray]
"""Of two frames that follow each other."""


def flicker(truth: Pair, prediction: Pair, *, overlapping: bool = False) -> float:
    """Mean change of a prediction at the pixels whose true class is the same in both frames.

    truth: (*space) uint8 class indices; IGNORE pixels are left out. prediction: probabilities (*space, K)
    float, whose change at a pixel is half the sum of the changes of all classes (total variation; of two
    classes that of either), or their mean where they are `overlapping` regions; or labels (*space), whose
    change is 1. From 0, still, to 1; nan where no pixel stands still.
    """
    still = (truth[0] == truth[1]) & (truth[0] != IGNORE)
    before, after = prediction[0][still], prediction[1][still]
    if not len(before):
        return float("nan")
    if before.ndim == 1:
        return float((before != after).mean())
    return float(np.abs(after - before).mean(dtype=np.float64) * (1 if overlapping else before.shape[1] / 2))
