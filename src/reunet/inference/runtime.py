"""What the predictor needs of an engine, and nothing more."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

StateShapes = Mapping[str, tuple[int, ...]]
"""Names of states and their shapes for one tile, (*space at its level, channels)."""


class Runtime(Protocol):
    """An engine with the network loaded.

    name: of the engine, such as `openvino`. precision: it computes in, such as `f32` or `bf16`.
    """

    name: str
    precision: str

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Tiles (B, *tile, C) float32, normalised, to {head: (B, *output, K) float32 probabilities}.

        Networks that see time at once take and give windows, with an axis T after B.
        """


class StepRuntime(Runtime, Protocol):
    """An engine that may carry states from frame to frame.

    states: of the tile of the plan; empty for networks without.
    """

    states: StateShapes

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        return self.step(batch, {})

    def step(self, batch: np.ndarray, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Tiles of one frame (B, h, w, C) and what was carried to it, (B, ...) by name, to the probabilities
        of the heads and, under the names of the states, what is carried on.
        """


def first_states(runtime: StepRuntime, count: int) -> dict[str, np.ndarray]:
    """The states of `count` tiles before the first frame or iteration: zeros."""
    return {name: np.zeros((count, *shape), np.float32) for name, shape in runtime.states.items()}
