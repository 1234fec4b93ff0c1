from __future__ import annotations

import numpy as np
import pytest

from reunet.metrics.bootstrap import interval
from reunet.metrics.overlap import mean_defined


def mean(values: np.ndarray) -> np.ndarray:
    return mean_defined(values, axis=0)


def test_interval_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = interval(values, mean)
    assert low == pytest.approx(values.mean() - 1.96 * values.std() / 20, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * values.std() / 20, abs=0.03)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(0).random(20)
    np.testing.assert_array_equal(interval(values, mean), interval(values, mean))


def test_covers_the_truth_about_as_often_as_promised() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(100):
        low, high = interval(rng.exponential(1, 60), mean, seed=trial, n=300)
        hits += low <= 1 <= high
    assert 85 <= hits <= 100


@pytest.mark.parametrize("images", [0, 1])
def test_undefined_with_fewer_than_two_images(images: int) -> None:
    ends = interval(np.ones((images, 3)), mean)
    assert ends.shape == (2, 3)
    assert np.isnan(ends).all()


def test_rarely_defined_scores_have_no_interval() -> None:
    values = np.array([[1.0, np.nan, 0.5], [1.0, np.nan, 0.7], [1.0, np.nan, 0.6]])
    ends = interval(values, mean)
    assert ends[:, 0].tolist() == [1, 1]
    assert np.isnan(ends[:, 1]).all()
    assert 0.5 <= ends[0, 2] <= ends[1, 2] <= 0.7
