"""An optimiser for networks of which some parts do not learn as the others do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

ENCODER = "encoder"
"""What may join late, beside MEMORY (see `networks/residual.py`)."""


@dataclass(frozen=True)
class Part:
    """Weights with a learning rate of their own, as a share of that of the others.

    late: what they belong to, where that may join later than the others.
    """

    weights: Sequence[keras.Variable]
    rate: float = 1.0
    late: str = ""


class AdamWOfParts(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) with parts that learn at rates of their own.

    late: the names of what may join later than the others. While it rests its gradients are zeros, so that a
    compiled step computes none for it. settings: of AdamW.
    """

    def __init__(self, parts: Iterable[Part] = (), **settings: Any) -> None:
        super().__init__(**settings)
        self._parts = {id(weight): (part.rate, part.late) for part in parts for weight in part.weights}
        self.late = tuple(dict.fromkeys(late for _, late in self._parts.values() if late))
        self.resting: frozenset[str] = frozenset()

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        # By index: on TensorFlow a step sees variables of TensorFlow's own.
        self._by_index = [self._parts.get(id(weight), (1.0, "")) for weight in variables]
        self.joined_at = {
            name: self.add_variable((), initializer="zeros", dtype="int32", name="joined_at")
            for name in self.late
        }

    def rest(self, names: Iterable[str]) -> None:
        """The weights of these stay as they are in steps that are compiled from here on, all others learn."""
        self.resting = frozenset(names)

    def join(self, name: str) -> None:
        """The weights of `name` learn from the next step on."""
        self.joined_at[name].assign(ops.copy(self.iterations))  # not the same buffer: JAX gives both away

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        if self.resting:
            known = self._trainable_variables if trainable_variables is None else list(trainable_variables)
            grads = [
                ops.zeros(variable.shape, variable.dtype) if self._rests(variable) else gradient
                for gradient, variable in zip(grads, known, strict=True)
            ]
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, late = self._by_index[self._get_variable_index(variable)]
        if late in self.resting:
            return
        if late:
            learning_rate = learning_rate * self._correction(self.joined_at[late]) / self._correction(0)
        super().update_step(gradient, variable, learning_rate * rate)

    def _use_weight_decay(self, variable: Any) -> bool:
        return not self._rests(variable) and super()._use_weight_decay(variable)

    def _rests(self, variable: Any) -> bool:
        return self._by_index[self._get_variable_index(variable)][1] in self.resting

    def _correction(self, since: Any) -> Any:
        """Adam's correction of moments that began at zero after `since` steps."""
        steps = ops.cast(self.iterations + 1, "float32") - ops.cast(since, "float32")
        young, young_squares = 1 - ops.power(self.beta_1, steps), 1 - ops.power(self.beta_2, steps)
        return ops.sqrt(young_squares) / young
