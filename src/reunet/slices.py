"""Parts of arrays: a slice for each axis of space, with start and stop, and the arithmetic of these."""

from collections.abc import Iterator, Sequence
from itertools import product
from math import ceil, prod

Slices = tuple[slice, ...]


def all_of(size: Sequence[int]) -> Slices:
    """All of an array of that size."""
    return tuple(slice(0, side) for side in size)


def size_of(part: Slices) -> tuple[int, ...]:
    """Pixels along each axis."""
    return tuple(side.stop - side.start for side in part)


def area_of(part: Slices) -> int:
    """Pixels altogether."""
    return prod(size_of(part))


def corner_of(part: Slices) -> tuple[int, ...]:
    """The first pixel of each axis."""
    return tuple(side.start for side in part)


def placed(corner: Sequence[int], size: Sequence[int]) -> Slices:
    """The part of that size that begins at a corner."""
    return tuple(slice(first, first + side) for first, side in zip(corner, size, strict=True))


def seen_from(part: Slices, corner: Sequence[int]) -> Slices:
    """The same pixels, counted from a corner on."""
    return tuple(slice(s.start - first, s.stop - first) for s, first in zip(part, corner, strict=True))


def within(part: Slices, window: Slices) -> Slices:
    """The same pixels, as those of an array that holds a window."""
    return seen_from(part, corner_of(window))


def overlap(one: Slices, other: Slices) -> Slices:
    """What two parts that touch have in common."""
    return tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def grown(part: Slices, reach: int, size: Sequence[int]) -> Slices:
    """A part with `reach` pixels more at each side, as far as an array of that size goes."""
    wide = (slice(side.start - reach, side.stop + reach) for side in part)
    return overlap(tuple(wide), all_of(size))


def grid(part: Slices, cell: Sequence[int]) -> Iterator[Slices]:
    """A part in cells of a size, or less at its ends; the last axis is the fastest."""
    starts = (range(side.start, side.stop, length) for side, length in zip(part, cell, strict=True))
    return (overlap(placed(corner, cell), part) for corner in product(*starts))


def touched(part: Slices, cell: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Slices]]:
    """The cells that have pixels of a part, of a grid that covers the array: the number of each along every
    axis, and the cell, which may reach beyond the array. The last axis is the fastest.
    """
    sides = zip(part, cell, strict=True)
    numbers = (range(side.start // length, ceil(side.stop / length)) for side, length in sides)
    for place in product(*numbers):
        yield place, placed([i * length for i, length in zip(place, cell, strict=True)], cell)
