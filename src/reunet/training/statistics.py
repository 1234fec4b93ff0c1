"""Statistics of Batch Normalisation, measured instead of averaged along the way.

The moving averages lag behind the weights, and TensorFlow's bfloat16 rewrite rounds them until they
stop moving. Before a model is used they are measured again on fresh batches with the weights as they are
(as in Wu and Johnson 2021, "Rethinking Batch in BatchNorm", section 3, "PreciseBN").
"""

from __future__ import annotations

from collections.abc import Iterable

import keras
import numpy as np

from reunet.training.carry import network_of


def _layers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    layers = network_of(model).layers
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def has_moving_statistics(model: keras.Model) -> bool:
    """Whether the model has anything to measure."""
    return bool(_layers(model))


def measure_statistics(model: keras.Model, images: Iterable[np.ndarray]) -> None:
    """Set the moving statistics to their mean over the batches `images`, each (B, [T,] h, w, C) float32.

    Batch k enters with weight 1/(k+1), which gives the plain mean of all. Runs eagerly in float32; the
    momentum of each layer is as before afterwards, seeds of dropout are the caller's to preserve.
    """
    layers = _layers(model)
    momenta = [layer.momentum for layer in layers]
    try:
        for k, batch in enumerate(images):
            for layer in layers:
                layer.momentum = k / (k + 1)
            model(batch, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
