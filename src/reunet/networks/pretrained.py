"""Encoders that have seen a million photographs, by the encoder's door: their features and their weights.

Networks of `keras.applications`, and EfficientNet-Lite0, whose weights come as a package.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import applications

from reunet.contracts.network import NetworkConfig
from reunet.errors import ModelFileError, PlanError, installing
from reunet.networks.blocks import BLOCKS
from reunet.networks.efficientnet import efficientnet_lite0, lite0_layers
from reunet.networks.photo import PHOTO_ENCODER, PHOTO_PACKAGE, PHOTO_SHA256, photo_weights
from reunet.networks.scope import Scope
from reunet.networks.torch_weights import read_torch_weights

PROBE = 64
"""Side of the image on which the reductions of a network's layers are found."""

Weights = Mapping[str, list[np.ndarray]]
"""The arrays of layers by their names in the application, in the order of Keras."""


def _keras_weights(application: Application, wanted: str) -> Weights:
    """Downloaded once by Keras, or of a file it wrote."""
    return {layer.name: layer.get_weights() for layer in application.build(wanted).layers if layer.weights}


def _lite0_weights(application: Application, wanted: str) -> Weights:
    """Of the package, or of a copy of its file."""
    if wanted != "imagenet":
        return lite0_layers(read_torch_weights(Path(wanted)))
    file = photo_weights()
    if file is None:
        raise ModelFileError("its weights are not here", fix=installing("photo"))
    if hashlib.sha256(file.read_bytes()).hexdigest() != PHOTO_SHA256:
        raise ModelFileError(
            "this is not the published file of weights",
            where=file,
            expected=f"SHA-256 {PHOTO_SHA256}",
            fix=f"install the package {PHOTO_PACKAGE.replace('_', '-')} again",
        )
    return lite0_layers(read_torch_weights(file))


@dataclass(frozen=True)
class Application:
    """A network that was trained on ImageNet. whole: what makes it. weights: what finds its weights.

    scale, offset: from images of mean 0 and deviation 1, as our networks see them, to the pixel values it
    was trained with, ImageNet's mean and deviation (about 117 and 58 of 255) taken for all channels.
    bgr: whether it was trained with the channels in reverse. between: what the layers between its blocks are
    named like, where these are narrower than what lies within; otherwise all layers are alike.
    """

    whole: Callable[..., keras.Model]
    scale: float
    offset: float
    bgr: bool = False
    between: str | None = None
    weights: Callable[[Application, str], Weights] = _keras_weights

    def build(self, weights: str | None = None, image: Any = None) -> keras.Model:
        """The network without its classifier, on a symbolic `image` or one of its own.

        weights: `imagenet`, the path of a file, or None.
        """
        shape = (PROBE, PROBE, 3) if image is None else None
        return self.whole(weights=weights, input_shape=shape, input_tensor=image)


INVERTED_RESIDUALS = "project|add"

APPLICATIONS = {
    PHOTO_ENCODER: Application(
        efficientnet_lite0, 58 / 128, -10 / 128, between=INVERTED_RESIDUALS, weights=_lite0_weights
    ),
    "vgg16": Application(partial(applications.VGG16, include_top=False), 58.0, 0.0, bgr=True),
    "resnet50": Application(partial(applications.ResNet50, include_top=False), 58.0, 0.0, bgr=True),
    "mobilenet_v2": Application(
        partial(applications.MobileNetV2, include_top=False), 0.45, -0.08, between=INVERTED_RESIDUALS
    ),
    "efficientnet_v2_b0": Application(
        partial(applications.EfficientNetV2B0, include_top=False, include_preprocessing=False),
        1.0,
        0.0,
        between=INVERTED_RESIDUALS,
    ),
}


def encoder(name: str) -> Callable[[Any, Scope], list[Any]]:
    """The encoder made of an application: for each level its last features of that resolution.

    Where the decoder ends before full resolution they are those between its blocks, which are narrow.
    """

    def encode(x: Any, scope: Scope) -> list[Any]:
        config, application = scope.config, APPLICATIONS[name]
        check_fits(config, name)
        scaled = keras.layers.Rescaling(application.scale, application.offset, name="enc_rescaling")(x)
        whole = application.build(image=scaled)
        model = application.build()
        last = _last_layers(model, application.between if config.output_level else None)
        own = {layer.name for layer in model.layers}
        found = [None if layer is None else whole.get_layer(layer).output for layer in last]
        for layer in whole.layers:
            if layer.name in own:
                layer.name = encoder_name(layer.name)

        def fresh(level: int) -> Any:
            """Most applications have nothing at full resolution: where it is used, a block of our own."""
            if level < config.output_level:
                return x
            return scope.entry("block", BLOCKS)(x, config.filters[level], scope.child(f"enc{level}", level))

        return [fresh(i) if found[i] is None else found[i] for i in range(len(config.filters))]

    return encode


def encoder_name(layer: str) -> str:
    """Name in our network of an application's layer."""
    return f"enc_{layer}"


def _last_layers(whole: keras.Model, between: str | None) -> list[str | None]:
    """Per level, down to 1/32, the last layer at that resolution whose name has `between`; None where there
    is but the image.
    """
    last = {
        layer.output.shape[1]: layer
        for layer in whole.layers
        if len(layer.output.shape) == 4 and (between is None or re.search(between, layer.name))
    }
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


def pretrained_weights(name: str, wanted: str | Path) -> Weights:
    """The weights of an application.

    wanted: `imagenet`, from the extra that brings them or downloaded once by Keras; or a file of them.
    Raises ModelFileError when they cannot be had.
    """
    application = APPLICATIONS[name]
    try:
        return application.weights(application, str(wanted))
    except ModelFileError:
        raise
    except Exception as cause:  # Keras raises whatever the download, the file or HDF5 raised
        raise ModelFileError(
            f"the weights of {name} cannot be loaded",
            where=wanted,
            received=str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__,
            fix="give a file of its weights without the top with --encoder-weights FILE, "
            "or train the encoder from scratch with --encoder-weights none",
        ) from cause


def load_pretrained(network: keras.Model, config: NetworkConfig, weights: Weights) -> None:
    """Give the encoder of `network` the weights of its application.

    Each channel of images that are not RGB gets a share of the sum over the three colours: equal channels
    are seen as a grey photograph. Raises ModelFileError for weights of other shapes.
    """
    application, layers = APPLICATIONS[config.encoder], {layer.name: layer for layer in network.layers}
    for name, values in weights.items():
        if layer := layers.get(encoder_name(name)):
            try:
                layer.set_weights(_for_channels(values, application, config))
            except ValueError as cause:
                raise ModelFileError(
                    f"these are not the weights of {config.encoder}",
                    where=f"its layer {name}",
                    expected=f"shapes {[tuple(weight.shape) for weight in layer.weights]}",
                    received=f"shapes {[value.shape for value in values]}",
                ) from cause


def _for_channels(
    values: list[np.ndarray], application: Application, config: NetworkConfig
) -> list[np.ndarray]:
    """Kernels of the first convolution for our channels: RGB in order, or shares of grey."""
    first, *others = values
    if first.ndim != 4 or first.shape[2] != 3:
        return values
    kernel = first[:, :, ::-1] if application.bgr else first
    if config.in_channels != 3:
        grey = kernel.sum(axis=2, keepdims=True)
        kernel = np.repeat(grey, config.in_channels, axis=2) / config.in_channels
    return [kernel, *others]
