"""The processes that train together, as the loop sees them; one process is a team of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from reunet.contracts.plan import Plan

if TYPE_CHECKING:
    import keras


class Team:
    """What the loop asks of the processes that train together, here of one alone, which waits for nobody;
    see `processes.py` for several.

    is_first: whether this process decides, validates and writes.
    """

    is_first: bool = True

    def share(self, batch: int) -> range:
        """The places of a batch that this process fills. Raises UsageError for a batch that cannot be shared
        out evenly.
        """
        return range(batch)

    def agree(self, values: Sequence[float]) -> list[float]:
        """The values of the first process; every process gives as many. All wait for each other."""
        return list(values)

    def watched(self) -> AbstractContextManager[None]:
        """What all do together: when another process has ended, that is a TrainingError here."""
        return nullcontext()

    def spread(self, model: keras.Model, plan: Plan) -> keras.Model:
        """The compiled `model` of `plan` as it is trained: the same on all processes, which share batches."""
        return model

    def leave(self) -> None:
        """Wait for the others, and be alone from now on."""


ALONE = Team()
