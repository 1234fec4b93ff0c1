"""Fixed normalisations as part of the convolutions before them: the same results, the same gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from reunet.training.folding import fold_fixed

pytestmark = pytest.mark.keras


def _network() -> keras.Model:
    """Three that fold; the others learn, have a shift before them, or are read by somebody else."""
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="a")(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization(name="a_norm", epsilon=0.1)(x))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False, name="b")(x)
    x = layers.BatchNormalization(name="b_norm", scale=False)(x)
    x = layers.Conv2D(4, 1, use_bias=False, dilation_rate=2, name="c")(x)
    x = layers.BatchNormalization(name="c_norm", center=False)(x)
    y = layers.Conv2D(4, 1, use_bias=False, name="read_twice")(x)
    x = layers.Add()([y, layers.BatchNormalization(name="beside")(y)])
    x = layers.BatchNormalization(name="shifted")(layers.Conv2D(4, 1, name="with_bias")(x))
    x = layers.BatchNormalization(name="learns")(layers.Conv2D(2, 1, use_bias=False, name="d")(x))
    network = keras.Model(image, x)
    for number, weight in enumerate(network.weights):
        rng = np.random.default_rng(number)
        values = rng.uniform(0.5, 1.5, weight.shape)
        weight.assign(values * rng.choice([-1, 1], weight.shape) if "kernel" in weight.path else values)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = layer.name == "learns"
    return network


def test_results_stay_the_same() -> None:
    network, images = _network(), np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype(np.float32)
    before = ops.convert_to_numpy(network(images, training=False))
    assert fold_fixed(network) == 3
    after = ops.convert_to_numpy(network(images, training=False))
    np.testing.assert_allclose(after, before, atol=1e-4 * np.abs(before).max())
    assert np.abs(before).max() > 0.1


def test_training_changes_the_same_weights_by_the_same() -> None:
    rng = np.random.default_rng(1)
    images, truth = rng.normal(size=(2, 12, 12, 3)), rng.normal(size=(2, 6, 6, 2))
    trained = []
    for folds in (False, True):
        network = _network()
        if folds:
            fold_fixed(network)
        network.compile(keras.optimizers.SGD(1.0), "mse")
        network.train_on_batch(images.astype(np.float32), truth.astype(np.float32))
        trained.append({weight.path: ops.convert_to_numpy(weight) for weight in network.weights})
    assert trained[0].keys() == trained[1].keys()
    fresh = {weight.path: ops.convert_to_numpy(weight) for weight in _network().weights}
    assert any(np.abs(trained[0][name] - fresh[name]).max() > 1e-2 for name in fresh if name.startswith("a/"))
    for name in fresh:
        np.testing.assert_allclose(trained[1][name], trained[0][name], rtol=1e-3, atol=1e-4, err_msg=name)
