"""From a dot on, through all tiles that what it belongs to reaches."""

from itertools import product

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.inference.tiling import Network, Outputs, Tiling, predict_tiled
from reunet.sampling.prompt import Points, dots
from reunet.slices import Slices

HEAD = "semantic"


def followed(
    network: Network, pixels: np.ndarray, points: Points, tiling: Tiling, labels: LabelMap
) -> Outputs:
    """What the network says of an image (*space, C) float32 that is asked by points, by the head's name.

    Tiles without a dot are background. Where what was found reaches into one of them, it gets a dot, on the
    pixel that lies deepest in the tile, and all are asked again; at most once for each tile.
    """
    size, points = pixels.shape[:-1], list(points)
    axes = tiling.cut(size)
    starts = product(*(axis.starts for axis in axes))
    tiles = [tuple(slice(a, a + n) for a, n in zip(start, tiling.outputs, strict=True)) for start in starts]

    def has_dot(part: Slices) -> bool:
        return any(
            all(side.start <= round(at) < side.stop for side, at in zip(part, point, strict=True))
            for point in points
        )

    def answers(shown: np.ndarray) -> Outputs:
        is_asked = shown[..., -1:].max(axis=tuple(range(1, shown.ndim)), keepdims=True) > 0
        return {head: values * is_asked for head, values in network(shown).items()}

    while True:
        shown = np.concatenate([pixels, dots(points, size)], axis=-1)
        heads = predict_tiled(answers, shown, tiling, has_dot)
        values = heads[HEAD]
        values[..., labels.background or 0] += 1 - values.sum(axis=-1)
        found = np.argwhere(np.isin(values.argmax(axis=-1), labels.foreground))
        reached = [_deepest(found, tile) for tile in tiles if not has_dot(tile)]
        new = [point for point in reached if point is not None]
        if not new:
            return heads
        points += new


def _deepest(found: np.ndarray, tile: Slices) -> tuple[float, ...] | None:
    """The place of `found` (n, rank) that is furthest from the border of a tile; None where none is in it."""
    low, high = (np.array([getattr(side, end) for side in tile]) for end in ("start", "stop"))
    inside = found[np.all((found >= low) & (found < high), axis=1)]
    if not len(inside):
        return None
    depth = np.minimum(inside - low, high - 1 - inside).min(axis=1)
    return tuple(map(float, inside[depth.argmax()]))
