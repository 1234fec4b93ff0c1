"""How unlike each other images are, and an order in which no two of the first look alike.

The order is greedy, as of core-sets (Sener and Savarese 2018, arXiv 1708.00489): next comes the image whose
doubt times its distance to what was chosen, or is labelled already, is largest.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIDE = 128
"""Pixels of the sketch that an image is described by."""

LEVELS = 3


def described(image: np.ndarray) -> NDArray[np.float64]:
    """What an image (*space, C) looks like in 30 numbers: its brightness and colours, edges and their
    size.
    """
    import cv2

    plane = image[image.shape[0] // 2] if image.ndim == 4 else image
    pixels = plane.astype(np.float32)
    pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, axis=-1)
    if image.dtype.kind in "iu":
        pixels = pixels / np.iinfo(image.dtype).max
    sketch = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    grey = sketch.mean(axis=-1)
    parts = [sketch.mean(axis=(0, 1)), sketch.std(axis=(0, 1)), np.quantile(grey, np.linspace(0, 1, 9))]
    parts.append([np.ptp(sketch, axis=-1).mean(), *np.log2(plane.shape[:2])])
    for _ in range(LEVELS):
        edges = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)]
        parts.append([*edges, (grey - cv2.blur(grey, (5, 5))).std(), grey.std()])
        grey = cv2.pyrDown(grey)
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)


def greedy(
    doubt: Sequence[float], looks: NDArray[np.float64], labelled: NDArray[np.float64], count: int
) -> list[tuple[int, float]]:
    """The first `count` images in their order, each with its distance to the nearest one before it or
    labelled, as a share of the largest distance of all; 1 for the first one where nothing is labelled.

    doubt: of each image, 0..1. looks, labelled: (n, k), (m, k) as `described` gives them.
    """
    if not len(looks):
        return []
    labelled = labelled.reshape(-1, looks.shape[1])
    together = np.concatenate([looks, labelled])
    scale = together.std(axis=0)
    looks, labelled = (part / np.where(scale > 0, scale, 1.0) for part in (looks, labelled))
    ranks = np.argsort(np.argsort(doubt, kind="stable"), kind="stable")
    worth = (1.0 + ranks) / max(1, len(ranks))
    nearest = np.full(len(looks), np.inf)
    for row in labelled:
        nearest = np.minimum(nearest, np.linalg.norm(looks - row, axis=1))
    widest = (
        max((float(np.linalg.norm(looks - row, axis=1).max()) for row in looks[:256]), default=1.0) or 1.0
    )
    left, order = np.ones(len(looks), bool), []
    for _ in range(min(count, len(looks))):
        distance = np.where(np.isinf(nearest), 1.0, nearest / widest)
        gain = np.where(left, worth * (0.05 + distance), -1.0)
        chosen = int(np.argmax(gain))
        order.append((chosen, float(min(1.0, distance[chosen]))))
        left[chosen] = False
        nearest = np.minimum(nearest, np.linalg.norm(looks - looks[chosen], axis=1))
    return order
