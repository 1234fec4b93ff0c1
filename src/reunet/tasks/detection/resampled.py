"""Average precision of images drawn with replacement, fast enough for a thousand draws."""

from __future__ import annotations

import numpy as np


def average_precision(right: np.ndarray, weights: np.ndarray, true: float) -> float:
    """Area under the precision-recall curve at 101 points of recall; nan without true boxes.

    right: (n,) bool, which predicted boxes found an object, from the highest score down. weights: (n,) how
    often each is counted, for resampled images. true: the number of true boxes, counted likewise.
    """
    if not true:
        return float("nan")
    found = np.cumsum(weights * right)
    total = np.cumsum(weights)
    precision = found / np.maximum(total, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # the highest at this recall or a higher one
    place = np.searchsorted(found / true, np.linspace(0, 1, 101), side="left")
    return float(np.append(best, 0.0)[place].mean())
