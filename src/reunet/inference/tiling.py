"""A whole image from overlapping tiles, blended so that no seam shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np

from reunet.errors import ModelFileError

Network = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Tiles (B, *tile, C) float32 to {head: (B, *output, K) float32}."""


@dataclass(frozen=True)
class Axis:
    """How one axis of an image is cut: where the tiles' outputs begin, and how they are weighted.

    starts: first output pixel of each tile. weights: (tiles, tile output) float32; over all tiles the
    weights of a pixel sum to 1.
    """

    starts: tuple[int, ...]
    weights: np.ndarray


def tile_positions(size: int, tile: int, overlap: float) -> tuple[int, ...]:
    """First pixels of the tiles that cover `size` pixels, evenly spread.

    Two neighbours share at least `overlap` of a tile. The last tile ends exactly at `size`; a `size`
    of at most one tile gives (0,).
    """
    if size <= tile:
        return (0,)
    step = max(int(tile * (1 - overlap)), 1)
    count = -(-(size - tile) // step) + 1
    return tuple(round(i * (size - tile) / (count - 1)) for i in range(count))


def gaussian_window(tile: int) -> np.ndarray:
    """Weight of each pixel of a tile along one axis, (tile,) float32, 1 in the centre, always > 0.

    A Gaussian of sigma = tile / 8 (nnU-Net, Isensee et al. 2021): the border of a tile sees the least
    context, so it counts least.
    """
    distance = np.arange(tile) - (tile - 1) / 2
    window = np.exp(-0.5 * (distance / (tile / 8)) ** 2)
    return np.maximum(window, 1e-3).astype(np.float32)


def cut_axis(size: int, tile: int, overlap: float) -> Axis:
    """Tiles along one axis with weights that sum to 1 at every pixel."""
    starts = tile_positions(size, tile, overlap)
    window = gaussian_window(tile)
    total = np.zeros(max(size, tile), np.float64)
    for start in starts:
        total[start : start + tile] += window
    weights = np.stack([window / total[start : start + tile] for start in starts])
    return Axis(starts, weights.astype(np.float32))


def pad_axis(size: int, tile: int, margin: int) -> tuple[int, int]:
    """Pixels to add before and after an axis: up to one tile, centred, and `margin` on each side."""
    missing = max(tile - size, 0)
    return margin + missing // 2, margin + missing - missing // 2


def predict_tiled(
    network: Network,
    image: np.ndarray,
    tile: tuple[int, ...],
    overlap: float,
    margin: tuple[int, ...] | None = None,
    batch: int = 8,
) -> dict[str, np.ndarray]:
    """Predict an image or a volume of any size.

    Parameters
    ----------
    network: tiles (B, *tile, C) float32 to {head: (B, *output, K) float32}.
    image: (*space, C) float32, every axis at least 1.
    tile: the size that the network gets. overlap: share of a tile's output that two tiles have in common.
    margin: pixels per side by which the output is smaller than the tile, per axis; none by default.
    batch: tiles per call of the network.

    The image is mirrored at its borders where a tile reaches beyond it (the overlap-tile strategy of
    Ronneberger et al. 2015). Returns {head: (*space, K) float32}, and of a head that speaks of whole images
    the mean over the tiles, {head: (K,)}. Raises ModelFileError, naming the tile, when the network gives NaN
    or infinity.
    """
    size, margin = image.shape[:-1], margin or (0,) * len(tile)
    inner = tuple(side - 2 * edge for side, edge in zip(tile, margin, strict=True))
    pads = [pad_axis(*sides) for sides in zip(size, inner, margin, strict=True)]
    padded = np.pad(image, (*pads, (0, 0)), mode="reflect") if any(map(any, pads)) else image
    axes = [cut_axis(length, side, overlap) for length, side in zip(size, inner, strict=True)]
    full = tuple(max(length, side) for length, side in zip(size, inner, strict=True))

    sums: dict[str, np.ndarray] = {}
    grid = list(product(*(range(len(axis.starts)) for axis in axes)))
    for first in range(0, len(grid), batch):
        group = grid[first : first + batch]
        starts = [tuple(axis.starts[i] for axis, i in zip(axes, place, strict=True)) for place in group]
        tiles = np.stack([padded[_window(start, tile)] for start in starts])
        for head, outputs in network(tiles).items():
            if outputs.ndim == 2:
                sums[head] = sums.get(head, np.float32(0)) + outputs.sum(axis=0) / np.float32(len(grid))
                continue
            if head not in sums:
                sums[head] = np.zeros((*full, outputs.shape[-1]), np.float32)
            for place, start, output in zip(group, starts, outputs, strict=True):
                _check_finite(output, start, inner)
                along = [axis.weights[i] for axis, i in zip(axes, place, strict=True)]
                sums[head][_window(start, inner)] += output * reduce(np.multiply.outer, along)[..., None]

    corner = [before - edge for (before, _), edge in zip(pads, margin, strict=True)]
    return {head: x if x.ndim == 1 else x[_window(corner, size)] for head, x in sums.items()}


def _window(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + side) for first, side in zip(start, size, strict=True))


def _check_finite(output: np.ndarray, start: tuple[int, ...], size: tuple[int, ...]) -> None:
    # The sum of a tile is finite exactly when its values are: probabilities cannot overflow it.
    if not np.isfinite(output.sum(dtype=np.float64)):
        place = zip(("slice", "row", "column")[-len(start) :], start, strict=True)
        raise ModelFileError(
            "the network's output is not finite",
            where=f"tile at {', '.join(f'{name} {first}' for name, first in place)}, "
            f"{' x '.join(map(str, size))} pixels",
            expected="numbers",
            received=f"{np.count_nonzero(~np.isfinite(output))} values that are NaN or infinite",
            fix="try --precision f32; if it stays, the weights of this run are damaged: train again",
        )
