from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from reunet.metrics.surface import hd95, normalised_surface_distance, surface_distances


def surface_of(mask: np.ndarray) -> np.ndarray:
    """Indices of the pixels with a neighbour outside, looked up one by one."""
    steps = [np.array(s) for s in product((-1, 0, 1), repeat=mask.ndim) if np.abs(s).sum() == 1]

    def inside(at: np.ndarray) -> bool:
        return bool(((at >= 0) & (at < mask.shape)).all() and mask[tuple(at)])

    return np.array([at for at in np.argwhere(mask) if not all(inside(at + s) for s in steps)])


def reference(truth: np.ndarray, predicted: np.ndarray, spacing: tuple[float, ...]) -> list[np.ndarray]:
    a, b = (surface_of(m) * spacing for m in (truth, predicted))
    table = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    return [np.sort(table.min(1)), np.sort(table.min(0))]


def masks(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    grid = np.indices(shape)
    made = []
    for _ in range(2):
        centre = rng.uniform(0.3, 0.7, len(shape)) * shape
        radius = rng.uniform(0.2, 0.6, len(shape)) * shape
        away = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True))
        made.append((away < 1) & (rng.random(shape) < 0.97))
    return made[0], made[1]


@pytest.mark.parametrize("spacing", [(1, 1), (0.5, 2.25), (3, 0.7, 1.1)])
@pytest.mark.parametrize("seed", range(3))
def test_distances_of_all_pairs(seed: int, spacing: tuple[float, ...]) -> None:
    truth, predicted = masks(seed, (20, 23) if len(spacing) == 2 else (8, 11, 10))
    found = surface_distances(truth, predicted, spacing)
    expected = reference(truth, predicted, spacing)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.sort(ours), theirs, atol=1e-12)
    both = np.concatenate(expected)
    for tolerance in (0.5, 1.0, 2.4):
        share = normalised_surface_distance(found, tolerance)
        assert share == pytest.approx((both <= tolerance + 1e-12).sum() / len(both))
    assert hd95(found) == pytest.approx(max(np.percentile(d, 95) for d in expected))
    other = surface_distances(predicted, truth, spacing)
    assert hd95(other) == hd95(found)
    assert normalised_surface_distance(other, 1) == normalised_surface_distance(found, 1)


def test_a_moved_square_by_hand() -> None:
    truth, predicted = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    truth[5:10, 5:10] = predicted[5:10, 8:13] = True
    found = surface_distances(truth, predicted, (1, 0.5))
    # Of the 16 pixels of the edge 4 lie on the other one (rows 5 and 9 of columns 8 and 9); 0.5 mm from it
    # are column 7 of these rows and the 3 others of column 9; 1.0 mm column 6, 1.5 mm those of column 5.
    assert hd95(found) == pytest.approx(1.5)
    assert sorted(found[0].tolist()) == pytest.approx([0] * 4 + [0.5] * 5 + [1.0] * 2 + [1.5] * 5)
    assert normalised_surface_distance(found, 1.0) == pytest.approx(11 / 16)


def test_spacing_scales_and_identity() -> None:
    truth, predicted = masks(5, (15, 16))
    one, three = (surface_distances(truth, predicted, (s, s)) for s in (1, 3))
    assert hd95(three) == pytest.approx(3 * hd95(one))
    assert surface_distances(truth, predicted)[0].tolist() == one[0].tolist()
    same = surface_distances(truth, truth)
    assert hd95(same) == 0
    assert normalised_surface_distance(same, 0) == 1


def test_empty_masks() -> None:
    nothing, something = np.zeros((5, 5), bool), np.eye(5, dtype=bool)
    both = surface_distances(nothing, nothing)
    assert np.isnan(hd95(both))
    assert np.isnan(normalised_surface_distance(both, 1))
    for pair in ((nothing, something), (something, nothing)):
        found = surface_distances(*pair)
        assert np.isnan(hd95(found))
        assert normalised_surface_distance(found, 100) == 0


def test_bad_input() -> None:
    mask = np.ones((3, 4), bool)
    with pytest.raises(ValueError, match="spacing"):
        surface_distances(mask, mask, (1, 1, 1))
    with pytest.raises(ValueError, match="shapes"):
        surface_distances(mask, mask.T)
