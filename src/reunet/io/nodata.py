"""Pixels of which a file says that nothing is known (GDAL's nodata)."""

from collections.abc import Iterable

import numpy as np

from reunet.slices import Slices, all_of, grid

SAMPLED = 16
"""Parts of an image that tell its usual values."""

SIDE = 512
"""Pixels per side of such a part, at most."""


def _is_nodata(pixels: np.ndarray, nodata: float | None) -> np.ndarray:
    """(*space, C) bool, which samples have that value, or are NaN where that is it."""
    if nodata is None or (np.isnan(nodata) and pixels.dtype.kind != "f"):
        return np.zeros(pixels.shape, bool)
    if np.isnan(nodata):
        return np.isnan(pixels)
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):  # of a value that samples cannot have
            return np.asarray(pixels == pixels.dtype.type(nodata))
    return np.asarray(pixels == nodata)


def is_known(pixels: np.ndarray, nodata: float | None) -> np.ndarray:
    """Where something is known of an image (*space, C): (*space) bool, where not all channels are nodata."""
    return np.logical_not(_is_nodata(pixels, nodata).all(axis=-1))


def filled(pixels: np.ndarray, nodata: float, value: np.ndarray) -> np.ndarray:
    """An image (*space, C) with `value` (C,) where it has no data: of whole numbers where no channel has any,
    since such a value may also be a measurement; of others in each channel.
    """
    missing = _is_nodata(pixels, nodata)
    if pixels.dtype.kind != "f":
        missing = np.broadcast_to(missing.all(axis=-1, keepdims=True), pixels.shape)
    return np.where(missing, value.astype(pixels.dtype), pixels) if missing.any() else pixels


def sample_parts(size: tuple[int, ...], piece: tuple[int, ...]) -> list[Slices]:
    """Some parts of an image, evenly spread, of at most SIDE pixels and at least a piece per side."""
    rows, columns = (max(SIDE // side, 1) * side for side in piece)
    step = max(piece[0], rows * SIDE // max(SIDE, columns) // piece[0] * piece[0]), columns
    parts = list(grid(all_of(size), step))
    return parts[:: max(1, len(parts) // SAMPLED)][:SAMPLED]


def usual(parts: Iterable[np.ndarray], nodata: float) -> np.ndarray:
    """The median of each channel over the pixels (h, w, C) of some parts that something is known of, (C,)."""
    pixels = np.concatenate([part[is_known(part, nodata)] for part in parts])
    lacks = _is_nodata(pixels, nodata) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, bool)
    columns = [values[~missing] for values, missing in zip(pixels.T, lacks.T, strict=True)]
    return np.array([np.median(some) if len(some) else 0 for some in columns])
