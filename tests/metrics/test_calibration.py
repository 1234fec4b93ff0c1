from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from reunet.metrics.calibration import BINS, ReliabilityHistogram, auroc, curve_of, ece_of


def test_ece_against_a_loop_over_bins() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.4] * 3, 4000).astype(np.float32)
    truth = rng.integers(0, 3, 4000)
    reliability = ReliabilityHistogram()
    reliability.add(probabilities[:1000], truth[:1000])
    other = ReliabilityHistogram()
    other.add(probabilities[1000:], truth[1000:])
    reliability.merge(other)

    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    expected = 0.0
    for low in np.arange(BINS) / BINS:
        chosen = (confidence >= low) & (confidence < low + 1 / BINS)
        if chosen.any():
            expected += chosen.mean() * abs(right[chosen].mean() - confidence[chosen].mean())
    assert reliability.ece() == pytest.approx(expected, abs=1e-3)


def test_perfectly_calibrated_pixels_have_no_error() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(200_000)
    reliability = ReliabilityHistogram()
    reliability.add(np.stack([1 - p, p], axis=1), (rng.random(p.size) < p).astype(int))
    assert reliability.ece() < 0.005
    confidence, accuracy, share = reliability.curve()
    assert np.abs(confidence - accuracy).max() < 0.02
    assert share.sum() == pytest.approx(1)


def test_sure_and_wrong_is_one_and_empty_is_undefined() -> None:
    reliability = ReliabilityHistogram()
    assert np.isnan(reliability.ece())
    reliability.add(np.array([[0.0, 1.0]]), np.array([0]))
    assert reliability.ece() == 1


def test_auroc_equals_the_reference_with_ties() -> None:
    rng = np.random.default_rng(2)
    chances, right = rng.integers(0, 9, 500) / 8, rng.random(500) < 0.4
    assert auroc(chances, right) == pytest.approx(roc_auc_score(right, chances))
    assert np.isnan(auroc(chances, np.ones(500, bool)))


def test_bins_hold_equally_many() -> None:
    chances = np.random.default_rng(3).random(1500) ** 4
    average, accuracy, share = curve_of(chances, chances > 0.5)
    assert len(average) == 15
    np.testing.assert_allclose(share, 1 / 15)
    assert (np.diff(average) > 0).all()
    assert accuracy[-1] == 1
    assert np.isnan(ece_of(np.zeros(0), np.zeros(0, bool)))
