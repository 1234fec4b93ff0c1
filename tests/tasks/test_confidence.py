"""The probability that what was found is right."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from reunet.metrics.calibration import ece_of
from reunet.tasks.confidence import (
    BIAS,
    FEWEST,
    PENALTY,
    confidence,
    fit_confidence,
    review,
    sizes,
    told,
)


def drawn(n: int = 4000, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Facts, the true probabilities of being right, and what is right."""
    rng = np.random.default_rng(seed)
    facts = {"score": rng.normal(2, 3, n), "size": rng.normal(-1, 0.1, n)}
    chance = 1 / (1 + np.exp(-(0.7 * facts["score"] - 8 * (facts["size"] + 1) - 0.5)))
    return facts, chance, rng.random(n) < chance


def test_it_equals_the_reference() -> None:
    facts, _, right = drawn()
    ours = fit_confidence(facts, right)
    values = np.stack(list(facts.values()), axis=1)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    theirs = LogisticRegression(C=1 / PENALTY, tol=1e-8).fit((values - mean) / spread, right)
    np.testing.assert_allclose([ours["score"], ours["size"]], theirs.coef_[0] / spread, rtol=1e-3)
    expected = theirs.predict_proba((values - mean) / spread)[:, 1]
    np.testing.assert_allclose(confidence(facts, ours), expected, atol=1e-4)


def test_on_new_objects_the_probabilities_hold() -> None:
    weights = fit_confidence(*drawn()[::2])
    facts, chance, right = drawn(seed=1)
    found = confidence(facts, weights)
    assert np.abs(found - chance).mean() < 0.02
    assert ece_of(found, right) < 0.03
    assert ece_of(found**3, right) > 0.05


def test_too_little_teaches_nothing() -> None:
    facts, _, right = drawn(200)
    right[:] = True
    right[: FEWEST - 1] = False
    assert fit_confidence(facts, right) == {}
    right[FEWEST - 1] = False
    assert set(fit_confidence(facts, right)) == {"score", "size", BIAS}


def test_review_leaves_as_many_as_the_promise_allows() -> None:
    sure = np.array([0.2, 1.0, 0.99, 0.98, 0.6])
    assert review(sure, 0.99).tolist() == [True, False, False, False, True]
    assert review(sure, 0.995).tolist() == [True, False, False, True, True]
    assert review(np.full(3, 0.5), 0.99).all()
    assert review(np.zeros(0), 0.99).shape == (0,)
    summary = told(sure, np.array([False, True, True, False, True]))["review"]
    assert summary == {"promised": 0.99, "to_review": 2, "kept": 3, "precision_of_kept": pytest.approx(2 / 3)}
    assert told(np.array([0.5, np.nan]), np.array([True, False]))["review"] is None


def test_sizes_of_nothing_are_nothing() -> None:
    assert all(len(fact) == 0 for fact in sizes(np.zeros(0)).values())
