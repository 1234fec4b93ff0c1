"""Raw pixel values to network inputs, the same in training and prediction."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from reunet.contracts.plan import Intensity

Box = tuple[slice, ...]

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
        moments = _Moments()
        moments.add(image)
        offset, scale = moments.mean, moments.deviation
    else:
        pixels = image.reshape(-1, image.shape[-1])
        pixels = pixels[:: max(1, len(pixels) // MAX_SAMPLES)]
        offset, high = np.percentile(pixels, (LOW, HIGH), axis=0)
        scale = high - offset
    return _usable(offset, scale)


class _Moments:
    """Mean and standard deviation of all pixels so far, per channel, float64 (C,)."""

    def __init__(self) -> None:
        self._count, self.mean, self._squares = 0, np.zeros(1), np.zeros(1)

    @property
    def deviation(self) -> np.ndarray:
        return np.sqrt(self._squares / self._count)

    def add(self, image: np.ndarray) -> None:
        """Count these pixels too, (*space, C)."""
        pixels = image.reshape(-1, image.shape[-1])
        for first in range(0, len(pixels), CHUNK):
            some = pixels[first : first + CHUNK].astype(np.float64)
            n = len(some)
            own = np.ones(n) @ some / n
            some -= own
            # Chan et al. 1979: means and sums of squares of parts are put together without cancellation.
            apart = (own - self.mean) ** 2 * self._count * n / (self._count + n)
            self._squares = self._squares + np.einsum("nc,nc->c", some, some) + apart
            self.mean = self.mean + (own - self.mean) * n / (self._count + n)
            self._count += n


def _usable(offset: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = scale <= 1e-6 * np.maximum(1e-6, np.abs(offset))
    return offset.astype(np.float32), np.where(flat, 1.0, scale).astype(np.float32)


def streamed_affine(
    parts: Iterable[tuple[Box, np.ndarray]], size: tuple[int, ...], intensity: Intensity
) -> tuple[np.ndarray, np.ndarray]:
    """The same of an image that comes in parts, each pixel once: slices per axis and the pixels (*part, C).

    Means and deviations are those of all pixels; percentiles are taken over the pixels that `affine` takes.
    """
    if intensity.method == "fixed":
        return affine(np.zeros(0), intensity)
    step = max(1, prod(size) // MAX_SAMPLES)
    sampled: list[np.ndarray] = []
    moments = _Moments()
    for part, pixels in parts:
        if intensity.method == "image_percentile":
            strides = [prod(size[axis + 1 :]) for axis in range(len(size))]
            places = np.ogrid[part]
            numbers = sum(axis * stride for axis, stride in zip(places, strides, strict=True))
            sampled.append(pixels[numbers % step == 0])
        else:
            moments.add(pixels)
    if intensity.method == "image_percentile":
        return affine(np.concatenate(sampled), intensity)
    return _usable(moments.mean, moments.deviation)


def normalise(image: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Normalised (*space, C) float32."""
    return scaled(image.astype(np.float32), intensity, *affine(image, intensity))


def scaled(image: np.ndarray, intensity: Intensity, offset: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(image - offset) / scale within the limits of `intensity`; (*space, C) float32."""
    lines = image.reshape(*image.shape[:-2], -1)  # NumPy is slow on a last axis of a few channels
    normalised = lines - np.tile(offset, image.shape[-2])
    normalised /= np.tile(scale, image.shape[-2])
    normalised = normalised.reshape(image.shape)
    return normalised if intensity.limit is None else np.clip(normalised, *intensity.limit)
