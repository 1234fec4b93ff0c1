"""What a training is told beside its network and its images."""

from __future__ import annotations

from dataclasses import dataclass

from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.progress import Progress
from reunet.training.team import ALONE, Team


@dataclass(frozen=True)
class Setting:
    """What a training follows, where it writes and who takes part.

    started: `time.monotonic()` of the moment from which the minutes count.
    threads: background threads that prepare batches. team: the processes that train together.
    """

    plan: Plan
    run: RunFolder
    progress: Progress
    started: float
    threads: int = 2
    team: Team = ALONE
