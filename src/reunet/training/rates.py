"""An optimiser for networks of which one part has learned already."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras


class AdamWOfTwoRates(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) with a lower learning rate for some weights.

    slow: the weights that learn at `share` of the rate of the others. settings: of AdamW.
    """

    def __init__(self, slow: Iterable[keras.Variable], share: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.slow, self.share = {id(weight) for weight in slow}, share

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        # By index: on TensorFlow a step sees variables of TensorFlow's own.
        self.rates = [self.share if id(weight) in self.slow else 1.0 for weight in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate = self.rates[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * rate)
