"""The training loop: step, log, validate, checkpoint; stop when the budget, the user or progress ends."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import keras
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from reunet.contracts.plan import Plan
from reunet.contracts.results import TrainResult
from reunet.contracts.sizes import outputs_of
from reunet.errors import CheckpointError, InterruptedRunError, TrainingError
from reunet.sampling.loading import batches
from reunet.sampling.patches import Batch, PatchSampler
from reunet.signals import StopWish, deferred
from reunet.storage import read_json
from reunet.training import budget, state
from reunet.training.budget import Pace
from reunet.training.carry import begin_batch, network_of
from reunet.training.checkpoint import load_checkpoint, save_checkpoint
from reunet.training.history import History
from reunet.training.memory import TooLargeStep, halve, watched_memory
from reunet.training.phases import Phases
from reunet.training.precision import training_precision
from reunet.training.schedule import Timeline, due, learning_rate
from reunet.training.setting import Setting
from reunet.training.team import ALONE
from reunet.training.validation import Validator
from reunet.training.watchers import Watchers

CHECKPOINT_EVERY_S = 60.0
LOG_ROWS = 100


Count = Annotated[int, Field(ge=1, le=2**40)]


@dataclass
class LoopState:
    """What the loop itself remembers from step to step, beside the variables of the model.

    planned: the steps that were laid out at first. relaid: at which step that was done anew, and
    the total then. halved: from which step on batches held how many patches. phase: in which the last step
    was made; None before the first.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    timeline: Timeline
    validations: Count
    cases_used: Count
    planned: Count
    relaid: list[tuple[Count, Count]] = field(default_factory=list)
    halved: list[tuple[Annotated[int, Field(ge=0)], Count]] = field(default_factory=list)
    phase: Annotated[int, Field(ge=0, le=1000)] | None = None
    elapsed_s: float = 0.0
    loss_sum: float = 0.0
    loss_steps: int = 0
    validated_at: int = -1
    best_score: float | None = None
    best_step: int = 0
    validations_without_gain: int = 0

    @classmethod
    def from_json(cls, data: Any) -> LoopState:
        """The state that `as_json` wrote. Raises CheckpointError when it is of another version."""
        told = data if isinstance(data, dict) else {}
        named = {"timeline" if key == "layout" else key: value for key, value in told.items()}
        if named.pop("pace_was_checked", None) is not None:  # an earlier version
            named["planned"] = (named.get("timeline") or {}).get("total")
        try:
            return TypeAdapter(cls).validate_python(named)
        except ValidationError as cause:
            raise CheckpointError(
                "the checkpoint was written by another version of reunet",
                received=f"{cause.error_count()} wrong field(s) in its state",
                fix="resume with that version, or train again",
            ) from cause

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint holds of it; there the timeline is a `layout`."""
        data = asdict(self)
        return {"layout": data.pop("timeline"), **data}


class Training:
    """One run of the loop over a compiled model, which a team of several processes spreads over them; then
    the validator has a model of its own.

    draw: what draws the batches of a plan.
    """

    def __init__(
        self,
        setting: Setting,
        model: keras.Model,
        draw: Callable[[Plan], PatchSampler],
        validator: Validator,
    ) -> None:
        plan = setting.plan
        self.plan, self.run, self.progress, self.team = plan, setting.run, setting.progress, setting.team
        self.started, self.threads = setting.started, setting.threads
        self.model, self.validator = model, validator
        heads, given = outputs_of(plan.network), network_of(validator.model).output
        self.outputs = {name: head.name for name, (head, _) in heads.items() if name in given}
        self.watchers = Watchers(setting.functions.callbacks, model)
        self.plan_hash = _hash(plan.model_dump_json(exclude_defaults=True))
        self.phases = Phases(model, plan)
        cuts = {id(phase.plan): phase.plan for phase in self.phases.all}
        drawn = {key: draw(cut) for key, cut in cuts.items()}
        self.samplers = [drawn[id(phase.plan)] for phase in self.phases.all]
        self._pace = Pace([phase.begins_at for phase in self.phases.all])
        self._validation_s = 0.0

    def fresh(self) -> TrainResult:
        """Train from the first step."""
        self.phases.begin()
        while True:
            try:
                self._loop = self._lay_out()
                break
            except TooLargeStep as error:
                self._halve(0, error)
        self._loop.halved = list(self.sampler.halved)
        self._save(0)
        return self._train(0, History(self.run.history_file))

    def resumed(self) -> TrainResult:
        """Go on from the latest intact checkpoint; the minutes count on from what they were then.

        Raises CheckpointError when there is none, or when the plan was changed since.
        """
        step = self._restore()
        self.started = time.monotonic() - self._loop.elapsed_s
        self.validator.use_cases = self._loop.cases_used
        self.progress.message(f"resuming at step {step} of {self._loop.timeline.total}")
        return self._train(step, History.resumed(self.run.history_file, step))

    def _restore(self) -> int:
        """Be as at the latest intact checkpoint, whose step is returned. Raises CheckpointError."""
        step, arrays, saved, notes = load_checkpoint(self.run.checkpoints)
        for note in notes:
            self.progress.message(note)
        if saved.get("plan") not in (self.plan_hash, *_earlier_hashes(self.plan, self.run.plan_file)):
            raise CheckpointError(
                "plan.json was changed since the checkpoint was written",
                where=self.run.plan_file,
                fix="restore it, or train anew with --plan (and --init to keep what was learned)",
            )
        state.restore(self.model, arrays)
        self._loop = LoopState.from_json(saved.get("loop"))
        self.phases.now = self._loop.phase
        self.sampler.halved = tuple(self._loop.halved)
        return step

    # -- laying out the steps ------------------------------------------------------------------

    def _lay_out(self) -> LoopState:
        schedule, cases = self.plan.schedule, len(self.validator.cases)
        if schedule.minutes is None:
            steps = schedule.steps or math.ceil((schedule.epochs or 1) * self._epoch_steps)
            return LoopState(Timeline(steps), schedule.validations, cases, steps)
        self.progress.start("timing the first steps", None)
        with state.preserved(self.model), training_precision(self.plan.precision):
            timed: dict[Any, float] = {}
            for phase in self.phases.all:
                self.phases.enter(phase.begins_at)
                if phase.step not in timed:
                    timed[phase.step] = self._time_steps(budget.TIMING_SHARE * schedule.minutes * 60)
                self._pace.expect(phase.begins_at, timed[phase.step])
            self.phases.now = None
        validation_s = self.validator.estimate_seconds() if self.team.is_first else 0.0
        step_s, validation_s, ago = self.team.agree(
            [self._pace.mean_seconds(), validation_s, time.monotonic() - self.started]
        )
        self.started = time.monotonic() - ago
        left = schedule.minutes * 60 - ago
        spent = budget.spend(left, step_s, validation_s, schedule.validations)
        self.validator.use_cases = max(1, min(cases, round(cases * spent.share_of_cases)))
        size = self.sampler.size(0)
        self.progress.message(
            f"{spent.steps} steps of {size} patches fit into the time left ({size / step_s:.1f} patches/s, "
            f"{spent.validations} validations of {self.validator.use_cases} images)"
        )
        return LoopState(Timeline(spent.steps), spent.validations, self.validator.use_cases, spent.steps)

    def _time_steps(self, allowed_s: float) -> float:
        feed = self._feed(0, budget.WARM_UP_STEPS + budget.TIMED_STEPS)
        return budget.time_steps(lambda k: self._step(k, next(feed)), allowed_s)

    def _feed(self, first: int, last: int = 2**31) -> Iterator[Batch]:
        """Batches from the step `first` on as the phase of now cuts them; open, since there may be more."""
        return batches(self.sampler, first, last, threads=self.threads)

    @property
    def sampler(self) -> PatchSampler:
        """What draws the batches of the phase of now."""
        return self.samplers[self.phases.now or 0]

    def _halve(self, step: int, error: TooLargeStep) -> None:
        alone = self.team is ALONE and all(one is self.sampler for one in self.samplers)
        halve(self.sampler, step, error, alone=alone, progress=self.progress)

    @property
    def _epoch_steps(self) -> float:
        return self.samplers[-1].patches_per_epoch / self.plan.batch

    def _keep_to_minutes(self, step: int) -> None:
        """Lay out the steps that are left anew when the pace has changed, or as the plan says they were."""
        loop, timeline = self._loop, self._loop.timeline
        total = dict(self.plan.schedule.relaid).get(step) or self._fitting(step)
        if total is not None:
            loop.timeline = timeline.relaid(step, total)
            loop.relaid.append((step, total))
            self.progress.message(f"the pace has changed: {total} steps instead of {timeline.total}")
            self._announce(step)

    def _fitting(self, step: int) -> int | None:
        """How many steps there should be to end in time; None where that is as they are laid out."""
        loop, minutes = self._loop, self.plan.schedule.minutes
        timeline, left = loop.timeline, loop.timeline.total - step
        if minutes is None or left == 0 or not (due(timeline, step, budget.LOOKS) and self._pace.is_known):
            return None
        validations = loop.validations - int(timeline.progress(step) * loop.validations + 1e-9)
        seconds = minutes * 60 - self._elapsed() - budget.RESERVE_S - validations * self._validation_s
        fitting = self._pace.steps_within(max(seconds, 0) * budget.CAUTION, timeline.progress(step))
        fitting = self.team.agree([fitting])[0]
        return None if abs(fitting - left) <= max(2, budget.TOLERANCE * left) else step + int(fitting)

    # -- the loop ------------------------------------------------------------------------------

    def _train(self, step: int, history: History) -> TrainResult:
        self.watchers.begin()
        while True:
            try:
                step = self._steps_from(step, history)
                break
            except TooLargeStep as error:
                step, history = self._with_smaller_batches(error)
        self.watchers.end()
        loop, unscored = self._loop, self._loop.validated_at != step or not self.run.weights_file.is_file()
        if self.team.agree([unscored])[0]:
            self._validate(step)  # the time was up between two validations
        if self.team.is_first:
            self._note_steps()
        return TrainResult(self.run.path, step, loop.best_score, self._elapsed(), loop.best_step)

    def _with_smaller_batches(self, error: TooLargeStep) -> tuple[int, History]:
        """Go back to the latest checkpoint, from where on batches are half as large."""
        step = self._restore()
        self._halve(step, error)
        loop, total = self._loop, self._loop.timeline.total
        loop.halved = list(self.sampler.halved)
        if self.plan.schedule.epochs is not None:  # as many patches in all
            total = step + 2 * (total - step)
            loop.timeline = loop.timeline.relaid(step, total)
            loop.planned, loop.relaid = (loop.planned, [*loop.relaid, (step, total)]) if step else (total, [])
        self._save(step)
        return step, History.resumed(self.run.history_file, step)

    def _steps_from(self, first: int, history: History) -> int:
        """Train from a step to the end, and return where that was."""
        self._announce(first)
        step, saved_at, feed = first, time.monotonic(), None
        with deferred() as wish:
            elapsed, wished = self._elapsed_and_wished(wish)
            while step < self._loop.timeline.total and not self._is_over(elapsed):
                progress = self._loop.timeline.progress(step)
                if self.phases.enter(progress) or feed is None:
                    feed, self._loop.phase = self._feed(step), self.phases.now
                rate = learning_rate(self.plan.schedule, progress)
                began = time.monotonic()
                loss = self._one_step(step, feed, rate)
                self._pace.add(progress, time.monotonic() - began)
                step += 1
                validated = due(self._loop.timeline, step, self._loop.validations)
                score = self._validate(step) if validated else None
                if validated:
                    mean_loss = self._loop.loss_sum / self._loop.loss_steps
                    self.watchers.validated(step, mean_loss, score, rate)
                if validated or due(self._loop.timeline, step, LOG_ROWS):
                    self._log(history, step, rate, score)
                self.progress.advance(1, loss=loss)
                self._keep_to_minutes(step)
                elapsed, wished = self._elapsed_and_wished(wish)
                if validated or wished or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                    self._save(step)
                    saved_at = time.monotonic()
                if wished:
                    self._interrupt(step, wished)
        return step

    def _note_steps(self) -> None:
        """Write the plan that repeats this training step by step."""
        loop = self._loop
        if self.plan.schedule.minutes is not None or loop.halved:
            told = {"minutes": None, "epochs": None, "steps": loop.planned, "relaid": tuple(loop.relaid)}
            told |= {"halved": tuple(loop.halved), "validations": loop.validations}
            schedule = self.plan.schedule.model_copy(update=told)
            self.plan.model_copy(update={"schedule": schedule}).write(self.run.replay_file)

    def _elapsed_and_wished(self, wish: StopWish) -> tuple[float, int]:
        """Seconds since the start, and the signal that wants the training to end, if any."""
        elapsed, signal_number = self.team.agree([self._elapsed(), wish.signal_number or 0])
        return elapsed, int(signal_number)

    def _announce(self, step: int) -> None:
        """Start a bar over the steps that are left, so that its time left is right from the beginning."""
        title = f"training from step {step}" if step else "training"
        self.progress.start(title, self._loop.timeline.total - step)

    def _one_step(self, step: int, feed: Iterator[Batch], rate: float) -> float:
        self.model.optimizer.learning_rate = rate
        self.watchers.before_step(step)
        with training_precision(self.plan.precision), self.team.watched():
            loss = self._step(step, next(feed))
        self.watchers.after_step(step, loss)
        if not math.isfinite(loss):
            raise TrainingError(
                "the loss is no longer a finite number",
                where=f"step {step + 1} (batch {step})",
                received=loss,
                fix="lower schedule.learning_rate in the plan and train again with --plan",
            )
        self._loop.loss_sum += loss
        self._loop.loss_steps += 1
        return loss

    def _step(self, k: int, batch: Batch) -> float:
        images, targets = batch
        begin_batch(self.model, self.phases.phase.plan, k)
        targets = {name: targets[head] for name, head in self.outputs.items()}
        self.model.reset_metrics()  # else Keras reports the mean over all steps so far
        with watched_memory(), self.phases.training():
            return float(self.model.train_on_batch(images, targets, return_dict=True)["loss"])

    def _validate(self, step: int) -> float | None:
        """Score the held-out cases; keep the weights when they are the best so far."""
        began, loop = time.monotonic(), self._loop
        scored = self._score(loop.best_score) if self.team.is_first else None
        score, known = self.team.agree([scored or 0.0, scored is not None])
        found = score if known else None
        loop.validated_at = step
        if found is None or loop.best_score is None or found >= loop.best_score:
            loop.best_score, loop.best_step, loop.validations_without_gain = found, step, 0
        else:
            loop.validations_without_gain += 1
        self._validation_s = self.team.agree([time.monotonic() - began])[0]
        self.progress.advance(0, val_score=found)
        return found

    def _score(self, best: float | None) -> float | None:
        """The score of the held-out cases; weights that are the best so far are written."""
        model = self.validator.model
        if model is not self.model:
            state.restore(model, state.capture(self.model))
        with self.validator.ready():
            score = self.validator.score()
            if score is None or best is None or score >= best:
                self.run.publish_weights(self.plan, state.weights_content(model, self.plan))
        return score

    def _is_over(self, elapsed: float) -> bool:
        schedule = self.plan.schedule
        if schedule.early_stop and self._loop.validations_without_gain >= schedule.early_stop:
            self.progress.message(f"no improvement in {schedule.early_stop} validations: ending early")
            return True
        if schedule.minutes is not None and elapsed + self._validation_s > schedule.minutes * 60:
            self.progress.message("the machine became slower: ending as the time is up")
            return True
        if self.team.agree([self.watchers.want_an_end])[0]:
            self.progress.message("a callback ends the training")
            return True
        return False

    def _log(self, history: History, step: int, rate: float, score: float | None) -> None:
        """A row with the mean loss since the last one."""
        loop, epoch = self._loop, self.sampler.shown(step) / self.sampler.patches_per_epoch
        if self.team.is_first:
            history.add(step, epoch, self._elapsed(), loop.loss_sum / loop.loss_steps, rate, score)
        loop.loss_sum, loop.loss_steps = 0.0, 0

    def _save(self, step: int) -> None:
        if not self.team.is_first:
            return
        self._loop.elapsed_s = self._elapsed()
        facts = {"plan": self.plan_hash, "loop": self._loop.as_json()}
        save_checkpoint(self.run.checkpoints, step, state.capture(self.model), facts)

    def _interrupt(self, step: int, number: int) -> None:
        raise InterruptedRunError(
            f"training was interrupted after step {step}; its state is saved",
            signal_number=number,
            where=self.run.path,
            fix="go on with the same command and --resume",
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self.started


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _earlier_hashes(plan: Plan, file: Path) -> Iterator[str]:
    """How earlier versions told a plan: with every field there was then, which its file has."""
    yield _hash(plan.model_dump_json())
    written = read_json(file, CheckpointError)
    yield _hash(json.dumps(written, separators=(",", ":"), ensure_ascii=False))
