"""Probabilities that mean what they say: logits divided by a temperature (Guo et al. 2017, section 4.2)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

COLDEST, HOTTEST = 0.25, 10.0


def tempered(probabilities: np.ndarray, temperature: float | None) -> np.ndarray:
    """softmax(log p / T), which is softmax(logits / T), of probabilities (..., classes), float as they are.

    The most probable class stays; so does everything where T is 1 or None.
    """
    if temperature in (None, 1.0):
        return probabilities
    logits = np.log(np.maximum(probabilities, 1e-30))
    logits /= probabilities.dtype.type(temperature)
    logits -= logits.max(axis=-1, keepdims=True)
    powers: np.ndarray = np.exp(logits, out=logits)
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def after(chance: float, temperature: float | None) -> float:
    """What the temperature turns the probability of one of two classes into, both 0 < p < 1."""
    if temperature is None:
        return chance
    odds = (chance / (1 - chance)) ** (1 / temperature)
    return float(odds / (1 + odds))


def before(chance: float, temperature: float | None) -> float:
    """The probability that the temperature turns into `chance`."""
    return after(chance, None if temperature is None else 1 / temperature)


def fit_temperature(probabilities: np.ndarray, truth: Sequence[int] | NDArray[np.integer]) -> float:
    """The temperature in 0.25 .. 10 with the lowest cross-entropy of (N, classes) against class indices (N,).

    Where everything is right the cross-entropy falls with the temperature to the end of the range: then there
    is nothing to learn from, and it stays 1.
    """
    from scipy.optimize import minimize_scalar

    told, rows = np.asarray(truth), np.arange(len(truth))
    wide = probabilities.astype(np.float64)
    if (wide.argmax(axis=1) == told).all():
        return 1.0

    def cross_entropy(log_temperature: float) -> float:
        p = tempered(wide, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(p[rows, told], 1e-30)).mean())

    bounds = (float(np.log(COLDEST)), float(np.log(HOTTEST)))
    return float(np.exp(minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x))
