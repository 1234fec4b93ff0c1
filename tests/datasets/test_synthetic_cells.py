"""The synthetic time-lapse: a truth that agrees with itself, cells that touch, divide, come and go."""

from __future__ import annotations

import numpy as np
import pytest

from reunet.errors import UsageError

from .synthetic_cells import Culture, make_movie

CULTURE = Culture(size=(128, 160), frames=12, cells=30, division=0.05, speed=3.0)


def test_maps_and_lineage_tell_the_same() -> None:
    movie = make_movie(CULTURE, seed=3)
    assert movie.frames.shape == (12, 128, 160, 1)
    assert movie.frames.dtype == np.uint8
    assert movie.maps.dtype == np.int32
    present = [set(np.unique(frame).tolist()) - {0} for frame in movie.maps]
    for number, begin, end, parent in movie.lineage.tolist():
        assert [t for t, ids in enumerate(present) if number in ids] == list(range(begin, end + 1))
        if parent:
            assert movie.lineage[parent - 1, 2] == begin - 1
    assert set.union(*present) == set(movie.lineage[:, 0].tolist())


def test_cells_divide_enter_leave_and_touch() -> None:
    movie = make_movie(CULTURE, seed=3)
    parents, children = np.unique(movie.lineage[movie.lineage[:, 3] > 0, 3], return_counts=True)
    assert np.count_nonzero(children == 2) >= 5
    assert children.max() <= 2
    divided = set(parents.tolist())
    border = np.ones(CULTURE.size, bool)
    border[1:-1, 1:-1] = False
    for number, begin, end, parent in movie.lineage.tolist():
        if begin > 0 and not parent:  # entered, or is the daughter of a parent out of view
            assert np.any(border & (movie.maps[begin] == number))
        if end < 11 and number not in divided:
            assert np.any(border & (movie.maps[end] == number))
    assert np.any((movie.lineage[:, 1] > 0) & (movie.lineage[:, 3] == 0))
    a, b = movie.maps[:, :, 1:], movie.maps[:, :, :-1]
    assert np.count_nonzero((a != b) & (a > 0) & (b > 0)) > 12 * 10


def test_no_threshold_separates_the_cells() -> None:
    import cv2

    movie = make_movie(CULTURE, seed=3)
    truth, image = movie.maps[0], movie.frames[0, ..., 0]
    cells = len(np.unique(truth)) - 1
    best = 0
    for threshold in range(10, 250, 5):
        _, found = cv2.connectedComponents((image > threshold).astype(np.uint8))
        pairs, common = np.unique(np.stack([truth.ravel(), found.ravel()]), axis=1, return_counts=True)
        sizes, others = np.bincount(truth.ravel()), np.bincount(found.ravel())
        iou = common / (sizes[pairs[0]] + others[pairs[1]] - common)
        best = max(best, np.count_nonzero((iou > 0.5) & (pairs > 0).all(axis=0)))
    assert 0.15 * cells < best < 0.85 * cells


def test_depends_on_the_seed_alone() -> None:
    a, b, c = (make_movie(CULTURE, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.frames, b.frames)
    np.testing.assert_array_equal(a.maps, b.maps)
    assert not np.array_equal(a.maps, c.maps)


def test_volumes() -> None:
    movie = make_movie(Culture(size=(12, 40, 48), frames=3, cells=12, radius=5), seed=1)
    assert movie.frames.shape == (3, 12, 40, 48, 1)
    assert movie.maps.max() >= 8


def test_impossible_cultures_are_refused() -> None:
    with pytest.raises(UsageError, match="impossible"):
        Culture(size=(4, 200))
    with pytest.raises(UsageError, match="impossible"):
        Culture(frames=0)
