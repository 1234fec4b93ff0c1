"""The processes that train together, as each of them sees it; one process is a team of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from reunet.contracts.plan import Plan

if TYPE_CHECKING:
    import keras


class Team(Protocol):
    """What the loop asks of the processes that train together (see `processes.py`).

    is_first: whether this process decides, validates and writes.
    """

    @property
    def is_first(self) -> bool: ...

    def share(self, batch: int) -> range:
        """The places of a batch that this process fills. Raises UsageError for a batch that cannot be shared
        out evenly.
        """

    def agree(self, values: Sequence[float]) -> list[float]:
        """The values of the first process; every process gives as many. All wait for each other."""

    def watched(self) -> AbstractContextManager[None]:
        """What all do together: when another process has ended, that is a TrainingError here."""

    def spread(self, model: keras.Model, plan: Plan) -> keras.Model:
        """The compiled `model` of `plan` as it is trained: the same on all processes, which share batches."""

    def leave(self) -> None:
        """Wait for the others, and be alone from now on."""


class Alone:
    """One process, which waits for nobody."""

    is_first = True

    def share(self, batch: int) -> range:
        return range(batch)

    def agree(self, values: Sequence[float]) -> list[float]:
        return list(values)

    def watched(self) -> AbstractContextManager[None]:
        return nullcontext()

    def spread(self, model: keras.Model, plan: Plan) -> keras.Model:
        return model

    def leave(self) -> None:
        pass


ALONE = Alone()
