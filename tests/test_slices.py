"""Arithmetic of slices against what NumPy says of an array of numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reunet.slices import (
    Slices,
    all_of,
    area_of,
    corner_of,
    grid,
    grown,
    overlap,
    placed,
    seen_from,
    size_of,
    touched,
    within,
)

sizes = st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple)
cells = st.lists(st.integers(1, 7), min_size=3, max_size=3)


@st.composite
def parts(draw: st.DrawFn, count: int = 1) -> tuple[np.ndarray, list[Slices]]:
    """An array of numbers, and parts of it that have pixels."""
    size = draw(sizes)
    found = []
    for _ in range(count):
        starts = [draw(st.integers(0, side - 1)) for side in size]
        stops = [draw(st.integers(first + 1, side)) for first, side in zip(starts, size, strict=True)]
        found.append(tuple(map(slice, starts, stops)))
    return np.arange(np.prod(size)).reshape(size), found


@given(parts())
def test_size_area_and_corner_are_those_of_the_array(drawn: tuple[np.ndarray, list[Slices]]) -> None:
    numbers, (part,) = drawn
    assert size_of(part) == numbers[part].shape
    assert area_of(part) == numbers[part].size
    assert numbers[corner_of(part)] == numbers[part].min()
    assert placed(corner_of(part), size_of(part)) == part
    assert np.array_equal(numbers[all_of(numbers.shape)], numbers)


@given(parts(2))
def test_overlap_has_the_pixels_of_both_and_reads_them_from_each(
    drawn: tuple[np.ndarray, list[Slices]],
) -> None:
    numbers, (one, other) = drawn
    both = overlap(one, other)
    if min(size_of(both)) <= 0:
        assert not np.intersect1d(numbers[one], numbers[other]).size
        return
    assert np.array_equal(np.intersect1d(numbers[one], numbers[other]), numbers[both].ravel())
    assert np.array_equal(numbers[one][within(both, one)], numbers[both])
    assert np.array_equal(numbers[other][seen_from(both, corner_of(other))], numbers[both])


@given(parts(), st.integers(0, 4))
def test_a_part_grows_within_the_array(drawn: tuple[np.ndarray, list[Slices]], reach: int) -> None:
    numbers, (part,) = drawn
    last = np.array([side.stop - 1 for side in part])
    places = np.moveaxis(np.indices(numbers.shape), 0, -1)
    beyond = np.abs(places - np.clip(places, corner_of(part), last)).max(axis=-1)
    assert np.array_equal(numbers[grown(part, reach, numbers.shape)].ravel(), numbers[beyond <= reach])


@given(parts(), cells)
def test_a_grid_covers_each_pixel_once_in_order(
    drawn: tuple[np.ndarray, list[Slices]], cell: list[int]
) -> None:
    numbers, (part,) = drawn
    cell = cell[: numbers.ndim]
    found = list(grid(part, cell))
    assert np.array_equal(
        np.sort(np.concatenate([numbers[one].ravel() for one in found])), numbers[part].ravel()
    )
    assert all(np.all(np.array(size_of(one)) <= cell) for one in found)
    assert [corner_of(one) for one in found] == sorted(corner_of(one) for one in found)


@given(parts(), cells)
def test_touched_cells_are_those_that_share_pixels(
    drawn: tuple[np.ndarray, list[Slices]], cell: list[int]
) -> None:
    numbers, (part,) = drawn
    cell = cell[: numbers.ndim]
    found = dict(touched(part, cell))
    every = {
        tuple(start // side for start, side in zip(corner_of(one), cell, strict=True)): one
        for one in grid(all_of(numbers.shape), cell)
    }
    assert list(found) == [place for place, one in every.items() if min(size_of(overlap(one, part))) > 0]
    assert all(np.array_equal(numbers[found[place]], numbers[every[place]]) for place in found)
