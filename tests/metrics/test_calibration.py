from __future__ import annotations

import numpy as np
import pytest

from reunet.metrics.calibration import BINS, ReliabilityHistogram


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
