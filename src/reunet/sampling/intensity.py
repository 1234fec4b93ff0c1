"""Raw pixel values to network inputs, the same in training and prediction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod
from operator import add

import numpy as np

from reunet.contracts.plan import Intensity
from reunet.slices import Slices

LOW, HIGH = 1.0, 99.8
"""Percentiles that become 0 and 1 with `image_percentile`."""

MAX_SAMPLES = 4_000_000
"""Pixels looked at for percentiles; more would only cost time."""

CHUNK = 2**16
"""Pixels whose mean is taken at a time, in 64 bits: few enough to stay in the cache of a CPU."""


def affine(image: np.ndarray, intensity: Intensity) -> tuple[np.ndarray, np.ndarray]:
    """Offset and scale per channel, float32 (C,), such that (image - offset) / scale is normalised.

    image: (*space, C), any real dtype. A constant channel gets scale 1, so the result stays finite.
    """
    if intensity.method == "fixed":
        offset, scale = np.array(intensity.offset), np.array(intensity.scale)
    elif intensity.method == "image_zscore":
        moments = _moments(image)
        offset, scale = moments.mean, moments.deviation
    else:
        pixels = image.reshape(-1, image.shape[-1])
        pixels = pixels[:: max(1, len(pixels) // MAX_SAMPLES)]
        offset, high = np.percentile(pixels, (LOW, HIGH), axis=0)
        scale = high - offset
    return _usable(offset, scale)


def _usable(offset: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = scale <= 1e-6 * np.maximum(1e-6, np.abs(offset))
    return offset.astype(np.float32), np.where(flat, 1.0, scale).astype(np.float32)


@dataclass(frozen=True)
class _Moments:
    """Mean of some pixels, and their squared distances from it summed up, per channel, float64 (C,)."""

    count: int
    mean: np.ndarray
    squares: np.ndarray

    @property
    def deviation(self) -> np.ndarray:
        return np.sqrt(self.squares / self.count)

    def __add__(self, other: _Moments) -> _Moments:
        """Of both, without cancellation (Chan et al. 1979)."""
        count, apart = self.count + other.count, other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * (self.count * other.count / count)
        return _Moments(count, self.mean + apart * (other.count / count), squares)


def _moments(image: np.ndarray) -> _Moments:
    pixels = image.reshape(-1, image.shape[-1])
    parts = [pixels[first : first + CHUNK] for first in range(0, len(pixels), CHUNK)]
    if image.dtype == np.uint8:  # four times as fast
        return _moments_of_counts(reduce(add, map(_counts, parts)))
    return reduce(add, (_moments_at_once(part.astype(np.float64)) for part in parts))


def _counts(pixels: np.ndarray) -> np.ndarray:
    """How often each value of 8 bits is there, (256, C), of pixels (n, C)."""
    return np.stack([np.bincount(channel, minlength=256) for channel in pixels.T], axis=1)


def _moments_of_counts(counts: np.ndarray) -> _Moments:
    number, values = int(counts[:, 0].sum()), np.arange(len(counts))[:, None]
    mean = (values * counts).sum(axis=0) / number
    return _Moments(number, mean, ((values - mean) ** 2 * counts).sum(axis=0))


def _moments_at_once(pixels: np.ndarray) -> _Moments:
    mean = np.ones(len(pixels)) @ pixels / len(pixels)
    apart = pixels - mean
    return _Moments(len(pixels), mean, np.einsum("nc,nc->c", apart, apart))


class Statistics:
    """What `affine` needs to know of an image that comes in parts, each pixel once.

    size: of the image. intensity: how it is normalised.
    """

    def __init__(self, size: tuple[int, ...], intensity: Intensity) -> None:
        self._size, self._intensity = size, intensity
        self._sampled: list[np.ndarray] = []
        self._moments: _Moments | None = None

    def add(self, part: Slices, pixels: np.ndarray, counted: np.ndarray | None = None) -> None:
        """Count a part: its pixels (*part, C). counted: (*part) bool, those that count; None for all."""
        if self._intensity.method == "image_percentile":
            step = max(1, prod(self._size) // MAX_SAMPLES)
            strides = [prod(self._size[axis + 1 :]) for axis in range(len(self._size))]
            places = np.ogrid[part]
            numbers = sum(axis * stride for axis, stride in zip(places, strides, strict=True))
            chosen = numbers % step == 0
            self._sampled.append(pixels[chosen if counted is None else chosen & counted])
        elif counted is None or counted.any():
            found = _moments(pixels if counted is None else pixels[counted])
            self._moments = found if self._moments is None else self._moments + found

    def absorb(self, other: Statistics) -> None:
        """Count the parts that another one has counted."""
        self._sampled += other._sampled
        if other._moments is not None:
            self._moments = other._moments if self._moments is None else self._moments + other._moments

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """As `affine` of the whole image: percentiles over the pixels that it takes, means over all."""
        if self._moments is not None:
            return _usable(self._moments.mean, self._moments.deviation)
        return affine(np.concatenate(self._sampled or [np.zeros(0)]), self._intensity)


def normalise(image: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Normalised (*space, C) float32."""
    return scaled(image, intensity, *affine(image, intensity))


def scaled(image: np.ndarray, intensity: Intensity, offset: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(image - offset) / scale within the limits of `intensity`, in 32 bits; (*space, C) float32.

    image: of any real dtype, the whole or a part.
    """
    lines = image.reshape(*image.shape[:-2], -1)  # NumPy is slow on a last axis of a few channels
    normalised = np.subtract(lines, np.tile(offset, image.shape[-2]), dtype=np.float32)
    normalised /= np.tile(scale, image.shape[-2])
    normalised = normalised.reshape(image.shape)
    return normalised if intensity.limit is None else np.clip(normalised, *intensity.limit)
