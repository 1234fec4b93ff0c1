"""How encoder features join the decoder: every skip is `skip(skips, up, filters, scope) -> x`.

`skips` are one map, or several where a decoder is nested; `up` comes from the level below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers, ops

from reunet.networks.layers import pointwise
from reunet.networks.normalisation import normalise
from reunet.networks.passes import BOTH, directions
from reunet.networks.residual import recurring
from reunet.networks.scope import Scope, by_name

Skip = Callable[[list[Any], Any, int, Scope], Any]


def none(skips: list[Any], up: Any, filters: int, scope: Scope) -> Any:
    """No skip connection: what the bottleneck lost stays lost (ReSeg)."""
    return up


def concat(skips: list[Any], up: Any, filters: int, scope: Scope) -> Any:
    """The paper's copy: encoder features and the upsampled ones, side by side along the channels."""
    return layers.Concatenate(name=scope.name("concat"))([*skips, up])


def add(skips: list[Any], up: Any, filters: int, scope: Scope) -> Any:
    """The sum of encoder features, mapped to as many channels where needed, and the upsampled ones."""
    maps = [
        skip if skip.shape[-1] == up.shape[-1] else pointwise(skip, up.shape[-1], scope.child(f"map{i}"))
        for i, skip in enumerate(skips)
    ]
    return layers.Add(name=scope.name("add"))([*maps, up])


def attention(skips: list[Any], up: Any, filters: int, scope: Scope) -> Any:
    """Each skip weighted per pixel, by what it and the upsampled map show there, then concatenated.

    a = sigmoid(psi(ReLU(W_x skip + W_g up))), skip * a (Attention U-Net, Oktay et al. 2018, arXiv
    1804.03999, section 3); the gate has half as many channels, at the skip's own resolution.
    """
    gated = []
    for number, skip in enumerate(skips):
        gate = scope.child(f"gate{number}")
        inner = max(1, filters // 2)
        looks = [
            normalise(pointwise(x, inner, gate.child(part)), gate.child(part))
            for part, x in (("skip", skip), ("up", up))
        ]
        seen = layers.ReLU(name=gate.name("act"))(layers.Add(name=gate.name("add"))(looks))
        psi = gate.child("psi")
        heed = pointwise(seen, 1, psi, bias=True)
        if scope.config.normalisation == "batch":  # statistics of a sample would take its meaning
            heed = normalise(heed, psi)
        weight = layers.Activation("sigmoid", name=psi.name("sigmoid"))(heed)
        gated.append(layers.Multiply(name=gate.name("multiply"))([skip, weight]))
    return concat(gated, up, filters, scope)


def recurrent(skips: list[Any], up: Any, filters: int, scope: Scope) -> Any:
    """Skip and upsampled map are a sequence of two steps for a ConvLSTM (BCDU-Net, Azad et al. 2019).

    Each direction has `units` (by default half the filters) and ends with a state that has seen both:
    forward after (skip, up), backward after (up, skip). They are summed or concatenated; with merge
    `forward` there is one direction only, as in the published code. In residual form that adds to the
    concatenated maps.
    """
    if not scope.recurs:
        return concat(skips, up, filters, scope)
    spec, maps = scope.config.recurrence, [*skips, up]

    def last_of(sequence: Any, scope: Scope) -> Any:
        ways = BOTH[:1] if spec.merge == "forward" else BOTH
        found = directions(sequence, filters, scope, kernel=spec.kernel, ways=ways)
        last = [states[1] for states in found]
        if len(last) == 1:
            return last[0]
        merge = layers.Add if spec.merge == "sum" else layers.Concatenate
        return merge(name=scope.name(spec.merge))(last)

    if spec.gain is None:
        return last_of(ops.stack(maps, axis=1), scope)

    def read(joined: Any, scope: Scope) -> Any:
        return last_of(ops.stack(ops.split(joined, len(maps), axis=-1), axis=1), scope)

    return recurring(concat(skips, up, filters, scope), read, scope)


SKIPS: dict[str, Skip] = by_name(none, concat, add, attention, recurrent)
