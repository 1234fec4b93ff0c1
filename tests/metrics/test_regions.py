from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label
from skimage.metrics import adapted_rand_error, contingency_table
from skimage.metrics import variation_of_information as skimage_vi

from reunet.metrics.partitions import components, rand_scores, regions_from_boundary


def random_regions(seed: int, n: int, first: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(first, first + n, (40, 30)).astype(np.int32)


@pytest.mark.parametrize("seed", range(8))
def test_v_rand_equals_scikit_image(seed: int) -> None:
    truth, predicted = random_regions(seed, 6, 0), random_regions(seed + 50, 4, 1)
    predicted[truth % 2 == 0] = 9  # some agreement
    error = adapted_rand_error(truth, predicted, ignore_labels=(0,))[0]
    assert rand_scores(truth, predicted)[0] == pytest.approx(1 - error, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_v_info_equals_the_entropies_of_scikit_image(seed: int) -> None:
    truth, predicted = random_regions(seed, 5, 0), random_regions(seed + 50, 7, 1)
    conditional = skimage_vi(truth, predicted, ignore_labels=(0,))  # H(pred|true), H(true|pred) in bits
    joint = np.asarray(contingency_table(truth, predicted, ignore_labels=(0,)).todense())
    joint = joint / joint.sum()
    entropies = [-sum(p * np.log2(p) for p in joint.sum(axis=a).ravel() if p) for a in (0, 1)]
    information = (sum(entropies) - sum(conditional)) / 2
    assert rand_scores(truth, predicted)[1] == pytest.approx(2 * information / sum(entropies), abs=1e-9)


def test_hand_computed_case() -> None:
    truth = np.array([[1, 1, 2, 2, 0]])
    merged = np.ones_like(truth)
    # 2 true pairs in each region = 4 ordered pairs, 12 predicted ones, 4 shared: 4 / (12/2 + 4/2)
    assert rand_scores(truth, merged) == (pytest.approx(0.5), pytest.approx(0.0))


def test_same_partition_is_one_whatever_the_numbers() -> None:
    truth = np.array([[1, 1, 2, 0, 3]])
    assert rand_scores(truth, np.array([[70, 70, 5, 5, 8]])) == (pytest.approx(1), pytest.approx(1))


def test_undefined() -> None:
    nothing = np.zeros((3, 3), int)
    assert np.isnan(rand_scores(nothing, nothing + 1)).all()
    v_rand, v_info = rand_scores(nothing + 1, nothing + 1)
    assert v_rand == 1
    assert np.isnan(v_info)  # one region on both sides carries no information


def test_components_are_four_connected() -> None:
    inside = np.eye(5, dtype=bool)
    assert components(inside).max() == 5
    rng = np.random.default_rng(0).random((50, 50)) < 0.6
    np.testing.assert_array_equal(components(rng), label(rng, connectivity=1))


def test_watershed_gives_every_pixel_to_a_seed() -> None:
    boundary = np.zeros((20, 31), np.float32)
    boundary[:, 14:17] = [0.6, 0.9, 0.6]
    regions = regions_from_boundary(boundary, 0.5)
    assert set(np.unique(regions)) == {1, 2}
    assert (regions[:, :15] == regions[0, 0]).all()
    assert (regions[:, 16:] == regions[0, -1]).all()


def test_without_interior_there_is_one_region() -> None:
    assert (regions_from_boundary(np.ones((4, 6), np.float32), 0.5) == 1).all()


def test_volumes_are_separated_along_three_axes() -> None:
    inside = np.random.default_rng(0).random((12, 14, 16)) < 0.4
    np.testing.assert_array_equal(components(inside), label(inside, connectivity=1))
    boundary = np.zeros((9, 8, 7), np.float32)
    boundary[4] = 0.9
    regions = regions_from_boundary(boundary, 0.5)
    assert set(np.unique(regions)) == {1, 2}
    truth = np.ones(boundary.shape, int)
    truth[5:] = 2
    truth[4] = 0
    assert rand_scores(truth, regions)[0] == 1


def test_pairs_of_regions_are_told_apart_whatever_their_numbers() -> None:
    """(1, 2) and (2, 0), of which one number each would be made."""
    truth, predicted = np.array([1, 1, 2, 2]), np.array([2, 2, 0, 0])
    assert rand_scores(truth, predicted) == pytest.approx((1, 1))
