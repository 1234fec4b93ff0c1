"""Batches ahead of time: grain threads sample while the network trains."""

from __future__ import annotations

from collections.abc import Iterator

import cv2

from reunet.sampling.patches import Batch, PatchSampler

AHEAD = 4
"""Batches kept ready: enough to bridge a slow one, few enough that timing the first steps sees their cost."""


def batches(sampler: PatchSampler, start: int, stop: int, *, threads: int = 2) -> Iterator[Batch]:
    """Batches start .. stop-1 in order. threads: how many sample in the background; 0 for none.

    Resuming is starting elsewhere: batch k does not depend on what was read before. An exception in a
    thread is raised here, with its cause.
    """
    cv2.setNumThreads(1)  # the threads below are the parallelism; more would only compete
    if threads == 0:
        return map(sampler.batch, range(start, stop))
    import grain

    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=AHEAD)
    return iter(grain.MapDataset.range(start, stop).map(sampler.batch).to_iter_dataset(options))
