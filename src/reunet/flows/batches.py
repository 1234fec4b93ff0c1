"""Batches of a plan as Keras takes them, and any loop in Python."""

from collections.abc import Iterator

import keras
import numpy as np

from reunet.sampling.patches import PatchSampler, batches

Targets = np.ndarray | dict[str, np.ndarray]


class Batches(keras.utils.PyDataset):
    """Batches of a dataset as its plan cuts, augments and normalises them.

    Iterating gives `len` batches, sampled ahead by threads; `batches[k]` is batch k, a pure function of the
    seed and k. Keras' `fit(batches, epochs=N)` gets others in every epoch. A batch is (images, targets):
    images (B, [T,] *patch, C) float32; targets, such as labels (B, [T,] *patch) int32 with 255 where nothing
    is known, or a dict of them by head where the plan has several.
    """

    def __init__(self, sampler: PatchSampler, steps: int, threads: int) -> None:
        super().__init__(workers=max(1, threads))
        self.plan, self._sampler = sampler.plan, sampler
        self._steps, self._threads, self._first = steps, threads, 0

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, k: int) -> tuple[np.ndarray, Targets]:
        if not 0 <= k < self._steps:
            raise IndexError(f"batch {k} of {self._steps}")
        return self._batch(self._sampler.batch(self._first + k))

    def __iter__(self) -> Iterator[tuple[np.ndarray, Targets]]:
        end = self._first + self._steps
        yield from map(self._batch, batches(self._sampler, self._first, end, threads=self._threads))

    def on_epoch_end(self) -> None:
        """Called by Keras: the next epoch shows other patches."""
        self._first += self._steps

    @staticmethod
    def _batch(batch: tuple[np.ndarray, dict[str, np.ndarray]]) -> tuple[np.ndarray, Targets]:
        images, targets = batch
        return images, next(iter(targets.values())) if len(targets) == 1 else targets
