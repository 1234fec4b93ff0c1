"""The convolution blocks: every block is `block(x, filters, scope) -> x`.

The first convolution of a block takes the scope's stride, so that a block may go down a level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from reunet.errors import PlanError
from reunet.networks.layers import convolution, convolve, pointwise
from reunet.networks.normalisation import normalisation_layer, normalise
from reunet.networks.scope import Scope, by_name

Block = Callable[[Any, int, Scope], Any]


def activate(x: Any, scope: Scope) -> Any:
    """ReLU, y = max(x, 0), or its leaky form with slope 0.01 below zero (as in nnU-Net)."""
    if scope.config.activation == "leaky_relu":
        return layers.LeakyReLU(negative_slope=0.01, name=scope.name("act"))(x)
    return layers.ReLU(name=scope.name("act"))(x)


def conv_norm_act(x: Any, filters: int, scope: Scope) -> Any:
    """A 3x3 convolution, y = sigma(W * x + b), with the normalisation before the activation."""
    return activate(normalise(convolve(x, filters, scope), scope), scope)


def none(x: Any, filters: int, scope: Scope) -> Any:
    """No convolution."""
    return x


def conv(x: Any, filters: int, scope: Scope) -> Any:
    """One convolution."""
    return conv_norm_act(x, filters, scope.child("1").strided(scope.stride))


def double_conv(x: Any, filters: int, scope: Scope) -> Any:
    """Two convolutions, as at every level of Ronneberger et al. 2015, figure 1."""
    x = conv_norm_act(x, filters, scope.child("1").strided(scope.stride))
    return conv_norm_act(x, filters, scope.child("2"))


def shortcut(x: Any, filters: int, scope: Scope) -> Any:
    """The input itself, or a 1x1 convolution of it where a block changes its shape."""
    if x.shape[-1] == filters and scope.stride is None:
        return x
    here = scope.child("shortcut").strided(scope.stride)
    return normalise(pointwise(x, filters, here), here)


def residual(x: Any, filters: int, scope: Scope) -> Any:
    """sigma(x + F(x)), F two convolutions (He et al. 2016; the residual encoder of nnU-Net)."""
    y = conv_norm_act(x, filters, scope.child("1").strided(scope.stride))
    second = scope.child("2")
    y = normalise(convolve(y, filters, second), second)
    return activate(layers.Add(name=scope.name("add"))([shortcut(x, filters, scope), y]), scope)


def pre_residual(x: Any, filters: int, scope: Scope) -> Any:
    """The sum x + F(x), normalised and activated before each convolution (Zhang et al. 2018, figure 1)."""
    first, second = scope.child("1").strided(scope.stride), scope.child("2")
    y = convolve(activate(normalise(x, first), first), filters, first)
    y = convolve(activate(normalise(y, second), second), filters, second)
    return layers.Add(name=scope.name("add"))([shortcut(x, filters, scope), y])


def separable(x: Any, filters: int, scope: Scope) -> Any:
    """Two depthwise separable convolutions: 3x3 within each channel, then 1x1 across them.

    About a ninth of the multiplications of full convolutions (Howard et al. 2017, arXiv 1704.04861).
    """
    if scope.rank != 2:
        raise PlanError(
            "depthwise convolutions are for two axes", where="network.block", received="separable"
        )
    for part, stride in (("1", scope.stride), ("2", None)):
        depth, point = scope.child(f"{part}_depthwise"), scope.child(f"{part}_pointwise")
        x = layers.DepthwiseConv2D(
            scope.kernel,
            strides=stride or (1, 1),
            padding="same",
            use_bias=scope.config.normalisation == "none",
            depthwise_initializer=keras.initializers.HeNormal(depth.layer_seed("conv")),
            name=depth.name("conv"),
        )(x)
        x = activate(normalise(x, depth), depth)
        x = activate(normalise(pointwise(x, filters, point), point), point)
    return x


def recurrent(x: Any, filters: int, scope: Scope) -> Any:
    """The sum x + F(x), F two recurrent convolutional layers (R2U-Net, Alom et al. 2018, figure 4d)."""
    entry = scope.child("entry").strided(scope.stride)
    x = pointwise(x, filters, entry, bias=True)
    y = recurrent_conv(x, filters, scope.child("1"))
    y = recurrent_conv(y, filters, scope.child("2"))
    return layers.Add(name=scope.name("add"))([x, y])


def recurrent_conv(x: Any, filters: int, scope: Scope) -> Any:
    """h(0) = sigma(W_f x + b), then h(t) = sigma(W_f x + W_r h(t-1) + b), t = 1 .. steps.

    tied: W_f = W_r = W, so h(t) = sigma(W (x + h(t-1)) + b), one convolution for all steps.
    """
    spec, forward = scope.config.recurrence, convolution(filters, scope)
    feedback = forward if spec.tied else convolution(filters, scope, part="recurrent_conv", bias=False)
    shared = None if spec.step_statistics else normalisation_layer(filters, scope)

    def respond(o: Any, step: int) -> Any:
        here = scope.child(f"step{step}")
        norm = normalisation_layer(filters, here) if spec.step_statistics else shared
        return activate(o if norm is None else norm(o), here)

    fed = forward(x)
    h = respond(fed, 0)
    for step in range(1, spec.steps + 1):
        here = scope.child(f"step{step}")
        if spec.tied:
            o = forward(layers.Add(name=here.name("add"))([x, h]))
        else:
            o = layers.Add(name=here.name("add"))([fed, feedback(h)])
        h = respond(o, step)
    return h


BLOCKS: dict[str, Block] = by_name(none, conv, double_conv, residual, pre_residual, separable, recurrent)
