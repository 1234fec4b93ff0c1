"""The ways up a level: every one is `upsample(x, filters, scope) -> x` by the stride of the scope's level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from reunet.networks.blocks import activate, conv_norm_act
from reunet.networks.layers import CONV_TRANSPOSE, enlarge
from reunet.networks.normalisation import normalise
from reunet.networks.scope import Scope, by_name

Upsampling = Callable[[Any, int, Scope], Any]


def transpose(x: Any, filters: int, scope: Scope) -> Any:
    """The paper's up-convolution: a transposed convolution whose kernel is its stride."""
    stride = scope.config.strides[scope.level]
    initializer = keras.initializers.GlorotUniform(scope.layer_seed("up"))
    layer = CONV_TRANSPOSE[scope.rank](
        filters, stride, strides=stride, kernel_initializer=initializer, name=scope.name("up")
    )
    return layer(x)


def transpose_norm(x: Any, filters: int, scope: Scope) -> Any:
    """The up-convolution followed by normalisation and activation, as in BCDU-Net."""
    here = scope.child("up")
    return activate(normalise(transpose(x, filters, scope), here), here)


def nearest_conv(x: Any, filters: int, scope: Scope) -> Any:
    """Each value repeated, then a convolution, as in the popular port of R2U-Net and Attention U-Net."""
    here = scope.child("up")
    return conv_norm_act(enlarge(x, scope.config.strides[scope.level], here), filters, here)


def linear(x: Any, filters: int, scope: Scope) -> Any:
    """Interpolated between the values, without weights; as many channels as before."""
    return enlarge(x, scope.config.strides[scope.level], scope.child("up"), linear=True)


UPSAMPLINGS: dict[str, Upsampling] = by_name(transpose, transpose_norm, nearest_conv, linear)
