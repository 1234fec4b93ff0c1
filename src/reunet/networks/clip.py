"""Frames of a sequence inside a network: folded into the batch, unfolded where something recurs.

Plain blocks see (B * T, *space, C) and never know of time. A recurrence unfolds to (B, T, *space, C), and
where a network is built to stream, its states become inputs and outputs of the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras

from reunet.networks.cells import CELLS
from reunet.networks.recurrence import Recurrence
from reunet.networks.reshaping import FoldFrames, UnfoldFrames


@dataclass
class Carried:
    """The states of a network.

    carried: whether they come in and go out.
    states_in, states_out: those that do, by name, (B, *space at their level, channels).
    """

    carried: bool = False
    states_in: dict[str, Any] = field(default_factory=dict)
    states_out: dict[str, Any] = field(default_factory=dict)

    def run(self, x: Any, layer: Recurrence, space: tuple[int | None, ...]) -> Any:
        """What `layer` makes of x, going on from the states that come in. space: sides of its states."""
        states = [
            keras.Input((*space, layer.units), name=f"{layer.name}_state{index}")
            for index in range(CELLS[layer.cell].states if self.carried else 0)
        ]
        outputs, *after = layer(x, *states)
        for before, state in zip(states, after, strict=False):
            self.states_in[before.name], self.states_out[before.name] = before, state
        return outputs


@dataclass
class Clip(Carried):
    """The sequence a network is built for. image: symbolic input (B, T, *space, C)."""

    image: Any = None

    def fold(self, x: Any, name: str) -> Any:
        """(B, T, *space, C) -> (B * T, *space, C)."""
        return FoldFrames(dtype=x.dtype, name=f"{name}_fold")(x)

    def unfold(self, x: Any, name: str) -> Any:
        """(B * T, *space, C) -> (B, T, *space, C)."""
        return UnfoldFrames(dtype=x.dtype, name=f"{name}_unfold")(x, self.image)

    def recur(self, x: Any, layer: Recurrence) -> Any:
        """Run `layer` over the frames of x (B * T, *space, C), carrying its states where this clip does."""
        frames = self.unfold(x, layer.name)
        return self.fold(self.run(frames, layer, frames.shape[2:-1]), layer.name)
