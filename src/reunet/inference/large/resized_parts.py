"""Parts of a resized image from the parts of the image that they depend on, as `resize` makes the whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from reunet.sampling.resize import AREA, CUBIC, LINEAR
from reunet.slices import Slices

SHARPNESS = -0.75
"""Slope of the cubic kernel one pixel beside its middle: -0.75 in OpenCV, -0.5 in Keys 1981."""

BARELY = 1e-3
"""A pixel of which no larger share is covered does not count in a mean over an area, as in OpenCV."""


@dataclass(frozen=True)
class Side:
    """An axis of `old` pixels that becomes one of `new`. way: LINEAR, CUBIC or AREA, see `resize`."""

    old: int
    new: int
    way: int = LINEAR

    def taps(self, part: slice) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """What the new pixels of a part are made of: old pixels (taps, n) and their weights (taps, n)."""
        numbers, step = np.arange(part.start, part.stop), self.old / self.new
        if self.old == self.new:
            return numbers[None], np.ones((1, len(numbers)), np.float32)
        if self.way == AREA:
            first, last = numbers * step, np.minimum((numbers + 1) * step, self.old)
            positions = np.floor(first) + np.arange(ceil(step) + 1)[:, None]
            weights = np.minimum(positions + 1, last) - np.maximum(positions, first)
            weights = np.where(weights > BARELY, weights, 0) / (last - first)
        else:
            centres = (numbers + 0.5) * step - 0.5
            beside = np.array([0, 1] if self.way == LINEAR else [-1, 0, 1, 2])[:, None]
            positions = np.floor(centres) + beside
            kernel = _cubic if self.way == CUBIC else _linear
            weights = kernel(np.abs(positions - centres))
        return np.clip(positions, 0, self.old - 1).astype(np.intp), weights.astype(np.float32)

    def source(self, part: slice) -> slice:
        """The old pixels that new ones are made of."""
        positions, _ = self.taps(part)
        return slice(int(positions.min()), int(positions.max()) + 1)


def sides_of(old: Sequence[int], new: Sequence[int], way: int = LINEAR) -> tuple[Side, ...]:
    """The axes of an image of size `old` that becomes one of size `new`."""
    return tuple(Side(a, b, way) for a, b in zip(old, new, strict=True))


def resized_part(
    read: Callable[[Slices], np.ndarray], sides: Sequence[Side], part: Slices
) -> NDArray[np.float32]:
    """A part of the resized image, (*part, C) float32. read: gives a part of the image, (*part, C)."""
    taps = [side.taps(new) for side, new in zip(sides, part, strict=True)]
    source = tuple(slice(int(places.min()), int(places.max()) + 1) for places, _ in taps)
    pixels = read(source).astype(np.float32, copy=False)
    for axis, (side, (places, weights), old) in enumerate(zip(sides, taps, source, strict=True)):
        if side.old == side.new:
            continue
        shape = [-1 if number == axis else 1 for number in range(pixels.ndim)]
        total = np.float32(0)
        for place, weight in zip(places - old.start, weights, strict=True):
            total = total + np.take(pixels, place, axis) * weight.reshape(shape)
        pixels = np.asarray(total)
    return pixels


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    near = ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * SHARPNESS - 4 * SHARPNESS
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))
