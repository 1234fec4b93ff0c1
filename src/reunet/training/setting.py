"""What a training is told beside its network and its images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.progress import Progress
from reunet.training.functions import NO_FUNCTIONS, Functions
from reunet.training.team import ALONE, Team

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Setting:
    """What a training follows, where it writes and who takes part.

    started: `time.monotonic()` of the moment from which the minutes count.
    threads: background threads that prepare batches. team: the processes that train together.
    functions: of the caller.
    """

    plan: Plan
    run: RunFolder
    progress: Progress
    started: float
    threads: int = 2
    team: Team = ALONE
    functions: Functions = NO_FUNCTIONS

    def with_callback(self, callback: keras.callbacks.Callback) -> Setting:
        """The same with one more who watches."""
        functions = replace(self.functions, callbacks=(*self.functions.callbacks, callback))
        return replace(self, functions=functions)
