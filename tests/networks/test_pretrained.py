"""Pretrained encoders: their features, their weights, and what cannot be."""

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

    assert set(APPLICATIONS) == {*NAMES, "efficientnet_lite0"}


@pytest.mark.parametrize("encoder", NAMES)
def test_features_are_the_applications_own(encoder: str, tmp_path: Path) -> None:
    """What our network sees at its deepest level is what the application computes there."""
    import keras

    from reunet.networks import build_network
    from reunet.networks.pretrained import APPLICATIONS, load_pretrained, pretrained_weights

    application = APPLICATIONS[encoder]
    published = application.build()
    published.save_weights(tmp_path / "published.weights.h5")
    network = build_network(config(encoder))
    weights = pretrained_weights(encoder, tmp_path / "published.weights.h5")
    load_pretrained(network, config(encoder), weights)

    image = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    seen = image * application.scale + application.offset
    last = [layer.name for layer in published.layers if layer.output.shape[1] == 16][-1]
    expected = keras.Model(published.input, published.get_layer(last).output)(
        seen[..., ::-1].copy() if application.bgr else seen
    )
    found = keras.Model(network.input, network.get_layer(f"enc_{last}").output)(image)
    np.testing.assert_allclose(numpy_of(found), numpy_of(expected), rtol=1e-4, atol=1e-4)


def test_images_with_other_channels_are_seen_as_grey_photographs(tmp_path: Path) -> None:
    from reunet.networks import build_network
    from reunet.networks.pretrained import APPLICATIONS, load_pretrained, pretrained_weights

    file = tmp_path / "published.weights.h5"
    APPLICATIONS["vgg16"].build().save_weights(file)
    weights = pretrained_weights("vgg16", file)
    kernels = {}
    for channels in (1, 3, 5):
        network = build_network(config("vgg16", channels))
        load_pretrained(network, config("vgg16", channels), weights)
        kernels[channels] = numpy_of(network.get_layer("enc_block1_conv1").kernel)
    colours = kernels[3].sum(axis=2)
    for channels, kernel in kernels.items():
        np.testing.assert_allclose(kernel.sum(axis=2), colours, rtol=1e-4, atol=1e-6)
        assert kernel.shape[2] == channels


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    from reunet.networks import build_network
    from reunet.networks.pretrained import APPLICATIONS, load_pretrained, pretrained_weights

    with pytest.raises(PlanError, match="2 to 6 levels"):
        build_network(config("vgg16", filters=(4,), strides=()))
    with pytest.raises(PlanError, match="every stride"):
        build_network(config("vgg16", strides=((2, 2), (3, 3))))
    other = tmp_path / "other.weights.h5"
    other.write_bytes(b"not weights")
    for wrong in (tmp_path / "absent.weights.h5", other):
        with pytest.raises(ModelFileError, match="--encoder-weights"):
            pretrained_weights("vgg16", wrong)
    foreign = {layer.name: layer.get_weights() for layer in APPLICATIONS["vgg16"].build().layers}
    foreign["block1_conv1"] = [values[:2] for values in foreign["block1_conv1"]]
    with pytest.raises(ModelFileError, match="not the weights of vgg16"):
        load_pretrained(build_network(config("vgg16")), config("vgg16"), foreign)


LIGHT: dict[str, Any] = {
    "filters": (4, 8, 8, 8, 8, 320),
    "decoder_block": "conv",
    "upsampling": "linear",
    "output_level": 1,
}


