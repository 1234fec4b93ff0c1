"""Recurrences as parts of a network: along frames, and in both directions along an axis."""

from __future__ import annotations

from typing import Any

from keras import layers

from reunet.networks.recurrence import Recurrence
from reunet.networks.residual import recurring
from reunet.networks.scope import Scope

BOTH = ("forward", "backward")


def directions(
    x: Any, filters: int, scope: Scope, *, kernel: int = 1, ways: tuple[str, ...] = BOTH
) -> list[tuple[Any, ...]]:
    """A recurrence over the second axis of x per direction: for each (outputs, *last states).

    Each has the configured units, by default half of the filters.
    """
    units = scope.config.recurrence.units or max(1, filters // 2)
    return [recurrence(units, scope.child(way), kernel=kernel, reverse=way == "backward")(x) for way in ways]


def both_directions(x: Any, filters: int, scope: Scope, *, kernel: int = 1) -> Any:
    """The outputs of a forward and a backward recurrence, side by side along the channels."""
    outputs = [outputs for outputs, *_ in directions(x, filters, scope, kernel=kernel)]
    return layers.Concatenate(name=scope.name("both"))(outputs)


def over_frames(x: Any, units: int, scope: Scope) -> Any:
    """A convolutional recurrence from frame to frame: x (B * T, *space, C) -> (B * T, *space, units)."""

    def recur(x: Any, here: Scope) -> Any:
        return here.clip.recur(x, recurrence(units, here, kernel=here.config.recurrence.kernel))

    return recurring(x, recur, scope)


def half_over_frames(x: Any, scope: Scope) -> Any:
    """Half of the channels, or another share, recur from frame to frame, the others pass (Lin et al. 2022).

    Robust Video Matting, arXiv 2108.11515, section 3.2: cheaper than all channels, and what a frame shows
    by itself needs no memory.
    """
    passing = int(x.shape[-1] * (1 - scope.config.recurrence.share))
    if passing == 0:
        return over_frames(x, x.shape[-1], scope)
    remembered = over_frames(x[..., passing:], x.shape[-1] - passing, scope)
    return layers.Concatenate(name=scope.name("halves"))([x[..., :passing], remembered])


def recurrence(units: int, scope: Scope, *, kernel: int, reverse: bool = False) -> Recurrence:
    """The recurrent layer of one place."""
    cell = scope.config.recurrence.cell
    return Recurrence(
        cell, units, kernel=kernel, reverse=reverse, seed=scope.layer_seed(cell), name=scope.name(cell)
    )
