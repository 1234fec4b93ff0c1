"""How restless predictions are from frame to frame where nothing changes."""

from __future__ import annotations

import numpy as np

from reunet.contracts.labels import IGNORE

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
