"""The steps of a training: batches as the phase of now cuts them, and the compiled step that takes them."""

from collections.abc import Callable, Iterator

import keras

from reunet.contracts.plan import Plan
from reunet.contracts.sizes import outputs_of
from reunet.sampling.patches import Batch, PatchSampler, batches
from reunet.training import budget, state
from reunet.training.carry import begin_batch, network_of
from reunet.training.memory import TooLargeStep, halve, watched_memory
from reunet.training.phases import Phases
from reunet.training.precision import training_precision
from reunet.training.setting import Setting
from reunet.training.team import ALONE


class Steps:
    """Makes the steps of a model.

    network: the same without what several processes add. draw: what draws the batches of a plan.
    """

    def __init__(
        self, setting: Setting, model: keras.Model, network: keras.Model, draw: Callable[[Plan], PatchSampler]
    ) -> None:
        self._setting, self.model = setting, model
        heads, given = outputs_of(setting.plan.network), network_of(network).output
        self._outputs = {name: head.name for name, (head, _) in heads.items() if name in given}
        self.phases = Phases(model, setting.plan)
        cuts = {id(phase.plan): phase.plan for phase in self.phases.all}
        drawn = {key: draw(cut) for key, cut in cuts.items()}
        self._samplers = [drawn[id(phase.plan)] for phase in self.phases.all]

    @property
    def sampler(self) -> PatchSampler:
        """What draws the batches of the phase of now."""
        return self._samplers[self.phases.now or 0]

    @property
    def per_epoch(self) -> float:
        """Steps that show every case once, in the last phase."""
        return self._samplers[-1].patches_per_epoch / self._setting.plan.batch

    def feed(self, first: int, last: int = 2**31) -> Iterator[Batch]:
        """Batches from the step `first` on as the phase of now cuts them; open, since there may be more."""
        return batches(self.sampler, first, last, threads=self._setting.threads)

    def make(self, k: int, batch: Batch) -> float:
        """Train on batch `k`; the loss. Raises TooLargeStep."""
        images, targets = batch
        begin_batch(self.model, self.phases.phase.plan, k)
        targets = {name: targets[head] for name, head in self._outputs.items()}
        self.model.reset_metrics()  # else Keras reports the mean over all steps so far
        with watched_memory(), self.phases.training():
            return float(self.model.train_on_batch(images, targets, return_dict=True)["loss"])

    def time(self, allowed_s: float) -> list[float]:
        """Seconds that a step of each phase takes; the model is afterwards as it was. Raises TooLargeStep."""
        timed: dict[object, float] = {}
        with state.preserved(self.model), training_precision(self._setting.plan.precision):
            for phase in self.phases.all:
                self.phases.enter(phase.begins_at)
                if phase.step not in timed:
                    timed[phase.step] = self._time_phase(allowed_s)
            self.phases.now = None
        return [timed[phase.step] for phase in self.phases.all]

    def _time_phase(self, allowed_s: float) -> float:
        feed = self.feed(0, budget.WARM_UP_STEPS + budget.TIMED_STEPS)
        return budget.time_steps(lambda k: self.make(k, next(feed)), allowed_s)

    def halve(self, step: int, error: TooLargeStep) -> None:
        """Draw batches half as large from `step` on. Raises TrainingError where they cannot be smaller."""
        alone = self._setting.team is ALONE and all(one is self.sampler for one in self._samplers)
        halve(self.sampler, step, error, alone=alone, progress=self._setting.progress)
