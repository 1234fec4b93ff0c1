"""Volumes as pictures: the telling slices, right side up, with true proportions."""

from __future__ import annotations

import numpy as np
import pytest

from reunet.io.planes import Planes, sheet, telling_planes


def test_slices_go_through_most_of_what_is_shown() -> None:
    shown = np.zeros((10, 20, 30), bool)
    shown[3, 4:9, 10:20] = True
    shown[4, 6, 12] = True
    planes = telling_planes(shown, (1.0, 1.0, 1.0))
    assert planes.at == (3, 6, 12)
    assert telling_planes(np.zeros((10, 20, 30), bool), None).at == (5, 10, 15)


def test_thick_slices_are_drawn_as_thick() -> None:
    planes = telling_planes(np.zeros((10, 40, 60), bool), (3.0, 1.0, 1.0))
    assert planes.repeat[0] == 3 * planes.repeat[1] == 3 * planes.repeat[2]


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_views_from_above_front_and_side_with_the_head_up(channels: tuple[int, ...]) -> None:
    volume = np.random.default_rng(0).integers(1, 200, (4, 5, 6, *channels), np.uint8)
    drawn = sheet(volume, Planes((1, 2, 3), (1, 1, 1)), 0)
    assert drawn.shape == (5, 6 + 6 + 5, *channels)
    np.testing.assert_array_equal(drawn[:, :6], volume[1])
    np.testing.assert_array_equal(drawn[:4, 6:12], volume[::-1, 2])
    np.testing.assert_array_equal(drawn[:4, 12:], volume[::-1, :, 3])
    assert (drawn[4, 6:] == 0).all()


def test_small_volumes_are_enlarged_and_labels_stay_labels() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (8, 9, 10), np.uint8)
    planes = telling_planes(labels > 0, (1.0, 1.0, 1.0))
    drawn = sheet(labels, planes, 255)
    assert 300 < drawn.shape[1] <= 640
    assert set(np.unique(drawn)) == {0, 1, 2, 255}
    assert drawn.dtype == np.uint8
