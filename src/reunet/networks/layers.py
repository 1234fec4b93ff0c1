"""Keras layers by rank, so that no block is written twice for 2D and 3D."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from reunet.networks.scope import Scope

CONV = {2: layers.Conv2D, 3: layers.Conv3D}
CONV_TRANSPOSE = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}
MAX_POOL = {2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
CROP = {2: layers.Cropping2D, 3: layers.Cropping3D}
MEAN = {2: layers.GlobalAveragePooling2D, 3: layers.GlobalAveragePooling3D}
UPSAMPLE = {2: layers.UpSampling2D, 3: layers.UpSampling3D}


def convolution(
    filters: int,
    scope: Scope,
    *,
    part: str = "conv",
    kernel: tuple[int, ...] | None = None,
    bias: bool | None = None,
) -> keras.layers.Layer:
    """The convolution of a place, W * x + b; its stride is the scope's.

    part: its name there. kernel: sides per axis, those of the level when None. bias: as configured when None;
    a normalisation that follows subtracts the mean, so by default there is none before one.
    """
    config = scope.config
    if bias is None:
        bias = config.normalisation == "none" if config.bias is None else config.bias
    return CONV[scope.rank](
        filters,
        kernel or scope.kernel,
        strides=scope.stride or 1,
        padding=config.padding,
        use_bias=bias,
        kernel_initializer=keras.initializers.HeNormal(scope.layer_seed(part)),
        name=scope.name(part),
    )


def convolve(x: Any, filters: int, scope: Scope) -> Any:
    """Apply the convolution of a place."""
    return convolution(filters, scope)(x)


def pointwise(x: Any, filters: int, scope: Scope, *, bias: bool | None = None) -> Any:
    """A 1x1 convolution: a dense layer at every pixel."""
    return convolution(filters, scope, kernel=(1,) * scope.rank, bias=bias)(x)


def enlarge(x: Any, factors: tuple[int, ...], scope: Scope, *, linear: bool = False) -> Any:
    """Enlarge by `factors` per axis: each value repeated, or interpolated (in 2D; Keras has no trilinear)."""
    if all(factor == 1 for factor in factors):
        return x
    smooth = {"interpolation": "bilinear"} if linear and scope.rank == 2 else {}
    return UPSAMPLE[scope.rank](factors, name=scope.name("upsample"), **smooth)(x)
