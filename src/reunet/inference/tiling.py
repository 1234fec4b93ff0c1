"""A whole image from overlapping tiles, blended so that no seam shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from reunet.errors import ModelFileError

Network = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Tiles (B, h, w, C) float32 to {head: (B, h', w', K) float32}."""


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
    tile: tuple[int, int],
    overlap: float,
    margin: tuple[int, int] = (0, 0),
    batch: int = 8,
) -> dict[str, np.ndarray]:
    """Predict an image of any size.

    Parameters
    ----------
    network: tiles (B, *tile, C) float32 to {head: (B, h', w', K) float32}.
    image: (H, W, C) float32, H and W at least 1.
    tile: (h, w) that the network gets. overlap: share of a tile's output that two tiles have in common.
    margin: pixels per side by which h' and w' are smaller than the tile.
    batch: tiles per call of the network.

    The image is mirrored at its borders where a tile reaches beyond it (the overlap-tile strategy of
    Ronneberger et al. 2015). Returns {head: (H, W, K) float32}. Raises ModelFileError, naming the
    tile, when the network gives NaN or infinity.
    """
    height, width = image.shape[:2]
    inner = (tile[0] - 2 * margin[0], tile[1] - 2 * margin[1])
    pads = [
        pad_axis(size, side, edge) for size, side, edge in zip((height, width), inner, margin, strict=True)
    ]
    padded = np.pad(image, (*pads, (0, 0)), mode="reflect") if any(map(any, pads)) else image
    rows, columns = (cut_axis(size, side, overlap) for size, side in zip((height, width), inner, strict=True))
    full = (max(height, inner[0]), max(width, inner[1]))

    sums: dict[str, np.ndarray] = {}
    grid = list(product(range(len(rows.starts)), range(len(columns.starts))))
    for first in range(0, len(grid), batch):
        group = grid[first : first + batch]
        starts = [(rows.starts[r], columns.starts[c]) for r, c in group]
        tiles = np.stack([padded[y : y + tile[0], x : x + tile[1]] for y, x in starts])
        for head, outputs in network(tiles).items():
            if head not in sums:
                sums[head] = np.zeros((*full, outputs.shape[-1]), np.float32)
            for (r, c), (y, x), output in zip(group, starts, outputs, strict=True):
                _check_finite(output, y, x, inner)
                weights = rows.weights[r][:, None, None] * columns.weights[c][None, :, None]
                sums[head][y : y + inner[0], x : x + inner[1]] += output * weights

    top, left = pads[0][0] - margin[0], pads[1][0] - margin[1]
    return {head: values[top : top + height, left : left + width] for head, values in sums.items()}


def _check_finite(output: np.ndarray, y: int, x: int, size: tuple[int, int]) -> None:
    # The sum of a tile is finite exactly when its values are: probabilities cannot overflow it.
    if not np.isfinite(output.sum(dtype=np.float64)):
        raise ModelFileError(
            "the network's output is not finite",
            where=f"tile at row {y}, column {x}, {size[0]} x {size[1]} pixels",
            expected="numbers",
            received=f"{np.count_nonzero(~np.isfinite(output))} values that are NaN or infinite",
            fix="try --precision f32; if it stays, the weights of this run are damaged: train again",
        )
