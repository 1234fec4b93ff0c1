"""A training in two phases: a pretrained encoder rests at first, and its steps cost less than half."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from reunet.contracts.plan import Plan


class Phases:
    """Which phase a model trains in; each has a compiled step of its own.

    A plan whose `schedule.encoder_from` is 0, or whose encoder never learns, has the second phase only.
    """

    def __init__(self, model: keras.Model, plan: Plan) -> None:
        self._model = model
        self._steps: dict[bool, Any] = {}
        self.begins_at = plan.schedule.encoder_from if model.optimizer.late else 0.0
        self._resting: bool | None = None

    def enter(self, progress: float) -> bool:
        """Be in the phase of a progress, 0..1. Returns whether another one begins with it."""
        resting = progress < self.begins_at
        if resting == self._resting or self.begins_at == 0:
            return False
        model, optimizer = self._model, self._model.optimizer
        if self._resting is not None:
            self._steps[self._resting] = model.train_function
        model.train_function = self._steps.get(resting)
        if model.train_function is None:  # JAX would take the step it has compiled of the same method
            model.train_step = partial(type(model).train_step, model)
        if resting:
            optimizer.rest()
        elif self._resting:
            optimizer.join()
        else:  # resumed: when it joined is in the checkpoint
            optimizer.resting = False
        began, self._resting = self._resting is not None, resting
        return began
