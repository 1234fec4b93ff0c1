"""Statistics of Batch Normalisation, measured instead of averaged along the way.

The moving averages lag behind the weights, and TensorFlow's bfloat16 rewrite rounds them until they
stop moving. Before a model is used they are measured again on fresh batches with the weights as they are
(as in Wu and Johnson 2021, "Rethinking Batch in BatchNorm", section 3, "PreciseBN").
"""

from collections.abc import Iterable

import keras
import numpy as np

from reunet.training.carry import network_of


def measure_statistics(model: keras.Model, images: Iterable[np.ndarray]) -> None:
    """Set the moving statistics to their mean over the batches `images`, each (B, [T,] h, w, C) float32.

    Batch k enters with weight 1/(k+1), which gives the plain mean of all; without such statistics none is
    asked for. Runs eagerly in float32; the momentum of each layer is as before afterwards, seeds of dropout
    are the caller's to preserve.
    """
    found = network_of(model).layers
    layers = [layer for layer in found if isinstance(layer, keras.layers.BatchNormalization)]
    layers = [layer for layer in layers if layer.trainable]  # others are kept as they came
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    try:
        for k, batch in enumerate(images):
            for layer in layers:
                layer.momentum = k / (k + 1)
            model(batch, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
