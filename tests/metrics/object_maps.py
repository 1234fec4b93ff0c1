"""Random instance maps, shared by the tests of the scores of objects."""

from __future__ import annotations

import numpy as np

IDS = (3, 17, 5, 1, 40, 8, 2, 99)


def blobs(seed: int, shape: tuple[int, ...] = (24, 26), n: int = 6) -> np.ndarray:
    """Boxes thrown at random, the later over the earlier: some hidden, some in parts; ids are not dense."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape, np.int32)
    for i in IDS[:n]:
        low = [rng.integers(-2, s - 2) for s in shape]
        image[tuple(slice(max(a, 0), a + rng.integers(2, 10)) for a in low)] = i
    return image


def disturbed(truth: np.ndarray, seed: int) -> np.ndarray:
    """A prediction of some quality: moved by a pixel or two, an object lost, one split, one invented."""
    rng = np.random.default_rng(seed)
    image = np.roll(truth, rng.integers(-2, 3, truth.ndim), axis=tuple(range(truth.ndim)))
    ids = np.unique(image[image > 0])
    if len(ids) > 2:
        lost, split = rng.choice(ids, 2, replace=False)
        image[image == lost] = 0
        half = (np.indices(image.shape)[0] > np.argwhere(image == split)[:, 0].mean()) & (image == split)
        image[half] = 200
    image[tuple(slice(0, 3) for _ in image.shape)] = 201
    return image


def renumbered(image: np.ndarray, seed: int) -> np.ndarray:
    """The same objects under other ids."""
    table = np.r_[0, np.random.default_rng(seed).permutation(int(image.max()) + 1) + 1][
        : int(image.max()) + 1
    ]
    table[0] = 0
    return table[image].astype(np.int32)
