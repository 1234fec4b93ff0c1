r"""The U-Net (Ronneberger, Fischer, Brox, MICCAI 2015, arXiv 1505.04597), and every network built like it.

    image -> enc0 ---------------- skip ----------------> dec0 -> 1x1 convolution -> logits
               \ pool                                up /
               enc1 ---------------- skip --------> dec1
                  \ pool                        up /
                  enc2 = bottleneck ------------'

The names `enc0`, `dec0`, ... are the layers' names. Blocks are in `blocks.py`.
"""

from __future__ import annotations

import random
from typing import Any

import keras

from reunet.contracts.network import NetworkConfig
from reunet.errors import PlanError
from reunet.networks.blocks import BLOCKS
from reunet.networks.bottlenecks import BOTTLENECKS
from reunet.networks.decoders import DECODERS
from reunet.networks.layers import CONV, MAX_POOL
from reunet.networks.outputs import probability_model
from reunet.networks.presets import choose, configure
from reunet.networks.scope import Scope
from reunet.networks.skips import SKIPS

SLOTS: dict[str, dict[str, Any]] = {
    "block": BLOCKS,
    "bottleneck": BOTTLENECKS,
    "skip": SKIPS,
    "decoder": DECODERS,
}


def build_network(
    config: NetworkConfig, *, seed: int = 0, size: tuple[int, ...] | None = None
) -> keras.Model:
    """Build the network of `config`.

    Input `image`: (B, *space, in_channels) float32, any size unless `size` is given; see
    `geometry.valid_size` for the sizes that fit. Output: a dict of float32 logits, for each head
    `{name: (B, *space, channels)}` and, with deep supervision, `{name}_1`, `{name}_2`, ... for the
    coarser levels. The same seed gives the same weights. Raises PlanError for an unknown name in a slot.
    """
    for slot, entries in SLOTS.items():
        choose(getattr(config, slot), entries, where=f"network.{slot}")
    scope = Scope(config, seed)
    image = keras.Input((*(size or (None,) * config.spatial_dims), config.in_channels), name="image")

    features = encode(image, scope)
    features[-1] = BOTTLENECKS[config.bottleneck](features[-1], config.filters[-1], scope.child("bottleneck"))
    if config.dropout:  # "drop-out layers at the end of the contracting path", section 3.1
        dropout = keras.layers.Dropout(config.dropout, seed=scope.layer_seed("dropout"), name="dropout")
        features[-1] = dropout(features[-1])
    decoded = DECODERS[config.decoder](features, scope)
    levels = decoded if config.deep_supervision else decoded[:1]

    logits = {}
    for head in config.heads:
        for level, x in enumerate(levels):
            name = f"{head.name}_{level}" if level else head.name
            logits[name] = pixelwise_dense(x, head.channels, scope.child(name))
    return keras.Model(image, logits, name=config.preset)


def pixelwise_dense(x: Any, channels: int, scope: Scope) -> Any:
    """The final 1x1 convolution: a dense layer at every pixel, W x + b, always in float32."""
    initializer = keras.initializers.GlorotUniform(scope.layer_seed("logits"))
    convolution = CONV[scope.rank](
        channels, 1, kernel_initializer=initializer, dtype="float32", name=scope.name("logits")
    )
    return convolution(x)


def encode(x: Any, scope: Scope) -> list[Any]:
    """The contracting path: a block per level, maximum pooling y = max(x) between two levels."""
    config, features = scope.config, []
    for level, filters in enumerate(config.filters):
        here = scope.child(f"enc{level}", level)
        if level:
            x = MAX_POOL[scope.rank](config.strides[level - 1], name=here.name("pool"))(x)
        x = BLOCKS[config.block](x, filters, here)
        features.append(x)
    return features


def unet_model(
    input_shape: tuple[int | None, ...],
    num_classes: int,
    preset: str = "unet",
    *,
    seed: int | None = None,
    **options: Any,
) -> keras.Model:
    """A U-Net that ends in a 1x1 convolution with softmax, y = softmax(W x + b) at every pixel.

    Parameters
    ----------
    input_shape: (H, W, C) or (D, H, W, C); axes may be None, then any size divisible by the total
        stride fits (16 with the default five levels).
    num_classes: number of output channels, at least 1.
    preset: a name of `reunet.networks.PRESETS`.
    seed: of the initial weights; drawn from Python's `random` when None, as Keras does.
    options: fields of `NetworkConfig` that differ from the preset, such as filters=(16, 32, 64).

    Returns a `keras.Model` from float32 images (B, *space, C) to float32 probabilities
    (B, *space, num_classes). Compile it with a loss on probabilities. Raises PlanError.
    """
    if len(input_shape) not in (3, 4) or not isinstance(input_shape[-1], int):
        raise PlanError(
            "the input shape does not describe an image",
            where="input_shape",
            expected="(height, width, channels) or (depth, height, width, channels)",
            received=input_shape,
        )
    rank = len(input_shape) - 1
    config = configure(
        preset, spatial_dims=rank, in_channels=input_shape[-1], heads=({"channels": num_classes},), **options
    )
    size = None if None in input_shape else tuple(side for side in input_shape[:-1] if side is not None)
    if size is not None:
        check_size(config, size)
    network = build_network(config, seed=random.randrange(2**31) if seed is None else seed, size=size)  # noqa: S311
    probabilities = probability_model(network, config)
    return keras.Model(network.inputs[0], probabilities.outputs[0], name=preset)


def check_size(config: NetworkConfig, size: tuple[int, ...]) -> None:
    """Raise PlanError when the network cannot take inputs of this size (axes as in `config`)."""
    from reunet.networks.geometry import valid_size

    if (nearest := valid_size(config, size)) != size:
        raise PlanError(
            "the network cannot take images of this size",
            where="input_shape",
            expected=f"sides that fit {len(config.strides)} poolings, such as {nearest}",
            received=size,
            fix="pad or crop the images, or use None for the sides",
        )
