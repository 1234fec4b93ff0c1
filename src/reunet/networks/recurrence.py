"""A recurrent layer over the second axis: frames, slices, rows, columns or the pixels of a raster."""

from __future__ import annotations

from math import prod
from typing import Any

import keras
from keras import ops

from reunet.networks.cells import CELLS, States, linear_scan
from reunet.networks.reshaping import sides

BIASES = {"lstm": [0.0, 1.0, 0.0, 0.0], "leak": [2.0]}
"""At first, per gate, of the cells that do not begin with zeros."""

UNROLLED = 16
"""Sequences of at most this length are computed without a loop, which is faster and exports everywhere."""


@keras.saving.register_keras_serializable(package="reunet.networks")
class Recurrence(keras.layers.Layer):
    """Run a cell over a sequence (see `cells.py` for the equations).

    Parameters
    ----------
    cell: a name of `CELLS`. units: channels of the state.
    kernel: side of the convolutions over space; 1 for dense maps, W x as a product of matrices.
    reverse: from the last step to the first; the output keeps the order of the input.
    resting: (an attribute) zeros are given, and nothing is computed, in what is traced while it is set.

    Input: (B, T, *space, C), and the states before the first step, each (B, *space, units); zeros when
    left out. Output: (all outputs (B, T, *space, units), the states after the last step). Trained by
    backpropagation through time: gradients flow back through all T steps.
    """

    def __init__(
        self,
        cell: str,
        units: int,
        *,
        kernel: int = 1,
        reverse: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cell, self.units, self.kernel = cell, units, kernel
        self.reverse, self.seed, self.resting = reverse, seed, False

    def build(self, input_shape: tuple[int | None, ...], *states_shape: Any) -> None:
        cell, space = CELLS[self.cell], (self.kernel,) * (len(input_shape) - 3) if self.kernel > 1 else ()
        glorot = keras.initializers.GlorotUniform(self.seed)
        self.input_kernel = self.add_weight(
            shape=(*space, input_shape[-1], cell.gates * self.units), initializer=glorot, name="kernel"
        )
        if cell.recurrent_gates:
            # Orthogonal maps keep the length of the state (Saxe et al. 2014).
            orthogonal = keras.initializers.Orthogonal(seed=self.seed)
            self.state_kernel = self.add_weight(
                shape=(*space, self.units, cell.recurrent_gates * self.units),
                initializer=orthogonal,
                name="recurrent_kernel",
            )
        self.bias = self.add_weight(shape=(cell.gates * self.units,), initializer=self._bias, name="bias")

    def _bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Zeros, but 1 for the forget gate of the LSTM, which then remembers at first (Gers et al. 2000), and
        2 for that of the leak, which then gives little but what it sees.
        """
        gates = BIASES.get(self.cell, [0.0] * CELLS[self.cell].gates)
        return ops.repeat(ops.convert_to_tensor(gates, dtype or "float32"), self.units)

    def call(self, x: Any, *states: Any) -> tuple[Any, ...]:
        cell = CELLS[self.cell]
        if self.resting:
            nothing = ops.zeros((*sides(x)[:-1], self.units), x.dtype)
            return nothing, *(nothing[:, 0],) * cell.states
        projected = self._over_steps(x, self.input_kernel) + ops.cast(self.bias, x.dtype)
        p = [*ops.split(projected, cell.gates, axis=-1), *([x] if cell.keeps else [])]
        if not states:
            zero = ops.zeros_like(p[0][:, 0])
            states = (zero,) * cell.states
        if cell.linear and x.shape[1] is not None:
            return self._scan(p, states)
        return self._loop(p, states)

    def _over_steps(self, x: Any, kernel: Any) -> Any:
        """The linear map of all steps at once: (B, T, *space, C) -> (B, T, *space, gates * units)."""
        if self.kernel == 1:
            return self._linear(x, kernel)
        shape = sides(x)
        maps = self._linear(ops.reshape(x, (-1, *shape[2:])), kernel)
        return ops.reshape(maps, (-1, *shape[1:-1], kernel.shape[-1]))

    def _linear(self, x: Any, kernel: Any) -> Any:
        """The linear map of maps (B, *space, C)."""
        kernel = ops.cast(kernel, x.dtype)
        return ops.matmul(x, kernel) if self.kernel == 1 else ops.conv(x, kernel, padding="same")

    def _recur(self, h: Any, first: int, last: int) -> Any:
        return self._linear(h, self.state_kernel[..., first * self.units : last * self.units])

    def _loop(self, p: list[Any], states: States) -> tuple[Any, ...]:
        step, length = CELLS[self.cell].step, p[0].shape[1]
        if length is None or (length > UNROLLED and keras.backend.backend() != "openvino"):

            def one_step(states: States, inputs: Any) -> tuple[States, States]:
                states = step(list(inputs), states, self._recur)
                return states, states  # TensorFlow's scan needs outputs of the structure of the states

            by_step = tuple(ops.moveaxis(gate, 1, 0) for gate in p)
            states, outputs = ops.scan(one_step, states, by_step, reverse=self.reverse)
            return ops.moveaxis(outputs[0], 0, 1), *states
        order = range(length)[::-1] if self.reverse else range(length)
        found = {}
        for t in order:
            states = step([gate[:, t] for gate in p], states, self._recur)
            found[t] = states[0]
        outputs = [found[t] for t in range(length)]
        if keras.backend.backend() == "openvino":
            # Joined along axis 1, OpenVINO 2026.4 lets later steps of a lone sequence overwrite others.
            return ops.moveaxis(ops.stack(outputs, axis=-2), -2, 1), *states
        return ops.stack(outputs, axis=1), *states

    def _scan(self, p: list[Any], states: States) -> tuple[Any, ...]:
        z = ops.sigmoid(p[0])
        decay, update = 1.0 - z, z * p[1]
        # The state before the first step enters as a part of the first update.
        first, rest = (slice(-1, None), slice(0, -1)) if self.reverse else (slice(0, 1), slice(1, None))
        begun = update[:, first] + decay[:, first] * states[0][:, None]
        parts = [update[:, rest], begun] if self.reverse else [begun, update[:, rest]]
        outputs = linear_scan(decay, ops.concatenate(parts, axis=1), reverse=self.reverse)
        return outputs, outputs[:, 0] if self.reverse else outputs[:, -1]

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...], *states_shape: Any
    ) -> tuple[tuple[int | None, ...], ...]:
        state = (input_shape[0], *input_shape[2:-1], self.units)
        outputs = (*input_shape[:-1], self.units)
        return (outputs, *[state] * CELLS[self.cell].states)

    def multiplications(self, input_shape: tuple[int, ...]) -> int:
        """Multiply-adds of the linear maps for one sequence (1, T, *space, C)."""
        cell = CELLS[self.cell]
        positions, taps = prod(input_shape[1:-1]), self.kernel ** (len(input_shape) - 3)
        per_position = input_shape[-1] * cell.gates + self.units * cell.recurrent_gates
        return positions * taps * per_position * self.units

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("cell", "units", "kernel", "reverse", "seed")}
        return {**super().get_config(), **own}
