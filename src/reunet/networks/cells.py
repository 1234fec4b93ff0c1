"""The recurrent cells, as equations: one step from a state to the next, for vectors and for feature maps.

Every cell sees its input through one linear map `p = W x + b` (dense, or a convolution), which gives
`gates` values per unit and is computed for all steps at once; `recur(h, i, j)` is the map `U h` for the
gates i to j. The same equations make a tanh RNN of dense layers and a convolutional one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

States = tuple[Any, ...]
Recur = Callable[[Any, int, int], Any]


@dataclass(frozen=True)
class Cell:
    """gates: input maps per unit. states: tensors carried from step to step, the first one is the output.

    recurrent_gates: how many of the gates see the state; the first ones.
    step: `step(p, states, recur) -> states`; None for a cell whose gates do not see the state, so that it
    is `scan`ned in parallel.
    """

    gates: int
    states: int
    step: Callable[[list[Any], States, Recur], States] | None

    @property
    def recurrent_gates(self) -> int:
        return self.gates if self.step is not None else 0


def simple_rnn(p: list[Any], states: States, recur: Recur) -> States:
    """h_t = tanh(W x_t + U h_(t-1) + b) (Elman 1990)."""
    return (ops.tanh(p[0] + recur(states[0], 0, 1)),)


def gru(p: list[Any], states: States, recur: Recur) -> States:
    """r, z = sigmoid(W x + U h + b), c = tanh(W x + U (r h) + b), h = (1 - z) h + z c (Cho et al. 2014).

    As a convolution it is the ConvGRU of Ballas et al. 2016 (arXiv 1511.06432).
    """
    (h,) = states
    r, z = ops.split(ops.sigmoid(ops.concatenate(p[:2], axis=-1) + recur(h, 0, 2)), 2, axis=-1)
    c = ops.tanh(p[2] + recur(r * h, 2, 3))
    return (h + z * (c - h),)


def lstm(p: list[Any], states: States, recur: Recur) -> States:
    """i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b), c = f c + i g, h = o tanh(c).

    Hochreiter and Schmidhuber 1997; as a convolution the ConvLSTM of Shi et al. 2015 (arXiv 1506.04214)
    without peepholes.
    """
    h, c = states
    u = ops.split(recur(h, 0, 4), 4, axis=-1)
    i, f, g, o = (a + b for a, b in zip(p, u, strict=True))
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    return ops.sigmoid(o) * ops.tanh(c), c


def linear_scan(decay: Any, update: Any, length: int, *, reverse: bool = False) -> Any:
    """All h_t = decay_t h_(t-1) + update_t at once, h before the first step 0; arrays (B, T, ...).

    The doubling scan of Hillis and Steele 1986: after pass k every h_t has seen 2^k steps, so log2(T)
    passes do. length: T, or the longest T there can be; a T beyond it would be wrong, not slow.
    reverse: from the last step to the first.
    """
    reach = 1
    while reach < length:
        update = update + decay * _shift(update, reach, 0.0, reverse)
        decay = decay * _shift(decay, reach, 1.0, reverse)
        reach *= 2
    return update


def _shift(x: Any, by: int, fill: float, reverse: bool) -> Any:
    """An array (B, T, ...) moved `by` steps on, `fill` where nothing came from."""
    rest = [(0, 0)] * (len(x.shape) - 2)
    if x.shape[1] is not None and by >= x.shape[1]:
        return ops.full_like(x, fill)
    kept, pads = (x[:, by:], (0, by)) if reverse else (x[:, :-by], (by, 0))
    return ops.pad(kept, [(0, 0), pads, *rest], constant_values=fill)


CELLS: dict[str, Cell] = {
    "simple_rnn": Cell(1, 1, simple_rnn),
    "gru": Cell(3, 1, gru),
    "lstm": Cell(4, 2, lstm),
    # z = sigmoid(W x + b), c = W x + b, h = (1 - z) h + z c (Feng et al. 2024, arXiv 2410.01201)
    "min_gru": Cell(2, 1, None),
}
