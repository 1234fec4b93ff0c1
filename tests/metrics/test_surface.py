from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from skimage.measure import marching_cubes, mesh_surface_area

from reunet.metrics.surface import hd95, normalised_surface_distance, surface_distances

Elements = list[tuple[tuple[int, ...], float]]


def area_of(cell: np.ndarray, spacing: tuple[float, ...]) -> float:
    if cell.ndim == 3:
        vertices, faces, _, _ = marching_cubes(cell.astype(float), 0.5, spacing=spacing)
        return float(mesh_surface_area(vertices, faces))
    inside = cell.sum()
    if inside == 2 and cell[0, 0] != cell[1, 1]:  # a straight line along an axis
        return spacing[0] if cell[0, 0] == cell[1, 0] else spacing[1]
    corners = 2 if inside == 2 else 1
    return corners * float(np.hypot(*spacing)) / 2


def elements_of(mask: np.ndarray, spacing: tuple[float, ...]) -> Elements:
    """The points between pixels whose neighbours differ, looked at one by one, and the area of each."""
    padded = np.pad(mask, 1)
    found = []
    for at in product(*(range(size + 1) for size in mask.shape)):
        cell = padded[tuple(slice(i, i + 2) for i in at)]
        if cell.any() and not cell.all():
            found.append((at, area_of(cell, spacing)))
    return found


def reference(
    truth: np.ndarray, predicted: np.ndarray, spacing: tuple[float, ...], tolerance: float
) -> tuple[float, float]:
    """HD95 and the share within the tolerance, over all pairs of elements."""
    sides = [elements_of(mask, spacing) for mask in (truth, predicted)]
    points = [np.array([at for at, _ in side]) * spacing for side in sides]
    areas = [np.array([area for _, area in side]) for side in sides]
    table = np.sqrt(((points[0][:, None] - points[1][None]) ** 2).sum(-1))
    far = [table.min(1), table.min(0)]
    ends = [
        min(d for d in f if a[f <= d].sum() >= 0.95 * a.sum() - 1e-9) for f, a in zip(far, areas, strict=True)
    ]
    near = sum(a[f <= tolerance].sum() for f, a in zip(far, areas, strict=True))
    return max(ends), near / sum(a.sum() for a in areas)


def masks(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Two ellipsoids, some cut by the edge of the image."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape)
    made = []
    for _ in range(2):
        centre = rng.uniform(0.3, 0.7, len(shape)) * shape
        radius = rng.uniform(0.2, 0.6, len(shape)) * shape
        made.append(sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True)) < 1)
    made[0][rng.random(shape) < 0.02] = False
    return made[0], made[1]


@pytest.mark.parametrize("spacing", [(1, 1), (0.5, 2.25), (3, 0.7, 1.1)])
@pytest.mark.parametrize("seed", range(3))
def test_distances_of_all_pairs(seed: int, spacing: tuple[float, ...]) -> None:
    truth, predicted = masks(seed, (20, 23) if len(spacing) == 2 else (8, 11, 10))
    found, other = surface_distances(truth, predicted, spacing), surface_distances(predicted, truth, spacing)
    for tolerance in (0.6, 1.3, 2.4):
        far, share = reference(truth, predicted, spacing, tolerance)
        assert normalised_surface_distance(found, tolerance) == pytest.approx(share)
        assert normalised_surface_distance(other, tolerance) == pytest.approx(share)
        assert hd95(found) == pytest.approx(far)
        assert hd95(other) == pytest.approx(far)


def test_a_moved_square_by_hand() -> None:
    truth, predicted = np.zeros((30, 30), bool), np.zeros((30, 30), bool)
    truth[5:15, 5:15] = predicted[5:15, 8:18] = True
    found = surface_distances(truth, predicted, (1, 0.5))
    # 9 elements on each side, 0.5 or 1 mm long, and 4 corners
    corner = np.hypot(1, 0.5) / 2
    assert found.truth[1].sum() == pytest.approx(18 * 0.5 + 18 * 1 + 4 * corner)
    # 1.5 mm from the other are the left side with its corners, and the right one, which is inside the other
    # square, but for its first and last element, which are 1 mm from the upper and lower side.
    far = np.round(found.truth[0], 9)
    assert np.count_nonzero(far == 1.5) == 9 + 2 + 7
    share = 1 - (9 + 7 + 2 * corner) / found.truth[1].sum()
    assert normalised_surface_distance(found, 1.0) == pytest.approx(share)
    assert hd95(found) == pytest.approx(1.5)


def test_area_is_that_of_the_mesh() -> None:
    truth, _ = masks(4, (14, 15, 16))
    spacing = (2.0, 0.8, 1.1)
    vertices, faces, _, _ = marching_cubes(np.pad(truth, 1).astype(float), 0.5, spacing=spacing)
    found = surface_distances(truth, truth, spacing).truth[1].sum()
    assert found == pytest.approx(mesh_surface_area(vertices, faces), rel=1e-5)


def test_spacing_scales_and_identity() -> None:
    truth, predicted = masks(5, (15, 16))
    one, three = (surface_distances(truth, predicted, (s, s)) for s in (1, 3))
    assert hd95(three) == pytest.approx(3 * hd95(one))
    np.testing.assert_array_equal(surface_distances(truth, predicted).truth, one.truth)
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
