"""The training loop: step, log, validate, checkpoint; stop when the budget, the user or progress ends."""

import math
import time
from collections.abc import Callable, Iterator

import keras

from reunet.contracts.history import History
from reunet.contracts.plan import Plan
from reunet.contracts.results import TrainResult
from reunet.errors import InterruptedRunError, TrainingError
from reunet.sampling.patches import Batch, PatchSampler
from reunet.signals import StopWish, deferred
from reunet.training import state
from reunet.training.clock import Clock
from reunet.training.loop_state import Checkpoints
from reunet.training.memory import TooLargeStep
from reunet.training.precision import training_precision
from reunet.training.schedule import due, learning_rate
from reunet.training.setting import Setting
from reunet.training.steps import Steps
from reunet.training.validation import Validator
from reunet.training.watchers import Watchers

CHECKPOINT_EVERY_S = 60.0
LOG_ROWS = 100


class Training:
    """One run of the loop over a compiled model, which a team of several processes spreads over them; then
    the validator has a model of its own.

    draw: what draws the batches of a plan.
    """

    def __init__(
        self, setting: Setting, model: keras.Model, draw: Callable[[Plan], PatchSampler], validator: Validator
    ) -> None:
        self.plan, self.run, self.progress = setting.plan, setting.run, setting.progress
        self.team, self.model, self.validator = setting.team, model, validator
        self.steps = Steps(setting, model, validator.model, draw)
        self.clock = Clock(setting, self.steps, validator)
        self.watchers = Watchers(setting.functions.callbacks, model)
        self.checkpoints = Checkpoints(self.run, self.plan, model)

    def fresh(self) -> TrainResult:
        """Train from the first step."""
        self.steps.phases.begin()
        while True:
            try:
                self._loop = self.clock.lay_out()
                break
            except TooLargeStep as error:
                self.steps.halve(0, error)
        self._loop.halved = list(self.steps.sampler.halved)
        self._save(0)
        return self._train(0, History(self.run.history_file))

    def resumed(self) -> TrainResult:
        """Go on from the latest intact checkpoint; the minutes count on from what they were then.

        Raises CheckpointError when there is none, or when the plan was changed since.
        """
        step = self._restore()
        self.clock.goes_on(self._loop.elapsed_s)
        self.validator.use_cases = self._loop.cases_used
        self.progress.message(f"resuming at step {step} of {self._loop.timeline.total}")
        return self._train(step, History.resumed(self.run.history_file, step))

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
        return TrainResult(self.run.path, step, loop.best_score, self.clock.elapsed, loop.best_step)

    def _steps_from(self, first: int, history: History) -> int:
        """Train from a step to the end, and return where that was."""
        self._announce(first)
        step, saved_at, feed = first, time.monotonic(), None
        loop, phases = self._loop, self.steps.phases
        with deferred() as wish:
            elapsed, wished = self._elapsed_and_wished(wish)
            while step < loop.timeline.total and not self._is_over(elapsed):
                progress = loop.timeline.progress(step)
                if phases.enter(progress) or feed is None:
                    feed, loop.phase = self.steps.feed(step), phases.now
                rate = learning_rate(self.plan.schedule, progress)
                began = time.monotonic()
                loss = self._one_step(step, feed, rate)
                self.clock.pace.add(progress, time.monotonic() - began)
                step += 1
                validated = due(loop.timeline, step, loop.validations)
                score = self._validate(step) if validated else None
                if validated:
                    self.watchers.validated(step, loop.mean_loss, score, rate)
                if validated or due(loop.timeline, step, LOG_ROWS):
                    self._log(history, step, rate, score)
                self.progress.advance(1, loss=loss)
                if self.clock.kept_to(step, loop):
                    self._announce(step)
                elapsed, wished = self._elapsed_and_wished(wish)
                if validated or wished or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                    self._save(step)
                    saved_at = time.monotonic()
                if wished:
                    self._interrupt(step, wished)
        return step

    def _one_step(self, step: int, feed: Iterator[Batch], rate: float) -> float:
        self.model.optimizer.learning_rate = rate
        self.watchers.before_step(step)
        with training_precision(self.plan.precision), self.team.watched():
            loss = self.steps.make(step, next(feed))
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

    def _validate(self, step: int) -> float | None:
        """Score the held-out cases; keep the weights when they are the best so far."""
        began = time.monotonic()
        scored = self._score(self._loop.best_score) if self.team.is_first else None
        score, known = self.team.agree([scored or 0.0, scored is not None])
        found = score if known else None
        self._loop.validated(step, found)
        self.clock.validation_s = self.team.agree([time.monotonic() - began])[0]
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

    def _log(self, history: History, step: int, rate: float, score: float | None) -> None:
        """A row with the mean loss since the last one."""
        loop, sampler = self._loop, self.steps.sampler
        if self.team.is_first:
            epoch = sampler.shown(step) / sampler.patches_per_epoch
            history.add(step, epoch, self.clock.elapsed, loop.mean_loss, rate, score)
        loop.loss_sum, loop.loss_steps = 0.0, 0

    # -- when it ends --------------------------------------------------------------------------

    def _is_over(self, elapsed: float) -> bool:
        patience = self.plan.schedule.early_stop
        if patience and self._loop.validations_without_gain >= patience:
            self.progress.message(f"no improvement in {patience} validations: ending early")
            return True
        if self.clock.is_up(elapsed):
            self.progress.message("the machine became slower: ending as the time is up")
            return True
        if self.team.agree([self.watchers.want_an_end])[0]:
            self.progress.message("a callback ends the training")
            return True
        return False

    def _elapsed_and_wished(self, wish: StopWish) -> tuple[float, int]:
        """Seconds since the start, and the signal that wants the training to end, if any."""
        elapsed, signal_number = self.team.agree([self.clock.elapsed, wish.signal_number or 0])
        return elapsed, int(signal_number)

    def _interrupt(self, step: int, number: int) -> None:
        raise InterruptedRunError(
            f"training was interrupted after step {step}; its state is saved",
            signal_number=number,
            where=self.run.path,
            fix="go on with the same command and --resume",
        )

    def _announce(self, step: int) -> None:
        """Start a bar over the steps that are left, so that its time left is right from the beginning."""
        title = f"training from step {step}" if step else "training"
        self.progress.start(title, self._loop.timeline.total - step)

    # -- what is kept --------------------------------------------------------------------------

    def _save(self, step: int) -> None:
        if self.team.is_first:
            self._loop.elapsed_s = self.clock.elapsed
            self.checkpoints.save(step, self._loop)

    def _restore(self) -> int:
        """Be as at the latest intact checkpoint, whose step is returned. Raises CheckpointError."""
        step, self._loop = self.checkpoints.restore(self.progress)
        self.steps.phases.now = self._loop.phase
        self.steps.sampler.halved = tuple(self._loop.halved)
        return step

    def _with_smaller_batches(self, error: TooLargeStep) -> tuple[int, History]:
        """Go back to the latest checkpoint, from where on batches are half as large."""
        step = self._restore()
        self.steps.halve(step, error)
        loop, total = self._loop, self._loop.timeline.total
        loop.halved = list(self.steps.sampler.halved)
        if self.plan.schedule.epochs is not None:  # as many patches in all
            total = step + 2 * (total - step)
            loop.timeline = loop.timeline.relaid(step, total)
            loop.planned, loop.relaid = (loop.planned, [*loop.relaid, (step, total)]) if step else (total, [])
        self._save(step)
        return step, History.resumed(self.run.history_file, step)

    def _note_steps(self) -> None:
        """Write the plan that repeats this training step by step."""
        loop = self._loop
        if self.plan.schedule.minutes is not None or loop.halved:
            told = {"minutes": None, "epochs": None, "steps": loop.planned, "relaid": tuple(loop.relaid)}
            told |= {"halved": tuple(loop.halved), "validations": loop.validations}
            schedule = self.plan.schedule.model_copy(update=told)
            self.plan.model_copy(update={"schedule": schedule}).write(self.run.replay_file)
