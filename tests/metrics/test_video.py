from __future__ import annotations

import math

import numpy as np
import pytest

from reunet.contracts.labels import IGNORE
from reunet.metrics.video import boundary, boundary_measure, flicker, region_similarity


def mask_of(seed: int, shape: tuple[int, int] = (60, 90)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    mask = np.zeros(shape, bool)
    for _ in range(3):
        (cy, cx), r = rng.uniform(0.2, 0.8, 2) * shape, rng.uniform(5, 15)
        mask |= np.hypot(y - cy, x - cx) < r
    return mask


def edge_of(mask: np.ndarray) -> list[tuple[int, int]]:
    h, w = mask.shape
    return [
        (y, x)
        for y in range(h)
        for x in range(w)
        if any(mask[y, x] != mask[min(y + a, h - 1), min(x + b, w - 1)] for a, b in ((0, 1), (1, 0), (1, 1)))
    ]


def reference(truth: np.ndarray, predicted: np.ndarray) -> float:
    radius = math.ceil(0.008 * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))
    a, b = np.array(edge_of(truth)), np.array(edge_of(predicted))
    away = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    recall, precision = (away.min(1) <= radius).mean(), (away.min(0) <= radius).mean()
    return float(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize("seed", range(5))
def test_f_of_all_pairs_of_boundary_pixels(seed: int) -> None:
    truth = mask_of(seed)
    predicted = np.roll(truth, (seed, 1), axis=(0, 1)) | mask_of(seed + 50)
    assert boundary(truth).sum() == len(edge_of(truth))
    assert boundary_measure(truth, predicted) == pytest.approx(reference(truth, predicted))
    assert boundary_measure(predicted, truth) == pytest.approx(reference(truth, predicted))
    inside = [set(map(tuple, np.argwhere(m))) for m in (truth, predicted)]
    j = len(inside[0] & inside[1]) / len(inside[0] | inside[1])
    assert region_similarity(truth, predicted) == pytest.approx(j)


def test_tolerance_is_a_share_of_the_diagonal() -> None:
    truth = np.zeros((300, 400), bool)  # diagonal 500: 4 pixels
    truth[100:200, 100:300] = True
    assert boundary_measure(truth, np.roll(truth, 4, axis=0)) == 1
    assert boundary_measure(truth, np.roll(truth, 5, axis=0)) < 0.5


def test_identity_undefined_and_zero() -> None:
    mask, nothing = mask_of(1), np.zeros((60, 90), bool)
    assert region_similarity(mask, mask) == boundary_measure(mask, mask) == 1
    assert np.isnan([region_similarity(nothing, nothing), boundary_measure(nothing, nothing)]).all()
    assert region_similarity(mask, nothing) == boundary_measure(mask, nothing) == 0
    assert region_similarity(nothing, mask) == boundary_measure(nothing, mask) == 0
    with pytest.raises(ValueError, match="shape"):
        boundary_measure(mask, mask.T)


@pytest.mark.parametrize("classes", [2, 4])
def test_flicker_of_all_pixels_one_by_one(classes: int) -> None:
    rng = np.random.default_rng(classes)
    truth = rng.integers(0, classes, (2, 15, 17)).astype(np.uint8)
    truth[1, :9] = truth[0, :9]
    truth[:, 2:4] = IGNORE
    told = rng.dirichlet(np.ones(classes), (2, 15, 17)).astype(np.float32)
    labels = told.argmax(-1)
    at = [(y, x) for y, x in np.ndindex(15, 17) if truth[0, y, x] == truth[1, y, x] != IGNORE]
    changes = [sum(abs(float(a) - float(b)) for a, b in zip(*told[:, y, x], strict=True)) / 2 for y, x in at]
    assert flicker((truth[0], truth[1]), (told[0], told[1])) == pytest.approx(np.mean(changes))
    switched = [labels[0, y, x] != labels[1, y, x] for y, x in at]
    assert flicker((truth[0], truth[1]), (labels[0], labels[1])) == pytest.approx(np.mean(switched))
    hard = np.eye(classes, dtype=np.float32)[labels]
    assert flicker((truth[0], truth[1]), (hard[0], hard[1])) == pytest.approx(np.mean(switched))


def test_flicker_of_stills_of_overlapping_regions_and_where_nothing_stands_still() -> None:
    rng = np.random.default_rng(0)
    truth, told = np.zeros((9, 9), np.uint8), rng.random((2, 9, 9, 3)).astype(np.float32)
    assert flicker((truth, truth), (told[0], told[0])) == 0
    apart = np.abs(told[1] - told[0]).mean()
    assert flicker((truth, truth), (told[0], told[1]), overlapping=True) == pytest.approx(apart)
    assert np.isnan(flicker((truth, truth + 1), (told[0], told[1])))
