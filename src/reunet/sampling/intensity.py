"""Raw pixel values to network inputs, the same in training and prediction."""

from __future__ import annotations

import numpy as np

from reunet.contracts.plan import Intensity

LOW, HIGH = 1.0, 99.8
"""Percentiles that become 0 and 1 with `image_percentile`."""

MAX_SAMPLES = 4_000_000
"""Pixels looked at for percentiles; more would only cost time."""


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
    flat = scale <= 1e-6 * np.maximum(1e-6, np.abs(offset))
    return offset.astype(np.float32), np.where(flat, 1.0, scale).astype(np.float32)


def normalise(image: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Normalised (*space, C) float32."""
    return scaled(image.astype(np.float32), intensity, *affine(image, intensity))


def scaled(image: np.ndarray, intensity: Intensity, offset: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(image - offset) / scale within the limits of `intensity`; (*space, C) float32."""
    normalised: np.ndarray = (image - offset) / scale
    return normalised if intensity.limit is None else np.clip(normalised, *intensity.limit)