def test_lite0_is_the_published_network() -> None:
    """Its deepest features equal those that the same weights give, computed by PyTorch's own functions."""
    torch = pytest.importorskip("torch")
    from reunet.networks import build_network
    from reunet.networks.efficientnet import STAGES
    from reunet.networks.photo import photo_weights
    from reunet.networks.pretrained import APPLICATIONS, load_pretrained, pretrained_weights
    from reunet.networks.torch_weights import read_torch_weights

    file = photo_weights()
    if file is None:
        pytest.skip("the extra photo is not installed")
    tensors = read_torch_weights(file)
    published = torch.load(file, weights_only=True)
    assert tensors.keys() == published.keys()
    assert all(np.array_equal(tensors[name], published[name].numpy()) for name in tensors)

    def convolved(x: Any, name: str, stride: int = 1, groups: int = 1) -> Any:
        kernel = published[f"{name}.weight"]
        lost = [max((-(-side // stride) - 1) * stride + kernel.shape[-1] - side, 0) for side in x.shape[2:]]
        around = [part for total in reversed(lost) for part in (total // 2, total - total // 2)]
        padded = torch.nn.functional.pad(x, around)
        return torch.nn.functional.conv2d(padded, kernel, stride=stride, groups=groups)

    def normalised(x: Any, name: str) -> Any:
        parts = (published[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return torch.nn.functional.batch_norm(x, *parts, eps=1e-3)

    image = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    x = torch.tensor(image * 58 / 128 - 10 / 128).permute(0, 3, 1, 2)
    x = normalised(convolved(x, "_conv_stem", 2), "_bn0").clamp(0, 6)
    number = 0
    for count, _side, first, wider, _filters in STAGES:
        for repeat in range(count):
            block, y = f"_blocks.{number}", x
            if wider > 1:
                y = normalised(convolved(y, f"{block}._expand_conv"), f"{block}._bn0").clamp(0, 6)
            stride = 1 if repeat else first
            y = convolved(y, f"{block}._depthwise_conv", stride, y.shape[1])
            y = normalised(y, f"{block}._bn1").clamp(0, 6)
            y = normalised(convolved(y, f"{block}._project_conv"), f"{block}._bn2")
            x = x + y if x.shape == y.shape else y
            number += 1

    import keras

    settings = config("efficientnet_lite0", **LIGHT)
    network = build_network(settings)
    load_pretrained(network, settings, pretrained_weights("efficientnet_lite0", "imagenet"))
    found = keras.Model(network.input, network.get_layer("enc_block15_project_norm").output)(image)
    np.testing.assert_allclose(numpy_of(found), x.permute(0, 2, 3, 1).numpy(), atol=5e-5)
    assert set(APPLICATIONS) >= {"efficientnet_lite0"}


def test_the_skips_of_a_light_decoder_are_narrow_and_its_output_is_whole() -> None:
    from reunet.networks import build_network

    for encoder, widths in (("efficientnet_lite0", [16, 24, 40, 112]), ("mobilenet_v2", [16, 24, 32, 96])):
        network = build_network(config(encoder, **LIGHT))
        skips = [network.get_layer(f"dec{level}_concat").input[0].shape[-1] for level in (1, 2, 3, 4)]
        assert skips == widths
        names = [layer.name for layer in network.layers]
        assert not any(name.startswith(("enc0_", "dec0_")) for name in names)
        logits = network(np.zeros((1, 64, 96, 3), "float32"))["semantic"]
        assert logits.shape == (1, 64, 96, 2)


def test_a_plain_network_may_end_early_too() -> None:
    """What it says is what the same network says at half resolution, interpolated."""
    import keras

    from reunet.networks import build_network, configure

    settings = {"in_channels": 1, "heads": ({"channels": 3},), "filters": (4, 8, 8), "output_level": 1}
    network = build_network(configure("unet", **settings))
    image = np.random.default_rng(1).normal(size=(2, 32, 24, 1)).astype("float32")
    inner = keras.Model(network.input, network.get_layer("semantic_logits").output)
    half = keras.ops.image.resize(inner(image), (32, 24), interpolation="bilinear")
    np.testing.assert_allclose(numpy_of(network(image)["semantic"]), numpy_of(half), atol=1e-5)
    for wrong in ({"output_level": 3}, {"output_level": 1, "deep_supervision": True}):
        with pytest.raises(PlanError, match="output_level"):
            configure("unet", **(settings | wrong))
