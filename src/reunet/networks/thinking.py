"""A recurrent layer over nothing but time to think: one image, one state, as many updates as it takes."""

from __future__ import annotations

from math import prod
from typing import Any

import keras
from keras import ops

from reunet.networks.cells import CELLS
from reunet.networks.recurrence import Recurrence


@keras.saving.register_keras_serializable(package="reunet.networks")
class Thinking(Recurrence):
    """Update a state `steps` times by a cell whose input stays the same (see `cells.py` for the equations).

    Parameters
    ----------
    cell, units, kernel, seed: as of `Recurrence`. steps: updates in one call.
    recall: every update sees the input (Bansal et al. 2022, arXiv 2202.05826, section 3.1); without it only
        the first one does, that of states that are zero.

    Input: (B, *space, C), and the states before, each (B, *space, units); zeros when left out. Output: (what
    the state says, (B, *space, units); the states after the last update). The linear map of the input is the
    same in every update, so it is computed once.
    """

    def __init__(self, cell: str, units: int, *, steps: int = 1, recall: bool = True, **kwargs: Any) -> None:
        super().__init__(cell, units, **kwargs)
        self.steps, self.recall = steps, recall

    def build(self, input_shape: tuple[int | None, ...], *states_shape: Any) -> None:
        super().build((input_shape[0], 1, *input_shape[1:]))

    def call(self, x: Any, *states: Any) -> tuple[Any, ...]:
        cell, bias = CELLS[self.cell], ops.cast(self.bias, x.dtype)
        seen = self._linear(x, self.input_kernel)
        silence = ops.zeros_like(seen)
        if not states:
            states = (ops.zeros_like(ops.split(seen, cell.gates, axis=-1)[0]),) * cell.states
        elif not self.recall:
            axes = tuple(range(1, len(x.shape)))
            begun = ops.max(ops.abs(states[0]), axis=axes, keepdims=True) > 0
            seen = seen * (1 - ops.cast(begun, x.dtype))
        for step in range(self.steps):
            told = seen if self.recall or step == 0 else silence
            states = cell.step(ops.split(told + bias, cell.gates, axis=-1), states, self._recur)
        return states[0], *states

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...], *states_shape: Any
    ) -> tuple[tuple[int | None, ...], ...]:
        state = (*input_shape[:-1], self.units)
        return (state, *[state] * CELLS[self.cell].states)

    def multiplications(self, input_shape: tuple[int, ...]) -> int:
        """Multiply-adds of the linear maps for one image (1, *space, C)."""
        cell, taps = CELLS[self.cell], self.kernel ** (len(input_shape) - 2)
        per_position = input_shape[-1] * cell.gates + self.steps * self.units * cell.recurrent_gates
        return prod(input_shape[1:-1]) * taps * per_position * self.units

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps, "recall": self.recall}
