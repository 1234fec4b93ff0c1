"""Raw pixel values to network inputs, the same in training and prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

import numpy as np

from reunet.contracts.plan import Intensity

Box = tuple[slice, ...]

LOW, HIGH = 1.0, 99.8
"""Percentiles that become 0 and 1 with `image_percentile`."""

MAX_SAMPLES = 4_000_000
"""Pixels looked at for percentiles; more would only cost time."""

CHUNK = 2**20
"""Pixels whose mean is taken at a time, in 64 bits."""


def affine(image: np.ndarray, intensity: Intensity) -> tuple[np.ndarray, np.ndarray]:
    """Offset and scale per channel, float32 (C,), such that (image - offset) / scale is normalised.

    image: (*space, C), any real dtype. A constant channel gets scale 1, so the result stays finite.
    """
    if intensity.method == "fixed":
        offset, scale = np.array(intensity.offset), np.array(intensity.scale)
    elif intensity.method == "image_zscore":
        pixels = image.reshape(-1, image.shape[-1])
        offset, scale = pixels.mean(0, dtype=np.float64), pixels.std(0, dtype=np.float64)
    else:
        pixels = image.reshape(-1, image.shape[-1])
        pixels = pixels[:: max(1, len(pixels) // MAX_SAMPLES)]
        offset, high = np.percentile(pixels, (LOW, HIGH), axis=0)
        scale = high - offset
    return _usable(offset, scale)


def _usable(offset: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = scale <= 1e-6 * np.maximum(1e-6, np.abs(offset))
    return offset.astype(np.float32), np.where(flat, 1.0, scale).astype(np.float32)


def streamed_affine(
    read: Callable[[Box], np.ndarray], parts: Iterable[Box], size: tuple[int, ...], intensity: Intensity
) -> tuple[np.ndarray, np.ndarray]:
    """The same of an image that is read part by part, each pixel once: (*part, C) from slices per axis.

    Means and deviations are those of all pixels; percentiles are taken over the pixels that `affine` takes.
    """
    if intensity.method == "fixed":
        return affine(np.zeros(0), intensity)
    step = max(1, prod(size) // MAX_SAMPLES)
    sampled: list[np.ndarray] = []
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for part in parts:
        pixels = read(part)
        if intensity.method == "image_percentile":
            strides = [prod(size[axis + 1 :]) for axis in range(len(size))]
            places = np.ogrid[part]
            numbers = sum(axis * stride for axis, stride in zip(places, strides, strict=True))
            sampled.append(pixels[numbers % step == 0])
            continue
        pixels = pixels.reshape(-1, pixels.shape[-1])
        for some in np.split(pixels, range(CHUNK, len(pixels), CHUNK)):
            n, own = len(some), some.mean(0, dtype=np.float64)
            # Chan et al. 1979: means and sums of squares of parts are put together without cancellation.
            squares = (
                squares + some.var(0, dtype=np.float64) * n + (own - mean) ** 2 * count * n / (count + n)
            )
            mean = mean + (own - mean) * n / (count + n)
            count += n
    if intensity.method == "image_percentile":
        return affine(np.concatenate(sampled), intensity)
    return _usable(mean, np.sqrt(squares / count))


def normalise(image: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Normalised (*space, C) float32."""
    return scaled(image.astype(np.float32), intensity, *affine(image, intensity))


def scaled(image: np.ndarray, intensity: Intensity, offset: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(image - offset) / scale within the limits of `intensity`; (*space, C) float32."""
    normalised: np.ndarray = (image - offset) / scale
    return normalised if intensity.limit is None else np.clip(normalised, *intensity.limit)
