"""From the logits that networks emit to the probabilities that people and exports want."""

from __future__ import annotations

import keras

from reunet.contracts.network import NetworkConfig


def probability_model(model: keras.Model, config: NetworkConfig) -> keras.Model:
    """A view of `model` (shared weights) that ends in each head's activation.

    Output: {head name: (B, [T,] *space, channels) float32}, a softmax head sums to 1 over its channels;
    and, of a network whose states come in and go out, the states as they are.
    """
    outputs = {
        head.name: keras.layers.Activation(
            head.activation, dtype="float32", name=f"{head.name}_probabilities"
        )(model.output[head.name])
        for head in config.heads
    }
    states = {name: model.output[name] for name in model.output if name in state_names(model)}
    return keras.Model(model.input, outputs | states, name=model.name)


def state_names(model: keras.Model) -> list[str]:
    """Names of the states that a network takes in and gives out; empty for most networks."""
    return [name for name in model.input if name != "image"] if isinstance(model.input, dict) else []
