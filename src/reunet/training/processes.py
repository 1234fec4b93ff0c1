"""Training on several processes or hosts: each computes its part of every batch, all hold the same weights.

JAX does the arithmetic: a step is one computation over the devices of all processes (`keras.distribution`),
so losses and gradients are those of the whole batch. What depends on the clock or on a signal is decided by
the first process, which alone validates and writes files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from reunet.errors import TrainingError, UsageError

PATIENCE_S = 60
"""Until processes that do not come are given up."""


@dataclass(frozen=True)
class Team:
    """The processes of a training. count: how many. number: of this one, 0 for the first. A team of one is no
    team: nothing is asked of it.
    """

    count: int = 1
    number: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process decides and writes."""
        return self.number == 0

    def share(self, batch: int) -> range:
        """The places of a batch that this process fills. Raises UsageError for a batch that cannot be shared
        out evenly.
        """
        if batch % self.count:
            raise UsageError(
                "the batch cannot be shared out evenly",
                where="--processes",
                expected=f"a divisor of the batch of {batch}",
                received=self.count,
                fix="use another number of processes, or set `batch` in a plan for --plan",
            )
        part = batch // self.count
        return range(self.number * part, (self.number + 1) * part)

    def agree(self, values: Sequence[float]) -> list[float]:
        """The values of the first process; every process gives as many. All wait for each other."""
        if self.count == 1:
            return list(values)
        from jax.experimental import multihost_utils

        with self.watched():
            return [
                float(value) for value in multihost_utils.broadcast_one_to_all(np.array(values, np.float32))
            ]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """What all do together: when another process has ended, that is a TrainingError here."""
        if self.count == 1:
            yield
            return
        import jax

        try:
            yield
        except jax.errors.JaxRuntimeError as cause:
            raise TrainingError(
                "another process of this training has ended",
                where=f"process {self.number} of {self.count}",
                received=str(cause).splitlines()[0],
                fix="start all of them again with --resume: it goes on from the last checkpoint",
            ) from cause

    def spread(self) -> None:
        """From now on, variables that are made are the same on all processes, and batches are shared."""
        if self.count == 1:
            return
        import jax
        import keras

        devices = [f"{device.platform}:{device.id}" for device in jax.devices()]
        mesh = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
        keras.distribution.set_distribution(mesh)

    def leave(self) -> None:
        """Wait for the others, and be alone from now on."""
        if self.count == 1:
            return
        import jax
        import keras

        keras.distribution.set_distribution(None)
        with self.watched():
            jax.distributed.shutdown()


ALONE = Team()


def join(count: int, number: int, coordinator: str) -> Team:
    """Become one of `count` processes that meet at `coordinator`, HOST:PORT of the first one.

    Call before anything is computed. Raises TrainingError when they do not meet in time.
    """
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    options: dict[str, Any] = {"initialization_timeout": PATIENCE_S}
    try:
        jax.distributed.initialize(coordinator, count, number, **options)
    except (RuntimeError, ValueError) as cause:
        raise TrainingError(
            "the processes of this training did not meet",
            where=f"process {number} of {count}, at {coordinator}",
            received=str(cause).splitlines()[0],
            fix="start every process with the same --processes and --coordinator, which all must reach",
        ) from cause
    return Team(count, number)
