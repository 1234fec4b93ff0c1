"""The U-Net against the paper and against itself in another form."""

from __future__ import annotations

import numpy as np
import pytest

from reunet.contracts.network import NetworkConfig
from reunet.errors import PlanError

pytestmark = pytest.mark.keras


def small(**fields: object) -> NetworkConfig:
    from reunet.networks import configure

    settings = {"in_channels": 2, "filters": (4, 8, 16), "heads": ({"channels": 3},), **fields}
    return configure("unet", **settings)


def numpy_of(tensor: object) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))


def test_paper_sizes_and_parameter_count() -> None:
    from reunet.contracts.sizes import margin
    from reunet.networks import unet_model

    # Ronneberger et al. 2015, figure 1: 572 x 572 in, 388 x 388 out, 2 classes.
    model = unet_model((572, 572, 1), 2, padding="valid")
    assert model.output_shape == (None, 388, 388, 2)
    assert model.count_params() == 31_030_658
    assert margin(small(padding="valid", filters=(64, 128, 256, 512, 1024))) == (92, 92)


def test_textbook_signature_ends_in_a_softmax() -> None:
    from reunet.networks import unet_model

    model = unet_model((32, 48, 3), 4, filters=(4, 8))
    image = np.random.default_rng(0).normal(size=(2, 32, 48, 3)).astype("float32")
    probabilities = numpy_of(model(image))
    assert probabilities.shape == (2, 32, 48, 4)
    np.testing.assert_allclose(probabilities.sum(-1), 1.0, atol=1e-5)
    assert probabilities.min() >= 0


def test_three_dimensions_from_the_same_builder() -> None:
    from reunet.networks import unet_model

    model = unet_model((8, 16, 16, 1), 2, filters=(2, 4), strides=((1, 2, 2),))
    assert model.output_shape == (None, 8, 16, 16, 2)


def test_convolution_pooling_and_dense_layer_are_the_textbook_equations() -> None:
    """y = relu(W * X + b), y = max(X), y = softmax(W x + b), computed by NumPy from the same weights."""
    from reunet.networks import unet_model

    model = unet_model((4, 4, 1), 2, filters=(1, 1))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape).astype("float32"))
    weights = {w.path: numpy_of(w.value) for w in model.weights}
    image = rng.normal(size=(4, 4)).astype("float32")

    def convolve(x: np.ndarray, layer: str) -> np.ndarray:
        kernel, bias = weights[f"{layer}/kernel"], weights[f"{layer}/bias"]
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
        return np.maximum(np.einsum("hwcij,ijcf->hwf", windows, kernel) + bias, 0)

    def block(x: np.ndarray, place: str) -> np.ndarray:
        return convolve(convolve(x, f"{place}_1_conv"), f"{place}_2_conv")

    top = block(image[..., None], "enc0")
    pooled = top.reshape(2, 2, 2, 2, 1).max(axis=(1, 3))
    bottom = block(pooled, "enc1")
    up = np.einsum("hwc,ijfc->hiwjf", bottom, weights["dec0_up/kernel"]).reshape(4, 4, 1)
    up = up + weights["dec0_up/bias"]
    joined = block(np.concatenate([top, up], axis=-1), "dec0")
    logits = joined @ weights["semantic_logits/kernel"][0, 0] + weights["semantic_logits/bias"]
    expected = np.exp(logits - logits.max(-1, keepdims=True))
    expected /= expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(numpy_of(model(image[None, ..., None]))[0], expected, atol=1e-4)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_output_size_is_input_size_less_the_margin(padding: str) -> None:
    from reunet.contracts.sizes import margin, valid_size
    from reunet.networks import build_network

    config = small(padding=padding)
    network, edge = build_network(config), margin(config)
    for at_least in ((41, 50), (64, 45)):
        size = valid_size(config, at_least)
        assert all(side >= wanted for side, wanted in zip(size, at_least, strict=True))
        output = network.compute_output_shape((1, *size, 2))["semantic"]
        assert output[1:3] == tuple(side - 2 * m for side, m in zip(size, edge, strict=True))
        image = np.zeros((1, *size, 2), "float32")
        assert numpy_of(network(image)["semantic"]).shape == output


def test_valid_padding_equals_the_inside_of_same_padding() -> None:
    """Far from the border both compute the same window, so cropping of the skips is right."""
    from reunet.contracts.sizes import margin
    from reunet.networks import build_network

    config = small(padding="valid", filters=(3, 4, 5))
    valid, same = build_network(config), build_network(small(padding="same", filters=(3, 4, 5)))
    same.set_weights(valid.get_weights())
    image = np.random.default_rng(0).normal(size=(1, 84, 84, 2)).astype("float32")
    top = margin(config)[0]
    inside = numpy_of(valid(image)["semantic"])[:, 4:-4, 4:-4]
    # The first block takes two pixels off each side; without them the poolings fall on the same pixels.
    padded = numpy_of(same(image[:, 2:-2, 2:-2])["semantic"])[:, top + 2 : -top - 2, top + 2 : -top - 2]
    np.testing.assert_allclose(inside, padded, atol=1e-4)


@pytest.mark.parametrize("normalisation", ["batch", "instance", "group", "none"])
def test_names_and_seeds_are_the_same_in_every_build(normalisation: str) -> None:
    from reunet.networks import build_network

    config = small(normalisation=normalisation, dropout=0.1, deep_supervision=True)
    models = [build_network(config, seed=3) for _ in range(2)]
    kernel = "dec0_1_conv/kernel"
    fresh, other = (
        {w.path: numpy_of(w.value) for w in build_network(config, seed=s).weights} for s in (3, 4)
    )
    assert not np.array_equal(fresh[kernel], other[kernel])
    assert [w.path for w in models[0].weights] == [w.path for w in models[1].weights]
    for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(models[0].output) == {"semantic", "semantic_1"}


@pytest.mark.parametrize("groups", [None, 1, 4])
def test_sample_normalization_is_the_definition(groups: int | None) -> None:
    from reunet.networks.normalisation import SampleNormalization

    x = np.random.default_rng(0).normal(3, 5, size=(2, 6, 5, 8)).astype("float32")
    count = groups or 8
    grouped = x.reshape(2, 30, count, 8 // count)
    mean = grouped.mean((1, 3), keepdims=True)
    deviation = np.sqrt(grouped.var((1, 3), keepdims=True) + 1e-5)
    expected = ((grouped - mean) / deviation).reshape(x.shape)
    np.testing.assert_allclose(numpy_of(SampleNormalization(groups)(x)), expected, atol=1e-4)


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    from reunet.networks import build_network, configure, unet_model

    with pytest.raises(PlanError, match="did you mean 'unet'"):
        configure("unett", in_channels=1, heads=({"channels": 2},))
    with pytest.raises(PlanError, match="did you mean 'double_conv'"):
        build_network(small(block="dubble_conv"))
    with pytest.raises(PlanError, match="did you mean 'filters'"):
        unet_model((32, 32, 1), 2, filter=(4, 8))
    with pytest.raises(PlanError, match="such as"):
        unet_model((30, 32, 1), 2, filters=(4, 8, 16))
