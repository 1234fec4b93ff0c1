"""How long to train and how fast to learn at each step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from reunet.contracts.plan import Schedule

POWER = 0.9
"""Exponent of the polynomial decay, as in nnU-Net."""


@dataclass(frozen=True)
class Timeline:
    """The steps of a training: `total` of them; from `changed_at` on they were laid out anew.

    progress_then: the progress (0..1) that had been reached at `changed_at`.
    """

    total: Annotated[int, Field(ge=1, le=2**40)]
    changed_at: Annotated[int, Field(ge=0, le=2**40)] = 0
    progress_then: Annotated[float, Field(ge=0, le=1)] = 0.0

    def progress(self, step: int) -> float:
        """Share of the training done before `step`, 0..1."""
        left = max(1, self.total - self.changed_at)
        done = min(max(step - self.changed_at, 0) / left, 1.0)
        return self.progress_then + (1.0 - self.progress_then) * done

    def relaid(self, step: int, total: int) -> Timeline:
        """A timeline that ends at `total` steps and goes on from today's progress."""
        return replace(self, total=max(total, step + 1), changed_at=step, progress_then=self.progress(step))


def learning_rate(schedule: Schedule, progress: float) -> float:
    """Linear warm-up, then peak * (1 - t)^0.9, which is zero when the budget is."""
    if progress < schedule.warmup:
        return schedule.learning_rate * (progress + 1e-3) / (schedule.warmup + 1e-3)
    remaining = (1.0 - progress) / (1.0 - schedule.warmup)
    return float(schedule.learning_rate * max(remaining, 0.0) ** POWER)


def due(timeline: Timeline, step: int, count: int) -> bool:
    """Whether something that happens `count` times, evenly spread, happens after `step` steps.

    The last time is at the end. Stays right when the steps are laid out anew.
    """
    before, now = timeline.progress(step - 1), timeline.progress(step)
    return step >= timeline.total or int(now * count + 1e-9) > int(before * count + 1e-9)
