"""Score the network on the held-out cases with the predictor that users call."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np

from reunet.contracts.plan import Calibration, Plan
from reunet.datasets.cache import CaseArrays
from reunet.errors import DataError
from reunet.inference.keras_runtime import KerasRuntime
from reunet.inference.predictor import Predictor
from reunet.networks import probability_model
from reunet.sampling.patches import PatchSampler
from reunet.tasks import task
from reunet.training.state import preserved
from reunet.training.statistics import has_moving_statistics, measure_statistics

STATISTICS_BATCHES = 24
"""Batches from which Batch Normalisation's statistics are measured."""


class Validator:
    """Predicts the held-out cases and scores them.

    use_cases: how many of the cases are used, evenly spread; fewer when all would take too long.
    """

    def __init__(
        self, model: keras.Model, plan: Plan, train: PatchSampler, cases: Sequence[CaseArrays]
    ) -> None:
        self.model, self.plan, self.cases, self.train = model, plan, tuple(cases), train
        self.runtime = KerasRuntime(probability_model(model, plan.network))
        self.use_cases = len(self.cases)

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Inside, the model has the weights and statistics it would be used with; afterwards as before."""
        with preserved(self.model):
            if self.plan.schedule.ema:
                self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
            if has_moving_statistics(self.model):
                measure_statistics(self.model, (self.train.batch(k)[0] for k in range(STATISTICS_BATCHES)))
            yield

    def pairs(self, cases: Sequence[CaseArrays]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Truth and probabilities of each case."""
        predictor = Predictor(self.plan, self.runtime, Calibration())
        for case in cases:
            if case.labels is None:
                raise DataError("a case without a mask cannot be scored", where=case.id)
            image = np.asarray(case.image)
            yield np.asarray(case.labels), predictor.probabilities(image, spacing=case.spacing)

    def score(self) -> float | None:
        """Mean foreground Dice over the cases in use; None where they show no foreground at all."""
        function = task(self.plan.tasks[0]).validation_score
        spread = np.linspace(0, len(self.cases) - 1, self.use_cases).round().astype(int)
        score = float(function(self.pairs([self.cases[i] for i in spread]), self.plan.labels))
        return None if math.isnan(score) else score

    def calibrate(self) -> Calibration:
        """Thresholds fitted on all held-out cases with the weights as they are."""
        return task(self.plan.tasks[0]).fit_calibration(self.pairs(self.cases), self.plan.labels)

    def estimate_seconds(self) -> float:
        """Seconds one validation of all cases will take, from one case (compiled before it is timed)."""
        with self.ready():
            self._predict_first()
            began = time.monotonic()
            self._predict_first()
            per_case = time.monotonic() - began
        began = time.monotonic()
        with self.ready():
            fixed = time.monotonic() - began
        sizes = [float(np.prod(case.image.shape[:-1])) for case in self.cases]
        return fixed + per_case * sum(sizes) / sizes[0]

    def _predict_first(self) -> None:
        for _ in self.pairs(self.cases[:1]):
            pass
