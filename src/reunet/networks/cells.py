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

BLOCK = 8
"""Steps that a parallel scan takes one after another; with 4 and 16 it was up to 10 % slower on a CPU."""


@dataclass(frozen=True)
class Cell:
    """gates: input maps per unit. states: tensors carried from step to step, the first one is the output.

    step: `step(p, states, recur) -> states`. linear: no gate sees the state, so that all steps can be
    computed in parallel. keeps: the input itself follows its maps in `p`, and the state is made of inputs:
    there are as many units as the input has channels.
    """

    gates: int
    states: int
    step: Callable[[list[Any], States, Recur], States]
    linear: bool = False
    keeps: bool = False

    @property
    def recurrent_gates(self) -> int:
        """How many gates see the state."""
        return 0 if self.linear else self.gates


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


def min_gru(p: list[Any], states: States, recur: Recur) -> States:
    """With z = sigmoid(W x + b) and c = W x + b: h = (1 - z) h + z c (Feng et al. 2024, arXiv 2410.01201)."""
    (h,) = states
    return (h + ops.sigmoid(p[0]) * (p[1] - h),)


def leak(p: list[Any], states: States, recur: Recur) -> States:
    """With z = sigmoid(W x + U h + b): h = (1 - z) h + z x, a running mean of what was seen.

    The leaky integrator (Jaeger et al. 2007, "Optimization and applications of echo state networks with
    leaky-integrator neurons") whose leak is the update gate of a GRU: where z is 0 the state stands still,
    where it is 1 it is the input, so a network that has learned without it needs to learn nothing but when
    to look.
    """
    (h,) = states
    return (h + ops.sigmoid(p[0] + recur(h, 0, 1)) * (p[1] - h),)


def linear_scan(decay: Any, update: Any, *, reverse: bool = False) -> Any:
    """All h_t = decay_t h_(t-1) + update_t in parallel, h before the first step 0.

    decay, update: (B, T, ...), T known. reverse: from the last step to the first.

    The steps are cut into blocks of BLOCK. All blocks go through their steps at once, as if each began
    with zero; what reaches a block from those before it is a scan over their ends, again by this
    function; its decayed rest is added. So log(T) / log(BLOCK) rounds do, with less to read and write
    than the doubling scan (BLOCK 2, Hillis and Steele 1986).
    """
    length, rest = decay.shape[1], decay.shape[2:]
    if length <= BLOCK:
        outputs, _ = _one_by_one(decay, update, reverse)
        return ops.stack(outputs, axis=1)
    count = (length + BLOCK - 1) // BLOCK  # of positive numbers: traced for ONNX, -(-a // b) would truncate
    if missing := count * BLOCK - length:
        pads = [(0, 0), (missing, 0) if reverse else (0, missing), *[(0, 0)] * len(rest)]
        decay, update = ops.pad(decay, pads, constant_values=1.0), ops.pad(update, pads)
    blocks = [ops.reshape(x, (-1, count, BLOCK, *rest)) for x in (decay, update)]
    within, left = _one_by_one(ops.moveaxis(blocks[0], 2, 1), ops.moveaxis(blocks[1], 2, 1), reverse)
    last = 0 if reverse else -1
    ends = linear_scan(left[last], within[last], reverse=reverse)
    none = ops.zeros_like(ends[:, :1])
    before = ops.concatenate([ends[:, 1:], none] if reverse else [none, ends[:, :-1]], axis=1)
    outputs = ops.stack([h + share * before for h, share in zip(within, left, strict=True)], axis=2)
    outputs = ops.reshape(outputs, (-1, count * BLOCK, *rest))
    return outputs[:, -length:] if reverse else outputs[:, :length]


def _one_by_one(decay: Any, update: Any, reverse: bool) -> tuple[list[Any], list[Any]]:
    """Per step of (B, T, ...): h, and the product of the decays up to it; in the order of T."""
    order = range(decay.shape[1])[::-1] if reverse else range(decay.shape[1])
    outputs: list[Any] = []
    left: list[Any] = []
    for t in order:
        outputs.append(update[:, t] + decay[:, t] * outputs[-1] if outputs else update[:, t])
        left.append(decay[:, t] * left[-1] if left else decay[:, t])
    return (outputs[::-1], left[::-1]) if reverse else (outputs, left)


CELLS: dict[str, Cell] = {
    "simple_rnn": Cell(1, 1, simple_rnn),
    "gru": Cell(3, 1, gru),
    "lstm": Cell(4, 2, lstm),
    "min_gru": Cell(2, 1, min_gru, linear=True),
    "leak": Cell(1, 1, leak, keeps=True),
}
