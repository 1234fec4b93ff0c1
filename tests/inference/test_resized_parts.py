"""A part of a resized image is that part of what `resize` makes of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reunet.inference.large.resized_parts import Side, resized_part, sides_of
from reunet.sampling.resize import AREA, CUBIC, LINEAR, resize

SIDES = st.integers(1, 70)


@settings(deadline=None, max_examples=150)
@given(data=st.data(), rank=st.sampled_from([2, 3]), way=st.sampled_from([LINEAR, CUBIC, AREA]))
def test_any_part_at_any_size(data: st.DataObject, rank: int, way: int) -> None:
    old, new = (tuple(data.draw(st.tuples(*[SIDES] * rank))) for _ in range(2))
    assume(way != AREA or (rank == 2 and all(b <= a for a, b in zip(old, new, strict=True)) and old != new))
    ends = [sorted(data.draw(st.sets(st.integers(0, side), min_size=2, max_size=2))) for side in new]
    box = tuple(slice(low, high) for low, high in ends)
    image = np.random.default_rng(data.draw(st.integers(0, 9))).normal(0, 1, (*old, 2)).astype(np.float32)
    read = []

    def part(source: tuple[slice, ...]) -> np.ndarray:
        read.append(source)
        assert all(0 <= a.start < a.stop <= n for a, n in zip(source, old, strict=True))
        return image[source]

    found = resized_part(part, sides_of(old, new, way), box)
    np.testing.assert_allclose(found, resize(image, new, way)[box], atol=2e-3 if way == AREA else 1e-4)
    assert found.dtype == np.float32
    assert len(read) == 1


@pytest.mark.parametrize(("way", "more"), [(LINEAR, 2), (CUBIC, 4), (AREA, 2)])
def test_no_more_is_read_than_the_part_depends_on(way: int, more: int) -> None:
    source = Side(100_000, 50_000, way).source(slice(20_000, 20_100))
    assert 40_000 - more <= source.start <= 40_000
    assert 40_200 <= source.stop <= 40_200 + more


def test_the_old_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    box = (slice(2, 7), slice(0, 8))
    np.testing.assert_array_equal(
        resized_part(lambda b: image[b], sides_of((9, 8), (9, 8), CUBIC), box), image[box]
    )
