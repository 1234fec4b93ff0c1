"""From the logits that networks emit to the probabilities that people and exports want."""

from __future__ import annotations

import keras

from reunet.contracts.network import NetworkConfig


def probability_model(model: keras.Model, config: NetworkConfig) -> keras.Model:
    """A view of `model` (shared weights) that ends in each head's activation.

    Output: {head name: (B, *space, channels) float32}; a softmax head sums to 1 over its channels.
    """
    outputs = {
        head.name: keras.layers.Activation(
            head.activation, dtype="float32", name=f"{head.name}_probabilities"
        )(model.output[head.name])
        for head in config.heads
    }
    return keras.Model(model.inputs[0], outputs, name=model.name)
