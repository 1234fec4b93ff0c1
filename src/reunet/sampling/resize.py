"""Bring an image or a volume to another number of pixels, a case to another spacing."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from reunet.datasets.cache import CaseArrays, Entry, cached

LINEAR, CUBIC = cv2.INTER_LINEAR, cv2.INTER_CUBIC


def size_at(size: tuple[int, ...], spacing: tuple[float, ...], target: tuple[float, ...]) -> tuple[int, ...]:
    """The size at which an image of `size` and `spacing` has the spacing `target`, at least 1 per axis."""
    return tuple(max(1, round(n * a / b)) for n, a, b in zip(size, spacing, target, strict=True))


def resize(array: np.ndarray, size: tuple[int, ...], interpolation: int = LINEAR) -> np.ndarray:
    """`array` (*space, C) float32 at `size`; first and last pixel cover the same ground as before.

    interpolation: LINEAR or CUBIC. Beyond the edge the image goes on as its last pixel.
    """
    if array.shape[:-1] == size:
        return array
    if len(size) == 2:
        flat = cv2.resize(array, (size[1], size[0]), interpolation=interpolation)
        return flat.reshape(*size, array.shape[-1])
    slices = np.stack([resize(one, size[1:], interpolation) for one in array])
    across = slices.reshape(len(slices), -1)  # one row per slice: the rows are what is left to resize
    across = cv2.resize(across, (across.shape[1], size[0]), interpolation=interpolation)
    return across.reshape(*size, array.shape[-1])


def resize_labels(labels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """`labels` (*space) uint8 at `size`: the value whose linearly resized mask is largest, at every pixel."""
    if labels.shape == size:
        return labels
    result, largest = np.zeros(size, np.uint8), np.full(size, -1.0, np.float32)
    for value in np.unique(labels):
        share = resize((labels == value).astype(np.float32)[..., None], size)[..., 0]
        result[share > largest] = value
        np.maximum(largest, share, out=largest)
    return result


def at_spacing(case: CaseArrays, spacing: tuple[float, ...] | None) -> CaseArrays:
    """The case with voxels of `spacing` in mm, through the cache: images cubic, labels by linear votes.

    The case itself where it has that spacing or states none, or where `spacing` is None.
    """
    if spacing is None or case.spacing is None:
        return case
    size = size_at(case.image.shape[:-1], case.spacing, spacing)
    if size == case.image.shape[:-1]:
        return case
    key = hashlib.sha256(f"{case.key or case.content} at {spacing}".encode()).hexdigest()
    labels = case.labels

    def make() -> tuple[np.ndarray, np.ndarray | None]:
        image = resize(case.image.astype(np.float32), size, CUBIC)
        return image, None if labels is None else resize_labels(np.asarray(labels), size)

    return cached(Entry(key, case.id, case.content, spacing, labels is not None), make)
