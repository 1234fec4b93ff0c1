"""The convolution blocks: every block is `block(x, filters, scope) -> x`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from reunet.networks.layers import CONV
from reunet.networks.normalisation import normalise
from reunet.networks.scope import Scope

KERNEL = 3

Block = Callable[[Any, int, Scope], Any]


def activate(x: Any, scope: Scope) -> Any:
    """ReLU, y = max(x, 0), or its leaky form with slope 0.01 below zero (as in nnU-Net)."""
    if scope.config.activation == "leaky_relu":
        return layers.LeakyReLU(negative_slope=0.01, name=scope.name("act"))(x)
    return layers.ReLU(name=scope.name("act"))(x)


def conv_norm_act(x: Any, filters: int, scope: Scope) -> Any:
    """A 3x3 convolution, y = sigma(W * x + b), with the normalisation before the activation.

    A normalisation subtracts the mean, so the bias b is left out where one follows.
    """
    convolution = CONV[scope.rank](
        filters,
        KERNEL,
        padding=scope.config.padding,
        use_bias=scope.config.normalisation == "none",
        kernel_initializer=keras.initializers.HeNormal(scope.layer_seed("conv")),
        name=scope.name("conv"),
    )
    return activate(normalise(convolution(x), scope), scope)


def double_conv(x: Any, filters: int, scope: Scope) -> Any:
    """Two convolutions, as at every level of Ronneberger et al. 2015, figure 1."""
    x = conv_norm_act(x, filters, scope.child("1"))
    return conv_norm_act(x, filters, scope.child("2"))


BLOCKS: dict[str, Block] = {"double_conv": double_conv}
