"""From the logits that networks emit to the probabilities that people and exports want."""

from __future__ import annotations

import keras

from reunet.contracts.network import ENTROPY, NetworkConfig
from reunet.networks.ensemble import entropy, mean_of, members_of, say


def probability_model(model: keras.Model, config: NetworkConfig) -> keras.Model:
    """A view of `model` (shared weights) that ends in each head's activation.

    Output: {head name: (B, [T,] *space, channels) float32}, a softmax head sums to 1 over its channels;
    and, of a network whose states come in and go out, the states as they are. Of an ensemble they are
    the mean of its members', and beside each head of classes of pixels stands `<head>_entropy`, the mean of
    its members' entropies, (B, *space, 1) in 0..1.
    """
    if config.members:
        return _mean(model, config)
    outputs = {
        head.name: keras.layers.Activation(
            head.activation, dtype="float32", name=f"{head.name}_probabilities"
        )(model.output[head.name])
        for head in config.heads
    }
    states = {name: model.output[name] for name in model.output if name in state_names(model)}
    return keras.Model(model.input, outputs | states, name=model.name)


def _mean(model: keras.Model, config: NetworkConfig) -> keras.Model:
    pairs = zip(members_of(model), config.members, strict=True)
    heads, states = say([probability_model(one, member) for one, member in pairs], model.input)
    outputs = {head.name: mean_of([each[head.name] for each in heads]) for head in config.heads}
    for head in config.undecided:
        each = [entropy(one[head.name], head.activation) for one in heads]
        outputs[head.name + ENTROPY] = mean_of(each)
    return keras.Model(model.input, outputs | states, name=model.name)


def state_names(model: keras.Model) -> list[str]:
    """Names of the states that a network takes in and gives out; empty for most networks."""
    return [name for name in model.input if name != "image"] if isinstance(model.input, dict) else []
