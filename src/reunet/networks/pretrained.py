"""Encoders that have seen a million photographs: networks of `keras.applications` by the encoder's door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import applications

from reunet.contracts.network import NetworkConfig
from reunet.errors import ModelFileError, PlanError
from reunet.networks.blocks import BLOCKS
from reunet.networks.scope import Scope

PROBE = 64
"""Side of the image on which the reductions of a network's layers are found."""


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications`. whole: what makes it.

    scale, offset: from images of mean 0 and deviation 1, as our networks see them, to the pixel values it
    was trained with, ImageNet's mean and deviation (about 117 and 58 of 255) taken for all channels.
    bgr: whether it was trained with the channels in reverse.
    """

    whole: Callable[..., keras.Model]
    scale: float
    offset: float
    bgr: bool = False

    def build(self, weights: str | None = None, image: Any = None) -> keras.Model:
        """The network without its classifier, on a symbolic `image` or one of its own.

        weights: `imagenet`, the path of a file, or None.
        """
        shape = (PROBE, PROBE, 3) if image is None else None
        return self.whole(include_top=False, weights=weights, input_shape=shape, input_tensor=image)


APPLICATIONS = {
    "vgg16": Application(applications.VGG16, 58.0, 0.0, bgr=True),
    "resnet50": Application(applications.ResNet50, 58.0, 0.0, bgr=True),
    "mobilenet_v2": Application(applications.MobileNetV2, 0.45, -0.08),
    "efficientnet_v2_b0": Application(
        partial(applications.EfficientNetV2B0, include_preprocessing=False), 1.0, 0.0
    ),
}


def encoder(name: str) -> Callable[[Any, Scope], list[Any]]:
    """The encoder made of an application: for each level its last features of that resolution."""

    def encode(x: Any, scope: Scope) -> list[Any]:
        config, application = scope.config, APPLICATIONS[name]
        check_fits(config, name)
        scaled = keras.layers.Rescaling(application.scale, application.offset, name="enc_rescaling")(x)
        whole = application.build(image=scaled)
        model = application.build()
        last, own = _last_layers(model), {layer.name for layer in model.layers}
        found = [None if layer is None else whole.get_layer(layer).output for layer in last]
        for layer in whole.layers:
            if layer.name in own:
                layer.name = encoder_name(layer.name)
        return [
            # Most applications have nothing at full resolution: there a block of our own looks at the image.
            BLOCKS[config.block](x, filters, scope.child(f"enc{level}", level))
            if found[level] is None
            else found[level]
            for level, filters in enumerate(config.filters)
        ]

    return encode


def encoder_name(layer: str) -> str:
    """Name in our network of an application's layer."""
    return f"enc_{layer}"


def _last_layers(whole: keras.Model) -> list[str | None]:
    """Per level, down to 1/32, the last layer at that resolution; None where there is but the image."""
    last = {layer.output.shape[1]: layer for layer in whole.layers if len(layer.output.shape) == 4}
    found = [last.get(PROBE // 2**level) for level in range(6)]
    return [None if layer is None or layer.output.shape[-1] == 3 else layer.name for layer in found]


def check_fits(config: NetworkConfig, name: str) -> None:
    """Raise PlanError for a configuration that an application cannot be the encoder of."""
    wrong = {
        "spatial_dims must be 2": config.spatial_dims != 2 or config.time == "axis",
        "every stride must be (2, 2)": any(stride != (2, 2) for stride in config.strides),
        "there must be 2 to 6 levels": not 2 <= len(config.filters) <= 6,
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise PlanError(f"{message} with a pretrained encoder", where="network.encoder", received=name)


def load_pretrained(network: keras.Model, config: NetworkConfig, weights: str | Path) -> None:
    """Give the encoder of `network` the weights of an application.

    weights: `imagenet`, which Keras downloads once, or the file of such weights. Images with one channel
    get the sum over the three colours, as if they were grey photographs.

    Raises ModelFileError when the weights cannot be had or do not fit, PlanError for other channels.
    """
    application = APPLICATIONS[config.encoder]
    if config.in_channels not in (1, 3):
        raise PlanError(
            "pretrained encoders look at images with one or three channels",
            where="network.in_channels",
            received=config.in_channels,
        )
    try:
        source = application.build(str(weights))
    except Exception as cause:  # Keras raises whatever the download, the file or HDF5 raised
        raise ModelFileError(
            f"the weights of {config.encoder} cannot be loaded",
            where=weights,
            received=str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__,
            fix="give a file of Keras weights without the top with --encoder-weights FILE, "
            "or train the encoder from scratch with --encoder-weights none",
        ) from cause
    for layer in source.layers:
        if layer.weights and encoder_name(layer.name) in {known.name for known in network.layers}:
            values = _for_channels(layer.get_weights(), application, config)
            network.get_layer(encoder_name(layer.name)).set_weights(values)


def _for_channels(
    values: list[np.ndarray], application: Application, config: NetworkConfig
) -> list[np.ndarray]:
    """Kernels of the first convolution for our channels: RGB in order, or grey."""
    first, *others = values
    if first.ndim != 4 or first.shape[2] != 3:
        return values
    kernel = first[:, :, ::-1] if application.bgr else first
    return [kernel.sum(axis=2, keepdims=True) if config.in_channels == 1 else kernel, *others]
