"""How likely what was found is right: a logistic regression on a few facts about it.

Platt 1999, "Probabilistic outputs for support vector machines"; here with more than one fact, so that an
object of an unusual size is trusted less than its score alone says.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.metrics.calibration import auroc, ece_of

FEWEST = 10
"""Right ones, and wrong ones, from which on something can be learned."""

PENALTY = 1.0
"""Of the squared weights, for facts in units of their spread, beside the sum of the cross-entropies."""

BIAS = "bias"

Facts = Mapping[str, np.ndarray]
"""Numbers of each object, (n,) float, by name."""

Weights = Mapping[str, float]
"""The weight of each fact by its name, and `bias`; empty where nothing was fitted."""


def fit_confidence(facts: Facts, right: np.ndarray) -> dict[str, float]:
    """Weights with the lowest penalised cross-entropy; none where too few are right, or too few wrong.

    right: (n,) bool.
    """
    from scipy.optimize import minimize

    if min(int(right.sum()), int((~right).sum())) < FEWEST:
        return {}
    values = np.stack([np.asarray(fact, np.float64) for fact in facts.values()], axis=1)
    mean, spread = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    scaled = np.column_stack([(values - mean) / spread, np.ones(len(values))])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        odds = scaled @ weights
        entropy = np.logaddexp(0, odds) - right * odds
        penalised = np.append(weights[:-1], 0.0)
        slope = scaled.T @ (_chance(odds) - right) + PENALTY * penalised
        return float(entropy.sum() + PENALTY * (penalised**2).sum() / 2), slope

    found = minimize(loss, np.zeros(scaled.shape[1]), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / spread
    told = dict(zip(facts, weights.tolist(), strict=True))
    return told | {BIAS: float(found[-1] - weights @ mean)}


def confidence(facts: Facts, weights: Weights) -> NDArray[np.float32]:
    """The probability in 0..1 that each is right, (n,); of facts without a weight nothing is taken."""
    values = np.stack([np.asarray(fact, np.float64) for fact in facts.values()], axis=1)
    odds = values @ np.array([weights.get(name, 0.0) for name in facts]) + weights.get(BIAS, 0.0)
    return _chance(odds).astype(np.float32)


def log_odds(chance: np.ndarray) -> NDArray[np.float64]:
    """log(p / (1 - p)), for p within a millionth of 0 and 1."""
    inside = np.clip(np.asarray(chance, np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)))


def sizes(areas: np.ndarray) -> dict[str, np.ndarray]:
    """How large each object is. areas: (n,) in pixels."""
    large = np.log(np.maximum(areas, 1.0))
    return {"size": large, "size_squared": large**2}


def review(confidences: np.ndarray, precision: float) -> NDArray[np.bool_]:
    """Which ones a person should look at so that of the others `precision` or more are expected to be right.

    confidences: (n,) in 0..1. The least sure ones, as few as that takes.
    """
    order = np.argsort(-confidences, kind="stable")
    expected = np.cumsum(confidences[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(expected >= precision - 1e-9)
    kept = int(enough[-1]) + 1 if len(enough) else 0
    unsure = np.zeros(len(order), bool)
    unsure[order[kept:]] = True
    return unsure


PROMISED = 0.99
"""The share of right ones among those that need no review."""


def told(confidences: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """What metrics.json tells of the confidence of what was found; None where it is not known.

    confidences: (n,), with nan where unknown. right: (n,) bool, at an IoU of 0.5 with a true one.
    """
    if not len(right) or np.isnan(confidences).any():
        return {**ranked(confidences, right), "review": None}
    unsure = review(confidences, PROMISED)
    kept = right[~unsure]
    return {
        **ranked(confidences, right),
        "review": {
            "promised": PROMISED,
            "to_review": int(unsure.sum()),
            "kept": len(kept),
            "precision_of_kept": float(kept.mean()) if len(kept) else None,
        },
    }


def ranked(confidences: np.ndarray, right: np.ndarray) -> dict[str, float | None]:
    """The part of `told` that is of all of them: how well they rank, and how far they are to be believed."""
    if not len(right) or np.isnan(confidences).any():
        return {"auroc": None, "ece": None}
    return {"auroc": auroc(confidences, right), "ece": ece_of(confidences, right)}


def _chance(odds: np.ndarray) -> NDArray[np.float64]:
    from scipy.special import expit

    return np.asarray(expit(odds), np.float64)
