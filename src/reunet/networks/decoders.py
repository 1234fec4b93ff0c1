"""The way back up: every decoder is `decoder(features, scope) -> features`, finest first.

`features` are the encoder's, finest first, the last one being the bottleneck.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from reunet.networks.blocks import BLOCKS
from reunet.networks.geometry import skip_crop
from reunet.networks.layers import CONV_TRANSPOSE, CROP
from reunet.networks.scope import Scope
from reunet.networks.skips import SKIPS

Decoder = Callable[[list[Any], Scope], list[Any]]


def upsample(x: Any, filters: int, scope: Scope) -> Any:
    """The paper's up-convolution: a transposed convolution whose kernel is its stride."""
    stride = scope.config.strides[scope.level]
    initializer = keras.initializers.GlorotUniform(scope.layer_seed("up"))
    layer = CONV_TRANSPOSE[scope.rank](
        filters, stride, strides=stride, kernel_initializer=initializer, name=scope.name("up")
    )
    return layer(x)


def crop_skip(x: Any, scope: Scope) -> Any:
    """Take off what the unpadded convolutions below took off (nothing with padding)."""
    crop = skip_crop(scope.config, scope.level)
    if not any(crop):
        return x
    return CROP[scope.rank](tuple((side, side) for side in crop), name=scope.name("crop"))(x)


def plain(features: list[Any], scope: Scope) -> list[Any]:
    """The expanding path of Ronneberger et al. 2015: up, join the skip, convolve; at every level."""
    config, x = scope.config, features[-1]
    outputs: list[Any] = []
    for level in reversed(range(len(features) - 1)):
        here, filters = scope.child(f"dec{level}", level), config.filters[level]
        up = upsample(x, filters, here)
        joined = SKIPS[config.skip]([crop_skip(features[level], here)], up, filters, here)
        x = BLOCKS[config.block](joined, filters, here)
        outputs.insert(0, x)
    return outputs or [x]


DECODERS: dict[str, Decoder] = {"plain": plain}
