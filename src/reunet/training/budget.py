"""Fit a training into the time the user gives: time the step, then fix the number of steps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

VALIDATION_SHARE = 0.15
"""Share of the time that validation may take, at most."""

RESERVE_S = 2.0
"""Seconds kept for writing the last checkpoint."""

LOOKS = 20
"""How often a training by minutes looks whether it will end in time."""

TOLERANCE = 0.08
"""Change of the steps that are left which is worth laying them out anew."""

CAUTION = 0.98
"""Share of the time left that is laid out anew: a machine that slowed once may slow again."""

TIMED_STEPS, FEWEST_TIMED = 10, 2
WARM_UP_STEPS = 3

TIMING_SHARE = 0.05
"""Share of the minutes after which no more steps are timed than must be: a slow machine needs the rest."""


def time_steps(step: Callable[[int], object], allowed_s: float) -> float:
    """Mean seconds of a step, after warm-up steps that include compiling.

    After `allowed_s` seconds the fewest steps must do.
    """
    for k in range(WARM_UP_STEPS):
        step(k)
    began, timed = time.monotonic(), 0
    while timed < FEWEST_TIMED or (timed < TIMED_STEPS and time.monotonic() - began < allowed_s):
        step(WARM_UP_STEPS + timed)
        timed += 1
    return (time.monotonic() - began) / timed


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
    """Seconds that a step takes now, in each phase of a training; without validations.

    begins_at: progress (0..1) at which the second phase begins; 0 when there is one only.
    """

    RECENT = 50
    SKIPPED = 5
    """Steps at the beginning of a phase that do not count: compiling makes them slow."""
    FEWEST = 20

    def __init__(self, begins_at: float = 0.0) -> None:
        self.begins_at = begins_at
        self._seconds: list[float | None] = [None, None]
        self._recent: deque[float] = deque(maxlen=self.RECENT)
        self._phase, self._skip = -1, 0

    def expect(self, progress: float, seconds: float) -> None:
        """The seconds of a step of the phase that a progress is in, as timed before."""
        self._seconds[progress >= self.begins_at] = seconds

    def add(self, progress: float, seconds: float) -> None:
        """A step was made."""
        phase = int(progress >= self.begins_at)
        if phase != self._phase:
            self._phase, self._skip = phase, self.SKIPPED
            self._recent.clear()
        if self._skip:
            self._skip -= 1
            return
        self._recent.append(seconds)
        if len(self._recent) < self.FEWEST:
            return
        now, before = sum(self._recent) / len(self._recent), self._seconds[phase]
        other = self._seconds[1 - phase]
        if before is not None and other is not None:  # a machine that slows does so in both
            self._seconds[1 - phase] = other * now / before
        self._seconds[phase] = now

    @property
    def is_known(self) -> bool:
        """Whether enough steps of this phase were seen, and the other one, if any is to come, was timed."""
        if len(self._recent) < self.FEWEST:
            return False
        return self._phase == 1 or self._seconds[1] is not None

    def mean_seconds(self) -> float:
        """Of a step of the whole training."""
        first, second = self._seconds
        return self.begins_at * (first or 0.0) + (1 - self.begins_at) * (second or 0.0)

    def steps_within(self, seconds: float, done: float) -> float:
        """How many steps fit into `seconds` from a progress (0..1) on, at least 1."""
        resting = max(0.0, self.begins_at - done) / max(1 - done, 1e-9)
        first, second = self._seconds
        mean = resting * (first or 0.0) + (1 - resting) * (second or 0.0)
        return max(1.0, seconds / mean)
