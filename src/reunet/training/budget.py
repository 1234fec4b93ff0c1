"""Fit a training into the time the user gives: time the step, then fix the number of steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

VALIDATION_SHARE = 0.15
"""Share of the time that validation may take, at most."""

RESERVE_S = 2.0
"""Seconds kept for writing the last checkpoint."""

TOLERANCE = 0.01
"""Deviation of the expected number of steps that is worth laying them out anew."""

CAUTION = 0.98
"""Share of the time left that is laid out anew: a machine that slowed once may slow again."""

CHECK_PACE_AT = 0.6
"""Progress at which the pace is looked at again, once: late enough that little can change after it."""

TIMED_STEPS = 10
WARM_UP_STEPS = 3


def time_steps(step: Callable[[int], object]) -> float:
    """Mean seconds of a step, after warm-up steps that include compiling."""
    for k in range(WARM_UP_STEPS):
        step(k)
    began = time.monotonic()
    for k in range(WARM_UP_STEPS, WARM_UP_STEPS + TIMED_STEPS):
        step(k)
    return (time.monotonic() - began) / TIMED_STEPS


@dataclass(frozen=True)
class Spending:
    """How the seconds that are left are spent.

    steps: training steps. validations: how often the held-out cases are predicted.
    share_of_cases: the part of the held-out cases that is used each time.
    """

    steps: int
    validations: int
    share_of_cases: float


def spend(seconds: float, step_s: float, validation_s: float, wanted_validations: int) -> Spending:
    """Divide `seconds` between steps and validations (at most VALIDATION_SHARE for these).

    step_s, validation_s: measured seconds of one step, and of one validation of all held-out cases.
    """
    allowed = max(seconds * VALIDATION_SHARE, 1e-3)
    affordable = allowed / max(validation_s, 1e-6)
    fewest = min(wanted_validations, 4)
    if affordable >= fewest:
        validations, share = min(wanted_validations, int(affordable)), 1.0
    else:
        validations, share = fewest, affordable / fewest
    left = seconds - RESERVE_S - validations * share * validation_s
    return Spending(max(1, int(left / step_s)), validations, share)


class Pace:
    """Seconds per step, validations included, of the steps since a start that compiling made slow.

    first: the step that training started or resumed at.
    """

    SKIPPED = 5
    FEWEST = 20

    def __init__(self, first: int) -> None:
        self._from = first + self.SKIPPED
        self._began: float | None = None

    def seconds_per_step(self, step: int) -> float | None:
        """The mean up to `step`, which is called after every step; None until enough were seen."""
        if self._began is None and step >= self._from:
            self._from, self._began = step, time.monotonic()
        if self._began is None or step - self._from < self.FEWEST:
            return None
        return (time.monotonic() - self._began) / (step - self._from)
