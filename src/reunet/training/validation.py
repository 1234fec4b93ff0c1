"""Score the network on the held-out cases with the predictor that users call."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np

from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import CaseArrays
from reunet.inference.keras_runtime import KerasRuntime, copy_weights
from reunet.inference.predictor import Predictor
from reunet.inference.runtime import StepRuntime
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.networks import build_step_network, probability_model
from reunet.sampling.patches import PatchSampler
from reunet.sampling.prompt import asked
from reunet.sampling.windows import sequences
from reunet.tasks.base import Maps
from reunet.tasks.work import Work
from reunet.training.carry import begin_batch, network_of
from reunet.training.state import preserved
from reunet.training.statistics import measure_statistics

STATISTICS_BATCHES = 24
"""Batches from which Batch Normalisation's statistics are measured."""

COMPARED = 32
"""So many held-out cases tell whether an engine in another precision is as good."""

CALIBRATION_FRAMES = 24
"""So many frames of each held-out sequence decide the thresholds; their neighbours look the same."""


def maps_of(predictor: AnyPredictor, cases: Sequence[CaseArrays]) -> Iterator[tuple[CaseArrays, Maps]]:
    """Each case with what the network says of it; single images only where something is known of them."""
    if isinstance(predictor, Predictor):
        for case in (case for case in cases if case.truth):
            points = asked(case.truth, predictor.plan, case.id)[1]
            yield case, predictor.maps(np.asarray(case.image), spacing=case.spacing, points=points)
        return
    for numbers in sequences(cases):
        frames = (np.asarray(cases[i].image) for i in numbers)
        results = predictor.maps(frames, len(numbers), where=cases[numbers[0]].id)
        yield from zip((cases[i] for i in numbers), results, strict=True)


class Validator:
    """Predicts the held-out cases and scores them.

    use_cases: how many of the cases are used; fewer when all would take too long. Single images are evenly
    spread then, of every sequence it is a piece of its middle.
    """

    def __init__(
        self, model: keras.Model, plan: Plan, train: PatchSampler, cases: Sequence[CaseArrays]
    ) -> None:
        self.model, self.plan, self.cases, self.train = model, plan, tuple(cases), train
        self._step = (
            build_step_network(plan.network, size=plan.inference.tile) if plan.network.has_states else None
        )
        self._runtime = KerasRuntime(probability_model(self._step or network_of(model), plan.network))
        self.use_cases, self.work = len(self.cases), Work.of(plan)

    @property
    def runtime(self) -> KerasRuntime:
        """The network in training with the weights it has now, step by step where it has states."""
        if self._step is not None:
            copy_weights(network_of(self.model), self._step)
        return self._runtime

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Inside, the model has the weights and statistics it would be used with; afterwards as before."""
        with preserved(self.model):
            if self.plan.schedule.ema:
                self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
            measure_statistics(self.model, self._images())
            yield

    def _images(self) -> Iterator[np.ndarray]:
        for k in range(STATISTICS_BATCHES):
            begin_batch(self.model, self.plan, k)
            yield self.train.batch(k)[0]

    def pairs(
        self, cases: Sequence[CaseArrays], runtime: StepRuntime | None = None
    ) -> Iterator[tuple[Truth, Maps]]:
        """What is known and what the network says of each case; of sequences without frames that are not
        annotated. runtime: another engine than the model in training.
        """
        for case, maps in self.maps(cases, runtime):
            if case.truth:
                yield asked(case.truth, self.plan, case.id)[0], maps

    def maps(
        self, cases: Sequence[CaseArrays], runtime: StepRuntime | None = None
    ) -> Iterator[tuple[CaseArrays, Maps]]:
        """Each case with what the network says of it; as for `pairs`."""
        kind = Predictor if self.plan.clip is None else SequencePredictor
        yield from maps_of(kind(self.plan, runtime or self.runtime), cases)

    def score(self) -> float | None:
        """The score of the main task over the cases in use; None where they tell nothing."""
        return self._score(self._some(self.use_cases))

    def compare(self, runtime: StepRuntime) -> float | None:
        """The same by another engine than the model in training, over COMPARED cases at most."""
        return self._score(self._some(min(self.use_cases, COMPARED)), runtime)

    def _score(self, cases: Sequence[CaseArrays], runtime: StepRuntime | None = None) -> float | None:
        score = self.work.validation_score(self.pairs(cases, runtime))
        return None if math.isnan(score) else score

    def _some(self, count: int) -> list[CaseArrays]:
        if self.plan.clip is None:
            spread = np.linspace(0, len(self.cases) - 1, count).round().astype(int)
            return [self.cases[i] for i in spread]
        share, fewest = count / len(self.cases), self.plan.clip.frames
        return self._middles(lambda length: max(fewest, round(share * length)))

    def _middles(self, wanted: Callable[[int], int]) -> list[CaseArrays]:
        """Of each sequence of some length, the wanted number of frames from its middle."""
        used = []
        for numbers in sequences(self.cases):
            count = min(len(numbers), wanted(len(numbers)))
            first = (len(numbers) - count) // 2
            used += [self.cases[i] for i in numbers[first : first + count]]
        return used

    def calibrate(self, runtime: StepRuntime | None = None) -> Calibration:
        """Thresholds fitted on all held-out cases (the middle of sequences), with the weights as they are, by
        the model or another engine.
        """
        cases = self._middles(lambda _: CALIBRATION_FRAMES) if self.plan.clip else self.cases
        return self.work.fit(self.pairs(cases, runtime))

    def estimate_seconds(self) -> float:
        """Seconds one validation of all cases will take, from one case (compiled before it is timed), or
        from the first frames of a sequence.
        """
        few = [self.cases[i] for i in sequences(self.cases)[0]]
        few = few[: 2 * self.plan.clip.frames if self.plan.clip else 1]
        with self.ready():
            list(self.pairs(few))
            began = time.monotonic()
            list(self.pairs(few))
            per_case = (time.monotonic() - began) / len(few)
        began = time.monotonic()
        with self.ready():
            fixed = time.monotonic() - began
        sizes = [float(np.prod(case.image.shape[:-1])) for case in self.cases]
        return fixed + per_case * sum(sizes) / sizes[0]
