"""What happens to the deepest features: every bottleneck is `bottleneck(x, filters, scope) -> x`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers, ops

from reunet.networks.blocks import BLOCKS, conv_norm_act
from reunet.networks.passes import both_directions, half_over_frames, over_frames
from reunet.networks.reshaping import Ravel, Unravel
from reunet.networks.residual import recurring
from reunet.networks.scope import Scope, by_name
from reunet.networks.thinking import Thinking

Bottleneck = Callable[[Any, int, Scope], Any]


def identity(x: Any, filters: int, scope: Scope) -> Any:
    """Nothing: the deepest block of the encoder is the bottleneck of the plain U-Net."""
    return x


def conv(x: Any, filters: int, scope: Scope) -> Any:
    """One more convolution, what the sweeps are compared with."""
    return conv_norm_act(x, filters, scope)


def dense(x: Any, filters: int, scope: Scope) -> Any:
    """Further blocks, each seeing the outputs of all before it (BCDU-Net, Azad et al. 2019, section 3.1)."""
    seen = [x]
    for number in range(1, scope.config.bottleneck_blocks):
        here = scope.child(str(number))
        joined = layers.Concatenate(name=here.name("concat"))(seen[::-1]) if len(seen) > 1 else x
        seen.append(scope.entry("block", BLOCKS)(joined, filters, here))
    return seen[-1]


def sweep(x: Any, filters: int, scope: Scope) -> Any:
    """Every line of the map is a sequence: a recurrence reads it in both directions, axis after axis.

    The ReNet layer of ReSeg (Visin et al. 2016, arXiv 1511.07053): first along the columns, then, over
    what those gave, along the rows. After both, each position has seen the whole map, of whatever size.
    """

    def once(x: Any, scope: Scope) -> Any:
        for axis in range(1, scope.rank + 1):
            lines = x if axis == 1 else ops.moveaxis(x, axis, 1)
            read = both_directions(lines, filters, scope.child(f"axis{axis}"))
            x = read if axis == 1 else ops.moveaxis(read, 1, axis)
        return x

    for layer in range(scope.config.recurrence.layers):
        x = recurring(x, once, scope.child(f"sweep{layer}"))
    return x


def raster(x: Any, filters: int, scope: Scope) -> Any:
    """All positions of the map, row after row, as one sequence that is read in both directions."""

    def once(x: Any, scope: Scope) -> Any:
        read = both_directions(Ravel(name=scope.name("ravel"))(x), filters, scope)
        return Unravel(name=scope.name("unravel"))(read, x)

    return recurring(x, once, scope)


def recurrence(x: Any, filters: int, scope: Scope) -> Any:
    """A convolutional recurrence from frame to frame."""
    return over_frames(x, scope.config.recurrence.units or filters, scope)


def half_recurrence(x: Any, filters: int, scope: Scope) -> Any:
    """A convolutional recurrence from frame to frame over half of the channels."""
    return half_over_frames(x, scope)


def thinking(x: Any, filters: int, scope: Scope) -> Any:
    """A state that is updated again and again, with the features of the image before its eyes.

    Weight-tied and with recall (Bansal et al. 2022, arXiv 2202.05826): what is learned in few iterations on
    small images goes on for as many as a large one needs. A call is `recurrence.steps` updates.
    """
    spec = scope.config.recurrence
    layer = Thinking(
        spec.cell,
        spec.units or filters,
        kernel=spec.kernel,
        steps=spec.steps,
        recall=spec.recall,
        seed=scope.layer_seed(spec.cell),
        name=scope.name(spec.cell),
    )
    return scope.carried.run(x, layer, x.shape[1:-1])


BOTTLENECKS: dict[str, Bottleneck] = by_name(
    identity, conv, dense, sweep, raster, recurrence, half_recurrence, thinking
)
