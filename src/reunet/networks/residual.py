"""A recurrence beside the path instead of in it: x + g R(norm(x)), with a gain g per channel.

Of a cell whose state is made of its inputs it is x + g (h - x), which needs no normalisation.

Where the gains begin at zero the network is its control at first, the same without the recurrence, and learns
how much of it to take (ReZero, Bachlechner et al. 2020, arXiv 2003.04887; with a gain per channel LayerScale,
Touvron et al. 2021, arXiv 2103.17239).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from reunet.networks.cells import CELLS
from reunet.networks.layers import pointwise
from reunet.networks.normalisation import PositionNormalization
from reunet.networks.scope import Scope

EPSILON = 1e-3
"""Added to the variance over channels: where they are nearly equal it enlarges rounding 30 times, not 300."""

MEMORY = "memory"
"""Part of the names of all layers that a residual recurrence adds to its control."""


@keras.saving.register_keras_serializable(package="reunet.networks")
class GainedSum(keras.layers.Layer):
    """x + g y with a weight g per channel that begins at `start`.

    resting: (an attribute) x alone is given in what is traced while it is set.

    Input: x and y, (B, *space, C) each. Output: (B, *space, C).
    """

    def __init__(self, start: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start, self.resting = start, False

    def build(self, x_shape: tuple[int | None, ...], y_shape: tuple[int | None, ...]) -> None:
        begin = keras.initializers.Constant(self.start)
        self.gain = self.add_weight(shape=x_shape[-1:], initializer=begin, name="gain")

    def call(self, x: Any, y: Any) -> Any:
        return x if self.resting else x + self.gain * y

    def compute_output_shape(self, x_shape: tuple[int | None, ...], y_shape: Any) -> tuple[int | None, ...]:
        return x_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start}


def recurring(x: Any, recur: Callable[[Any, Scope], Any], scope: Scope) -> Any:
    """Feature maps x (B, *space, C) through a recurrence `recur(x, scope)`, or in its residual form.

    There each position is normalised over its channels (Ba et al. 2016, arXiv 1607.06450), and the recurrence
    that gives another number of maps is mapped to that of x.
    """
    start = scope.config.recurrence.gain
    if start is None:
        return recur(x, scope)
    here = scope.child(MEMORY)
    if CELLS[scope.config.recurrence.cell].keeps:
        kept = layers.Subtract(name=here.name("kept"))([recur(x, here), x])
        return GainedSum(start, name=here.name("gained"))(x, kept)
    y = recur(PositionNormalization(epsilon=EPSILON, name=here.name("norm"))(x), here)
    if y.shape[-1] != x.shape[-1]:
        y = pointwise(y, x.shape[-1], here.child("map"))
    return GainedSum(start, name=here.name("gained"))(x, y)
