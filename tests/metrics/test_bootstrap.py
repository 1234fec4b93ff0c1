from __future__ import annotations

import numpy as np
import pytest

from reunet.metrics.bootstrap import crossed_interval, interval
from reunet.metrics.overlap import mean_defined


def mean(values: np.ndarray) -> np.ndarray:
    return mean_defined(values, axis=0)


def test_interval_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    ends = interval(values, mean, n=20_000)
    error = 1.96 * values.std() / 20
    assert ends == pytest.approx((values.mean() - error, values.mean() + error), abs=0.01)


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


def test_one_training_has_the_textbook_interval_of_its_images() -> None:
    values = np.random.default_rng(0).normal(5, 2, (1, 400))
    ends = crossed_interval(values, np.ones_like(values), n=20_000)
    assert ends is not None
    error = 1.96 * values.std() / 20
    assert ends == pytest.approx((values.mean() - error, values.mean() + error), abs=0.01)


def test_trainings_that_differ_are_drawn_too() -> None:
    """In a quarter of the samples both are the worse one, in another both the better one."""
    values = np.array([[1.0] * 300, [3.0] * 300])
    assert crossed_interval(values, np.ones_like(values)) == pytest.approx((1, 3), abs=0.02)


def test_units_weigh_as_much_as_there_are_values_in_them() -> None:
    """A unit of nine values of 1, another of one value of 11: the mean is 2, not 6."""
    sums, counts = np.array([[9.0, 11.0] * 200]), np.array([[9.0, 1.0] * 200])
    ends = crossed_interval(sums, counts)
    assert ends is not None
    assert np.mean(ends) == pytest.approx(2, abs=0.05)
    assert ends[0] < 2 < ends[1]


def test_crossed_intervals_that_are_undefined() -> None:
    assert crossed_interval(np.ones((3, 1)), np.ones((3, 1))) is None
    assert crossed_interval(np.ones((3, 2)), np.ones((3, 2))) == (1, 1)
    rare = np.zeros((1, 40))
    rare[0, 0] = 1  # in 63 of 100 samples it is drawn at least once
    assert crossed_interval(rare, rare) == (1, 1)
    assert crossed_interval(np.zeros((1, 40)), np.zeros((1, 40))) is None


def test_the_same_seed_gives_the_same_crossed_interval() -> None:
    values = np.random.default_rng(1).random((2, 30))
    first = crossed_interval(values, np.ones_like(values), seed=4)
    assert first == crossed_interval(values, np.ones_like(values), seed=4)
    assert first != crossed_interval(values, np.ones_like(values), seed=5)
