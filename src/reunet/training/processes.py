"""Training on several processes or hosts: each computes its part of every batch, all hold the same weights.

JAX does the arithmetic: a step is one computation over the devices of all processes (`keras.distribution`),
so losses and gradients are those of the whole batch. What depends on the clock or on a signal is decided by
the first process, which alone validates and writes files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from reunet.contracts.plan import Plan
from reunet.errors import TrainingError, UsageError
from reunet.training.team import Team

if TYPE_CHECKING:
    import keras

PATIENCE_S = 60
"""Until processes that do not come are given up."""


class Processes(Team):
    """A team of `count` processes, seen from the one of that `number`, 0 for the first."""

    def __init__(self, count: int, number: int) -> None:
        self.count, self.number, self.is_first = count, number, number == 0

    def share(self, batch: int) -> range:
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
        from jax.experimental import multihost_utils

        with self.watched():
            agreed = multihost_utils.broadcast_one_to_all(np.array(values, np.float32))
        return [float(value) for value in agreed]

    @contextmanager
    def watched(self) -> Iterator[None]:
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

    def spread(self, model: keras.Model, plan: Plan) -> keras.Model:
        """A second model with the same values, whose variables lie on the devices of all processes."""
        import jax
        import keras

        from reunet.training.compile import compiled_network
        from reunet.training.state import capture, restore

        devices = [f"{device.platform}:{device.id}" for device in jax.devices()]
        mesh = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
        keras.distribution.set_distribution(mesh)
        trained = compiled_network(plan)
        restore(trained, capture(model))
        return trained

    def leave(self) -> None:
        import jax
        import keras

        keras.distribution.set_distribution(None)
        with self.watched():
            jax.distributed.shutdown()


def join(count: int, number: int, coordinator: str) -> Processes:
    """Become one of `count` processes that meet at `coordinator`, HOST:PORT of the first one.

    Call before anything is computed. Raises TrainingError when they do not meet in time.
    """
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(coordinator, count, number, initialization_timeout=PATIENCE_S)
    except (RuntimeError, ValueError) as cause:
        raise TrainingError(
            "the processes of this training did not meet",
            where=f"process {number} of {count}, at {coordinator}",
            received=str(cause).splitlines()[0],
            fix="start every process with the same --processes and --coordinator, which all must reach",
        ) from cause
    return Processes(count, number)
