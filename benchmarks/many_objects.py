"""Processor time to match 100,000 objects, and to link 5,000 objects per frame through four frames.

python benchmarks/many_objects.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import records

from reunet.metrics.matching import match_counts
from reunet.metrics.object_overlap import object_overlap
from reunet.tasks.instances.linking import Linker, Linking

FRAMES, SIDE, CELL = 4, 72, 12


def matching() -> dict[str, float]:
    """Square objects, and the same moved by a pixel: each shares pixels with four."""
    truth = np.arange(1, 100_001).reshape(250, 400).repeat(6, axis=0).repeat(6, axis=1)
    predicted = np.roll(truth, (1, 1), axis=(0, 1))
    return {"objects": 100_000, **timed(lambda: match_counts(object_overlap(truth, predicted)))}


def linking() -> dict[str, float]:
    """SIDE x SIDE square objects that move by up to a pixel, with other ids in every frame."""
    random = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(SIDE) * CELL + 6] * 2, indexing="ij"), -1).reshape(-1, 2)
    frames = []
    for _ in range(FRAMES):
        frame = np.zeros((SIDE * CELL, SIDE * CELL), np.int32)
        ids = 3 * random.permutation(len(grid)) + 2
        for (y, x), number in zip(grid + random.integers(-1, 2, grid.shape), ids, strict=True):
            frame[y - 5 : y + 5, x - 5 : x + 5] = number
        frames.append(frame)
    return {"objects per frame": len(grid), "frames": FRAMES, **timed(lambda: link(frames))}


def link(frames: list[np.ndarray]) -> None:
    linker = Linker(Linking())
    for _ in linker.link(frames):
        pass
    linker.lineage()


def timed(action: Callable[[], object]) -> dict[str, float]:
    """Time of the second call; the first one loads what it needs."""
    action()
    began = time.process_time()
    action()
    return {"processor seconds": round(time.process_time() - began, 2)}


def main() -> None:
    for name, measure in (("matching", matching), ("linking", linking)):
        if not records.is_done("many_objects", {"what": name}):
            records.append("many_objects", {"what": name}, measure())


if __name__ == "__main__":
    main()
