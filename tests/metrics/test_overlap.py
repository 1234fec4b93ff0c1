from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.labels import IGNORE
from reunet.metrics.overlap import confusion, dice, iou, mean_defined, pixel_error, precision, recall


def sets_of(truth: np.ndarray, prediction: np.ndarray, c: int) -> tuple[set[int], set[int]]:
    """Class c as sets of labelled pixel numbers: the definition without any counting trick."""
    labelled = {i for i, t in enumerate(truth.ravel()) if t != IGNORE}
    return (
        {i for i in labelled if truth.ravel()[i] == c},
        {i for i in labelled if prediction.ravel()[i] == c},
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(0, 1))
def test_dice_and_iou_equal_the_set_definition(seed: int, n: int, ignored: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n, (7, 5)).astype(np.uint8)
    prediction = rng.integers(0, n, (7, 5)).astype(np.uint8)
    truth[rng.random((7, 5)) < ignored] = IGNORE
    counts = confusion(truth, prediction, n)
    for c in range(n):
        a, b = sets_of(truth, prediction, c)
        if not a | b:
            assert np.isnan(dice(counts)[c])
            assert np.isnan(iou(counts)[c])
            continue
        assert dice(counts)[c] == pytest.approx(2 * len(a & b) / (len(a) + len(b)))
        assert iou(counts)[c] == pytest.approx(len(a & b) / len(a | b))
        if b:
            assert precision(counts)[c] == pytest.approx(len(a & b) / len(b))
        if a:
            assert recall(counts)[c] == pytest.approx(len(a & b) / len(a))
    assert counts.sum() == np.count_nonzero(truth != IGNORE)


def test_rows_are_truth_and_columns_prediction() -> None:
    counts = confusion(np.array([0, 0, 1], np.uint8), np.array([1, 1, 1], np.uint8), 2)
    assert counts.tolist() == [[0, 2], [0, 1]]
    assert pixel_error(counts) == pytest.approx(2 / 3)


def test_absent_class_is_undefined_and_false_alarm_is_zero() -> None:
    nothing = np.zeros((3, 3), np.uint8)
    assert np.isnan(dice(confusion(nothing, nothing, 3))[1:]).all()
    alarm = nothing.copy()
    alarm[0, 0] = 1
    assert dice(confusion(nothing, alarm, 3))[1] == 0


def test_nothing_labelled_is_undefined() -> None:
    truth = np.full((4, 4), IGNORE, np.uint8)
    counts = confusion(truth, np.zeros_like(truth), 2)
    assert counts.sum() == 0
    assert np.isnan(dice(counts)).all()
    assert np.isnan(pixel_error(counts))


def test_ignored_pixels_may_hold_any_prediction() -> None:
    truth, prediction = np.array([0, IGNORE], np.uint8), np.array([0, IGNORE], np.uint8)
    assert confusion(truth, prediction, 2).tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("bad", [2, 254, 255])
def test_prediction_outside_the_classes_is_refused(bad: int) -> None:
    with pytest.raises(ValueError, match="prediction"):
        confusion(np.zeros(3, np.uint8), np.full(3, bad, np.uint8), 2)


def test_truth_outside_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="truth"):
        confusion(np.full(3, 7, np.uint8), np.zeros(3, np.uint8), 2)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shape"):
        confusion(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)


def test_leading_axes_are_kept() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (5, 4, 3, 3))
    for score in (dice, iou):
        assert score(counts).shape == (5, 4, 3)
        assert score(counts)[2, 1] == pytest.approx(score(counts[2, 1]))
    assert pixel_error(counts).shape == (5, 4)


def test_mean_defined_skips_nan() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    assert mean_defined(values, axis=0)[0] == 2
    assert np.isnan(mean_defined(values, axis=0)[1])
    assert np.isnan(mean_defined(np.array([])))


@pytest.mark.parametrize("wrong", [-1, 3])
def test_classes_that_are_none_are_refused(wrong: int) -> None:
    right = np.zeros((2, 2), np.int16)
    other = np.full((2, 2), wrong, np.int16)
    for truth, prediction, name in ((other, right, "truth"), (right, other, "prediction")):
        with pytest.raises(ValueError, match=rf"{name} has values {wrong}..{wrong}, expected 0..2"):
            confusion(truth, prediction, 3)
