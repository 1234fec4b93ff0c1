"""Fit a training into the time the user gives: time the step, then fix the number of steps."""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

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

    begins: the progress (0..1) at which each phase begins, the first at 0.
    """

    RECENT = 50
    SKIPPED = 5
    """Steps at the beginning of a phase that do not count: compiling makes them slow."""
    FEWEST = 20

    def __init__(self, begins: Sequence[float] = (0.0,)) -> None:
        self._begins = tuple(begins)
        self._seconds: list[float | None] = [None] * len(self._begins)
        self._recent: deque[float] = deque(maxlen=self.RECENT)
        self._phase, self._skip = -1, 0

    def expect(self, progress: float, seconds: float) -> None:
        """The seconds of a step of the phase that a progress is in, as timed before."""
        self._seconds[self._at(progress)] = seconds

    def add(self, progress: float, seconds: float) -> None:
        """A step was made."""
        phase = self._at(progress)
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
        if before is not None:  # a machine that slows does so in all
            self._seconds = [other and other * now / before for other in self._seconds]
        self._seconds[phase] = now

    @property
    def is_known(self) -> bool:
        """Whether enough steps of this phase were seen, and those to come, if any, were timed."""
        if len(self._recent) < self.FEWEST:
            return False
        return None not in self._seconds[self._phase :]

    def mean_seconds(self) -> float:
        """Of a step of the whole training."""
        return self._mean(0.0)

    def steps_within(self, seconds: float, done: float) -> float:
        """How many steps fit into `seconds` from a progress (0..1) on, at least 1."""
        return max(1.0, seconds / self._mean(done))

    def _at(self, progress: float) -> int:
        return bisect_right(self._begins, progress) - 1

    def _mean(self, done: float) -> float:
        """Seconds of a step from a progress on, over the phases that are left."""
        done = min(done, 1 - 1e-9)
        spans = [end - begin for begin, end in pairwise(max(done, cut) for cut in (*self._begins, 1.0))]
        return sum(span / (1 - done) * (each or 0.0) for span, each in zip(spans, self._seconds, strict=True))
