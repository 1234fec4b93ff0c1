"""The training loop: step, log, validate, checkpoint; stop when the budget, the user or progress ends."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras

from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import InterruptedRunError, TrainingError
from reunet.progress import Progress
from reunet.sampling.patches import Batch, PatchSampler
from reunet.sampling.pipeline import batches
from reunet.storage import atomic_path
from reunet.training import budget, state
from reunet.training.checkpoint import load_checkpoint, save_checkpoint
from reunet.training.compile import output_names
from reunet.training.history import History
from reunet.training.precision import training_precision
from reunet.training.schedule import Layout, due, learning_rate
from reunet.training.signals import StopWish, stop_wish
from reunet.training.validation import Validator

CHECKPOINT_EVERY_S = 60.0
LOG_ROWS = 100
OVERTIME = 1.05
"""When the machine slows after the steps were laid out anew, training ends at this share of the budget."""


@dataclass(frozen=True)
class LoopState:
    """What the loop itself remembers from step to step, beside the variables of the model."""

    layout: Layout
    validations: int
    cases_used: int
    elapsed_s: float = 0.0
    best_score: float | None = None
    best_step: int = 0
    validations_without_gain: int = 0

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LoopState:
        """The state that `asdict` wrote."""
        return cls(**{**data, "layout": Layout(**data["layout"])})


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    steps: int
    best_score: float | None
    best_step: int
    seconds: float


class Training:
    """One run of the loop over a compiled model.

    started: `time.monotonic()` of the moment from which the minutes count.
    threads: background threads that prepare batches.
    """

    def __init__(
        self,
        model: keras.Model,
        plan: Plan,
        run: RunFolder,
        sampler: PatchSampler,
        validator: Validator,
        *,
        progress: Progress,
        started: float,
        threads: int = 2,
    ) -> None:
        self.model, self.plan, self.run = model, plan, run
        self.sampler, self.validator = sampler, validator
        self.progress, self.started, self.threads = progress, started, threads
        self.outputs = tuple(output_names(plan.network))

    def fresh(self) -> Outcome:
        """Train from the first step."""
        return self._train(0, self._lay_out(), History(self.run.history_file))

    def resumed(self) -> Outcome:
        """Go on from the latest intact checkpoint. Raises CheckpointError when there is none."""
        step, arrays, saved, notes = load_checkpoint(self.run.checkpoints)
        for note in notes:
            self.progress.message(note)
        state.restore(self.model, arrays)
        loop = LoopState.from_json(saved)
        self.started -= loop.elapsed_s
        self.validator.use_cases = loop.cases_used
        self.progress.message(f"resuming at step {step} of {loop.layout.total}")
        return self._train(step, loop, History.resumed(self.run.history_file, step))

    # -- laying out the steps ------------------------------------------------------------------

    def _lay_out(self) -> LoopState:
        schedule, cases = self.plan.schedule, len(self.validator.cases)
        if schedule.minutes is None:
            epoch_steps = len(self.sampler.cases) / self.plan.batch
            steps = schedule.steps or math.ceil((schedule.epochs or 1) * epoch_steps)
            return LoopState(Layout(steps), schedule.validations, cases)
        self.progress.start("timing the first steps", None)
        with state.preserved(self.model), training_precision(self.plan.precision):
            feed = batches(self.sampler, 0, budget.WARM_UP_STEPS + budget.TIMED_STEPS, threads=self.threads)
            step_s = budget.time_steps(lambda k: self._step(next(feed)))
        pace = budget.Pace(step_s, self.validator.estimate_seconds())
        left = schedule.minutes * 60 - (time.monotonic() - self.started)
        spent = budget.spend(left, pace, schedule.validations)
        self.validator.use_cases = max(1, min(cases, round(cases * spent.share_of_cases)))
        patches = self.plan.batch / step_s
        self.progress.message(
            f"{spent.steps} steps of {self.plan.batch} patches fit into the time left "
            f"({patches:.1f} patches/s, {spent.validations} validations of {self.validator.use_cases} images)"
        )
        return LoopState(Layout(spent.steps), spent.validations, self.validator.use_cases)

    def _lay_out_again(self, step: int, first: int, began: float, loop: LoopState) -> LoopState:
        """Fit the steps that are left into the time that is left, from the pace since `began`."""
        if (
            self.plan.schedule.minutes is None
            or loop.layout.was_relaid
            or loop.layout.progress(step) < budget.RELAY_AT
        ):
            return loop
        left = self.plan.schedule.minutes * 60 - (time.monotonic() - self.started) - budget.RESERVE_S
        pace = (time.monotonic() - began) / max(1, step - first)
        total = step + max(1, int(left / pace))
        if step == first or abs(total / loop.layout.total - 1) < budget.TOLERANCE:
            return loop
        self.progress.message(f"the pace has changed: {total} steps instead of {loop.layout.total}")
        self.progress.start("training", total)
        self.progress.advance(step)
        return replace(loop, layout=loop.layout.relaid(step, total))

    # -- the loop ------------------------------------------------------------------------------

    def _train(self, first: int, loop: LoopState, history: History) -> Outcome:
        self.progress.start("training", loop.layout.total)
        self.progress.advance(first)
        self._loop, began, saved_at = loop, time.monotonic(), time.monotonic()
        with stop_wish() as wish:
            step, feed, validated_at = first, self._feed(first), first
            while step < self._loop.layout.total and not self._is_over():
                rate = learning_rate(self.plan.schedule, self._loop.layout.progress(step))
                loss = self._one_step(step, feed, rate)
                step += 1
                validated = due(self._loop.layout, step, self._loop.validations)
                score = self._validate(step) if validated else None
                validated_at = step if validated else validated_at
                if validated or due(self._loop.layout, step, LOG_ROWS):
                    self._log(history, step, loss, rate, score)
                self.progress.advance(1, loss=loss)
                self._loop = self._lay_out_again(step, first, began, self._loop)
                wished = wish.signal_number is not None
                if validated or wished or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                    self._save(step)
                    saved_at = time.monotonic()
                if wished:
                    self._interrupt(step, wish)
        if validated_at != step or not self.run.weights_file.is_file():
            self._validate(step)  # the time was up between two validations
        return Outcome(step, self._loop.best_score, self._loop.best_step, self._elapsed())

    def _feed(self, first: int) -> Iterator[Batch]:
        # The end is open: laying out anew may add steps.
        return batches(self.sampler, first, 2**31, threads=self.threads)

    def _one_step(self, step: int, feed: Iterator[Batch], rate: float) -> float:
        self.model.optimizer.learning_rate = rate
        with training_precision(self.plan.precision):
            loss = self._step(next(feed))
        if not math.isfinite(loss):
            raise TrainingError(
                "the loss is no longer a finite number",
                where=f"step {step + 1} (batch {step})",
                received=loss,
                fix="lower schedule.learning_rate in the plan and train again with --plan",
            )
        return loss

    def _step(self, batch: Batch) -> float:
        images, labels = batch
        targets = dict.fromkeys(self.outputs, labels)
        return float(self.model.train_on_batch(images, targets, return_dict=True)["loss"])

    def _validate(self, step: int) -> float | None:
        """Score the held-out cases; keep the weights when they are the best so far."""
        with self.validator.ready():
            score = self.validator.score()
            loop = self._loop
            gain = score is None or loop.best_score is None or score >= loop.best_score
            if gain:
                with atomic_path(self.run.weights_file) as temporary:
                    self.model.save_weights(temporary)
                self.run.record_weights(self.plan)
        self._loop = replace(
            loop,
            best_score=score if gain else loop.best_score,
            best_step=step if gain else loop.best_step,
            validations_without_gain=0 if gain else loop.validations_without_gain + 1,
        )
        self.progress.advance(0, val_score=score)
        return score

    def _is_over(self) -> bool:
        schedule = self.plan.schedule
        if schedule.early_stop and self._loop.validations_without_gain >= schedule.early_stop:
            self.progress.message(f"no improvement in {schedule.early_stop} validations: ending early")
            return True
        if schedule.minutes is not None and self._elapsed() > schedule.minutes * 60 * OVERTIME:
            self.progress.message("the machine became slower: ending when the time was up")
            return True
        return False

    def _log(self, history: History, step: int, loss: float, rate: float, score: float | None) -> None:
        epoch = step * self.plan.batch / len(self.sampler.cases)
        history.add(step, epoch, self._elapsed(), loss, rate, score)
        self.model.reset_metrics()  # Keras reports the mean since the last reset

    def _save(self, step: int) -> None:
        saved = asdict(replace(self._loop, elapsed_s=self._elapsed()))
        save_checkpoint(self.run.checkpoints, step, state.capture(self.model), saved)

    def _interrupt(self, step: int, wish: StopWish) -> None:
        number = wish.signal_number or signal.SIGINT
        raise InterruptedRunError(
            f"training was interrupted after step {step}; its state is saved",
            signal_number=number,
            where=self.run.path,
            fix="go on with the same command and --resume",
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self.started
