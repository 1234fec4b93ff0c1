from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from reunet.metrics.skeleton import cl_dice as dice_of_lines
from reunet.metrics.skeleton import elongation, skeleton, skeleton_length


def cl_dice(truth: np.ndarray, predicted: np.ndarray) -> float:
    return dice_of_lines(truth, predicted, skeleton(truth), skeleton(predicted))


def vessels(seed: int, shape: tuple[int, ...] = (60, 70)) -> np.ndarray:
    """Thick straight lines between random points."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    points = rng.uniform(0, 1, (6, len(shape))) * (np.array(shape) - 1)
    for a, b in pairwise(points):
        for t in np.linspace(0, 1, 100):
            at = np.round(a + t * (b - a)).astype(int)
            mask[tuple(slice(max(i - 1, 0), i + 2) for i in at)] = True
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_cl_dice_pixel_by_pixel(seed: int) -> None:
    shape = (60, 70) if seed < 3 else (14, 20, 18)
    truth, predicted = vessels(seed, shape), vessels(seed, shape)
    predicted[: shape[0] // 2] = np.roll(predicted, 2, axis=1)[: shape[0] // 2]
    where = [set(map(tuple, np.argwhere(m))) for m in (truth, predicted)]
    lines = [set(map(tuple, np.argwhere(skeleton(m)))) for m in (truth, predicted)]
    precision, sensitivity = (len(lines[k] & where[1 - k]) / len(lines[k]) for k in (1, 0))
    expected = 2 * precision * sensitivity / (precision + sensitivity)
    assert 0 < cl_dice(truth, predicted) < 1
    assert cl_dice(truth, predicted) == pytest.approx(expected)
    assert cl_dice(predicted, truth) == pytest.approx(expected)
    assert cl_dice(truth, truth) == 1


def test_only_the_centre_line_has_to_be_covered() -> None:
    truth = np.zeros((21, 60), bool)
    truth[8:13, 5:55] = True
    line = np.zeros_like(truth)
    line[10, 10:50] = True  # inside the truth, and covering most of its skeleton
    centre = skeleton(truth)
    assert cl_dice(truth, line) == pytest.approx(2 / (1 + centre.sum() / (centre & line).sum()))
    assert cl_dice(truth, truth | np.roll(truth, 2, axis=0)) == 1  # too thick, but on the line
    assert cl_dice(truth, truth | np.roll(truth, 7, axis=0)) < 1


def test_cl_dice_undefined_and_zero() -> None:
    nothing, something = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    something[4, 2:7] = True
    assert np.isnan(cl_dice(nothing, nothing))
    assert cl_dice(nothing, something) == cl_dice(something, nothing) == 0
    assert cl_dice(something, np.roll(something, 3, axis=0)) == 0


def test_lengths_by_hand() -> None:
    lines = np.zeros((12, 12), bool)
    assert skeleton_length(lines) == 0
    lines[3, 2:9] = True
    assert skeleton_length(lines) == 6
    assert skeleton_length(lines, (10, 0.5)) == 3
    assert skeleton_length(np.eye(5, dtype=bool)) == pytest.approx(4 * np.sqrt(2))
    assert skeleton_length(np.eye(5, dtype=bool)[::-1], (3, 4)) == pytest.approx(20)
    lines[3:8, 8] = True  # a corner: its diagonal is no extra step
    assert skeleton_length(lines) == 10
    square = np.zeros((9, 9), bool)
    square[2:7, 2:7] = True
    square[3:6, 3:6] = False
    assert skeleton_length(square) == 16  # a closed line
    dots = np.zeros((5, 5), bool)
    dots[::2, ::2] = True
    assert skeleton_length(dots) == 0


def test_length_in_a_volume() -> None:
    line = np.zeros((6, 6, 6), bool)
    line[range(6), range(6), range(6)] = True
    assert skeleton_length(line) == pytest.approx(5 * np.sqrt(3))
    stairs = np.zeros((3, 3, 3), bool)
    stairs[0, 0, 0] = stairs[1, 0, 0] = stairs[1, 1, 0] = stairs[1, 1, 1] = True
    assert skeleton_length(stairs, (1, 2, 4)) == 7


@pytest.mark.parametrize("seed", range(4))
def test_length_of_a_tree_is_that_of_its_shortest_edges(seed: int) -> None:
    """Without loops the steps are the minimum spanning tree of the pixels that touch."""
    rng = np.random.default_rng(seed)
    lines = np.zeros((40, 40), bool)
    at = np.array([3, 20])
    for _ in range(30):  # downwards only: no loop
        lines[tuple(at)] = True
        at = np.clip(at + np.array([1, rng.integers(-1, 2)]), 0, 39)
    points = np.argwhere(lines)
    away = np.sqrt(((points[:, None] - points[None]) ** 2).sum(-1))
    near = coo_array(np.where(away < 1.5, away, 0))
    assert skeleton_length(lines) == pytest.approx(minimum_spanning_tree(near).sum())


def test_length_near_the_truth_in_any_direction() -> None:
    for degrees in range(0, 91, 15):
        t = np.linspace(0, 80, 400)
        lines = np.zeros((90, 90), bool)
        angle = np.deg2rad(degrees)
        lines[np.round(t * np.sin(angle)).astype(int), np.round(t * np.cos(angle)).astype(int)] = True
        assert 0.97 * 80 < skeleton_length(skeleton(lines)) < 1.09 * 80


def test_nothing_is_as_long_as_nothing() -> None:
    assert elongation(np.zeros((5, 6), bool)) == 0.0
