"""Encoders of `keras.applications`: their features, their weights, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.contracts.network import NetworkConfig
from reunet.errors import ModelFileError, PlanError

from .family import numpy_of

pytestmark = pytest.mark.usefixtures("backend")
NAMES = ("vgg16", "resnet50", "mobilenet_v2", "efficientnet_v2_b0")


def config(encoder: str, channels: int = 3, **fields: Any) -> NetworkConfig:
    from reunet.networks import configure

    settings = {"in_channels": channels, "heads": ({"channels": 2},), "filters": (4, 8, 16), **fields}
    return configure("unet", encoder=encoder, **settings)


def test_every_application_is_named_here() -> None:
    from reunet.networks.pretrained import APPLICATIONS

    assert set(APPLICATIONS) == set(NAMES)


@pytest.mark.parametrize("encoder", NAMES)
def test_features_are_the_applications_own(encoder: str, tmp_path: Path) -> None:
    """What our network sees at its deepest level is what the application computes there."""
    import keras

    from reunet.networks import build_network
    from reunet.networks.pretrained import APPLICATIONS, load_pretrained

    application = APPLICATIONS[encoder]
    published = application.build()
    published.save_weights(tmp_path / "published.weights.h5")
    network = build_network(config(encoder))
    load_pretrained(network, config(encoder), tmp_path / "published.weights.h5")

    image = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    seen = image * application.scale + application.offset
    last = [layer.name for layer in published.layers if layer.output.shape[1] == 16][-1]
    expected = keras.Model(published.input, published.get_layer(last).output)(
        seen[..., ::-1].copy() if application.bgr else seen
    )
    found = keras.Model(network.input, network.get_layer(f"enc_{last}").output)(image)
    np.testing.assert_allclose(numpy_of(found), numpy_of(expected), rtol=1e-4, atol=1e-4)


def test_grey_images_are_seen_as_grey_photographs(tmp_path: Path) -> None:
    from reunet.networks import build_network
    from reunet.networks.pretrained import APPLICATIONS, load_pretrained

    file = tmp_path / "published.weights.h5"
    APPLICATIONS["vgg16"].build().save_weights(file)
    grey, colour = (build_network(config("vgg16", channels)) for channels in (1, 3))
    for network, channels in ((grey, 1), (colour, 3)):
        load_pretrained(network, config("vgg16", channels), file)
    kernels = [numpy_of(network.get_layer("enc_block1_conv1").kernel) for network in (grey, colour)]
    np.testing.assert_allclose(kernels[0], kernels[1].sum(axis=2, keepdims=True), rtol=1e-6)


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    from reunet.networks import build_network
    from reunet.networks.pretrained import load_pretrained

    with pytest.raises(PlanError, match="2 to 6 levels"):
        build_network(config("vgg16", filters=(4,), strides=()))
    with pytest.raises(PlanError, match="every stride"):
        build_network(config("vgg16", strides=((2, 2), (3, 3))))
    with pytest.raises(PlanError, match="one or three"):
        load_pretrained(build_network(config("vgg16", 4)), config("vgg16", 4), "unused")
    other = tmp_path / "other.weights.h5"
    other.write_bytes(b"not weights")
    for wrong in (tmp_path / "absent.weights.h5", other):
        with pytest.raises(ModelFileError, match="--encoder-weights"):
            load_pretrained(build_network(config("vgg16")), config("vgg16"), wrong)
