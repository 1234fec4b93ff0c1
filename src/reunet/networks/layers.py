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


def convolve(
    x: Any, filters: int, scope: Scope, *, kernel: tuple[int, ...] | None = None, bias: bool | None = None
) -> Any:
    """The convolution of a place, W * x + b; its stride is the scope's.

    kernel: sides per axis, those of the level when None. bias: as configured when None; a normalisation
    that follows subtracts the mean, so by default there is none before one.
    """
    config = scope.config
    if bias is None:
        bias = config.normalisation == "none" if config.bias is None else config.bias
    layer = CONV[scope.rank](
        filters,
        kernel or scope.kernel,
        strides=scope.stride or 1,
        padding=config.padding,
        use_bias=bias,
        kernel_initializer=keras.initializers.HeNormal(scope.layer_seed("conv")),
        name=scope.name("conv"),
    )
    return layer(x)


def pointwise(x: Any, filters: int, scope: Scope, *, bias: bool | None = None) -> Any:
    """A 1x1 convolution: a dense layer at every pixel."""
    return convolve(x, filters, scope, kernel=(1,) * scope.rank, bias=bias)


def enlarge(x: Any, factors: tuple[int, ...], scope: Scope, *, linear: bool = False) -> Any:
    """Enlarge by `factors` per axis: each value repeated, or interpolated (in 2D; Keras has no trilinear)."""
    if all(factor == 1 for factor in factors):
        return x
    smooth = {"interpolation": "bilinear"} if linear and scope.rank == 2 else {}
    return UPSAMPLE[scope.rank](factors, name=scope.name("upsample"), **smooth)(x)
