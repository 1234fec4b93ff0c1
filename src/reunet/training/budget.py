"""Fit a training into the time the user gives: time the step, then fix the number of steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

VALIDATION_SHARE = 0.15
"""Share of the time that validation may take, at most."""

RESERVE_S = 2.0
"""Seconds kept for writing the last checkpoint."""

TOLERANCE = 0.03
"""Deviation of the expected length from the budget that is worth laying out the steps anew."""

RELAY_AT = 0.4
"""Progress at which the pace is looked at again, once."""

TIMED_STEPS = 10
WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Pace:
    """Measured seconds: of one step, and of one validation of all held-out cases."""

    step_s: float
    validation_s: float


def time_steps(step: Callable[[int], object]) -> float:
    """Mean seconds of a step, after warm-up steps that include compiling."""
    for k in range(WARM_UP_STEPS):
        step(k)
    began = time.monotonic()
    for k in range(WARM_UP_STEPS, WARM_UP_STEPS + TIMED_STEPS):
        step(k)
    return (time.monotonic() - began) / TIMED_STEPS


@dataclass(frozen=True)
class TimePlan:
    """How the seconds that are left are spent.

    steps: training steps. validations: how often the held-out cases are predicted.
    share_of_cases: the part of the held-out cases that is used each time.
    """

    steps: int
    validations: int
    share_of_cases: float


def spend(seconds: float, pace: Pace, wanted_validations: int) -> TimePlan:
    """Divide `seconds` between steps and validations (at most VALIDATION_SHARE for these)."""
    allowed = max(seconds * VALIDATION_SHARE, 1e-3)
    affordable = allowed / max(pace.validation_s, 1e-6)
    fewest = min(wanted_validations, 4)
    if affordable >= fewest:
        validations, share = min(wanted_validations, int(affordable)), 1.0
    else:
        validations, share = fewest, affordable / fewest
    left = seconds - RESERVE_S - validations * share * pace.validation_s
    return TimePlan(max(1, int(left / pace.step_s)), validations, share)
