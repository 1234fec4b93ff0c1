"""How many steps a training makes: as the plan says, or as many as its minutes hold at the pace of now."""

import math
import time

from reunet.training import budget
from reunet.training.budget import Pace
from reunet.training.loop_state import LoopState
from reunet.training.schedule import Timeline, due
from reunet.training.setting import Setting
from reunet.training.steps import Steps
from reunet.training.validation import Validator


class Clock:
    """Lays out the steps. pace: of the steps. validation_s: seconds that the last validation took."""

    def __init__(self, setting: Setting, steps: Steps, validator: Validator) -> None:
        self._schedule, self._team, self._progress = setting.plan.schedule, setting.team, setting.progress
        self._steps, self._validator, self._started = steps, validator, setting.started
        self.pace = Pace([phase.begins_at for phase in steps.phases.all])
        self.validation_s = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds from the start until now, those before an interruption included."""
        return time.monotonic() - self._started

    def goes_on(self, elapsed_s: float) -> None:
        """Count on from what had elapsed."""
        self._started = time.monotonic() - elapsed_s

    def lay_out(self) -> LoopState:
        """The steps of a fresh training. Raises TooLargeStep."""
        schedule, validator = self._schedule, self._validator
        cases = len(validator.cases)
        if schedule.minutes is None:
            steps = schedule.steps or math.ceil((schedule.epochs or 1) * self._steps.per_epoch)
            return LoopState(Timeline(steps), schedule.validations, cases, steps)
        self._progress.start("timing the first steps", None)
        timed = self._steps.time(budget.TIMING_SHARE * schedule.minutes * 60)
        for phase, seconds in zip(self._steps.phases.all, timed, strict=True):
            self.pace.expect(phase.begins_at, seconds)
        validation_s = validator.estimate_seconds() if self._team.is_first else 0.0
        told = [self.pace.mean_seconds(), validation_s, self.elapsed]
        step_s, validation_s, ago = self._team.agree(told)
        self.goes_on(ago)
        left = schedule.minutes * 60 - ago
        spent = budget.spend(left, step_s, validation_s, schedule.validations)
        validator.use_cases = max(1, min(cases, round(cases * spent.share_of_cases)))
        size = self._steps.sampler.size(0)
        self._progress.message(
            f"{spent.steps} steps of {size} patches fit into the time left ({size / step_s:.1f} patches/s, "
            f"{spent.validations} validations of {validator.use_cases} images)"
        )
        return LoopState(Timeline(spent.steps), spent.validations, validator.use_cases, spent.steps)

    def kept_to(self, step: int, loop: LoopState) -> bool:
        """Lay out the steps that are left anew when the pace has changed, or as the plan says they were;
        whether that was so.
        """
        timeline = loop.timeline
        total = dict(self._schedule.relaid).get(step) or self._fitting(step, loop)
        if total is None:
            return False
        loop.timeline = timeline.relaid(step, total)
        loop.relaid.append((step, total))
        self._progress.message(f"the pace has changed: {total} steps instead of {timeline.total}")
        return True

    def _fitting(self, step: int, loop: LoopState) -> int | None:
        """How many steps there should be to end in time; None where that is as they are laid out."""
        timeline, left, minutes = loop.timeline, loop.timeline.total - step, self._schedule.minutes
        if minutes is None or left == 0 or not (due(timeline, step, budget.LOOKS) and self.pace.is_known):
            return None
        validations = loop.validations - int(timeline.progress(step) * loop.validations + 1e-9)
        seconds = minutes * 60 - self.elapsed - budget.RESERVE_S - validations * self.validation_s
        fitting = self.pace.steps_within(max(seconds, 0) * budget.CAUTION, timeline.progress(step))
        fitting = self._team.agree([fitting])[0]
        return None if abs(fitting - left) <= max(2, budget.TOLERANCE * left) else step + int(fitting)

    def is_up(self, elapsed: float) -> bool:
        """Whether there is no time for another step and its validation."""
        minutes = self._schedule.minutes
        return minutes is not None and elapsed + self.validation_s > minutes * 60
