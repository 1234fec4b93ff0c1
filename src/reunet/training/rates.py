"""An optimiser for networks of which one part has learned already."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops


class AdamWOfTwoRates(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) with a lower learning rate for some weights.

    slow: the weights that learn at `share` of the rate of the others. late: whether they may join later than
    the others: while they rest their gradients are zeros, so that a compiled step computes none for them.
    settings: of AdamW.
    """

    def __init__(
        self, slow: Iterable[keras.Variable], share: float, *, late: bool = False, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.slow, self.share, self.late, self.resting = {id(weight) for weight in slow}, share, late, False

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        # By index: on TensorFlow a step sees variables of TensorFlow's own.
        self.is_slow = [id(weight) in self.slow for weight in variables]
        if self.late:
            self.joined_at = self.add_variable((), initializer="zeros", dtype="int32", name="joined_at")

    def rest(self) -> None:
        """The slow weights stay as they are in steps that are compiled from here on."""
        self.resting = True

    def join(self) -> None:
        """The slow weights learn from the next step on."""
        self.resting = False
        self.joined_at.assign(ops.copy(self.iterations))  # not the same buffer: JAX gives both away

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        if self.resting:
            known = self._trainable_variables if trainable_variables is None else list(trainable_variables)
            grads = [
                ops.zeros(variable.shape, variable.dtype) if self._is_slow(variable) else gradient
                for gradient, variable in zip(grads, known, strict=True)
            ]
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self._is_slow(variable):
            learning_rate = learning_rate * self.share
            if self.late:
                learning_rate = learning_rate * self._correction(self.joined_at) / self._correction(0)
        super().update_step(gradient, variable, learning_rate)

    def _is_slow(self, variable: Any) -> bool:
        return self.is_slow[self._get_variable_index(variable)]

    def _correction(self, since: Any) -> Any:
        """Adam's correction of moments that began at zero after `since` steps."""
        steps = ops.cast(self.iterations + 1, "float32") - ops.cast(since, "float32")
        young, young_squares = 1 - ops.power(self.beta_1, steps), 1 - ops.power(self.beta_2, steps)
        return ops.sqrt(young_squares) / young
