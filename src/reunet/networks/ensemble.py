"""Several networks as one, which says the mean of what they say (Hansen and Salamon 1990, "Neural network
ensembles").

Each member is a model within the model. What is averaged are probabilities, not logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Any

import keras
from keras import ops

from reunet.contracts.network import NetworkConfig

FEWEST = 1e-30
"""What probabilities are at least, so that there is a logarithm."""

LOGITS: Mapping[str, Callable[[Any], Any]] = {
    "softmax": lambda p: ops.log(ops.maximum(p, FEWEST)),
    "sigmoid": lambda p: ops.log(ops.maximum(p, FEWEST)) - ops.log(ops.maximum(1 - p, FEWEST)),
    "softplus": lambda x: ops.log(ops.maximum(ops.expm1(x), FEWEST)),
    "linear": lambda x: x,
}
"""From what an activation gives back to the logits."""


def ensemble(config: NetworkConfig, members: Sequence[keras.Model]) -> keras.Model:
    """The network of a `config` with members, which are built already: one image in, logits of the mean of
    their probabilities out.

    States that they carry from frame to frame get the name of the member in front.
    """
    named = [keras.Model(one.input, one.output, name=f"member{i}") for i, one in enumerate(members)]
    first = named[0].input
    image = keras.Input((first["image"] if isinstance(first, dict) else first).shape[1:], name="image")
    states = {
        f"{one.name}_{name}": keras.Input(x.shape[1:], name=f"{one.name}_{name}")
        for one in named
        if isinstance(one.input, dict)
        for name, x in one.input.items()
        if name != "image"
    }
    inputs = {"image": image, **states} if states else image
    heads, carried = say(named, inputs)
    outputs = {}
    for head in config.heads:
        activation = keras.activations.get(head.activation)
        mean = mean_of([activation(each[head.name]) for each in heads])
        outputs[head.name] = LOGITS[head.activation](mean)
    return keras.Model(inputs, outputs | carried, name=config.preset)


def members_of(model: keras.Model) -> list[keras.Model]:
    """The members of an ensemble, in their order; none of another network."""
    named = {layer.name: layer for layer in model.layers if isinstance(layer, keras.Model)}
    return [named[name] for name in (f"member{i}" for i in range(len(named))) if name in named]


def say(members: Sequence[keras.Model], inputs: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What each member makes of the inputs of an ensemble, by head; and all states that are carried on."""
    heads: list[dict[str, Any]] = []
    states: dict[str, Any] = {}
    for i, one in enumerate(members):
        if not isinstance(inputs, dict):
            heads.append(one(inputs))
            continue
        own = {name: f"member{i}_{name}" for name in one.input if name != "image"}
        said = one({"image": inputs["image"]} | {name: inputs[full] for name, full in own.items()})
        states |= {full: said[name] for name, full in own.items()}
        heads.append({name: x for name, x in said.items() if name not in own})
    return heads, states


def mean_of(values: Sequence[Any]) -> Any:
    """Of tensors of one shape."""
    return sum(values[1:], values[0]) * (1 / len(values))


def entropy(probabilities: Any, activation: str) -> Any:
    """How undecided they are, (..., 1) in 0..1; in NumPy it is `reunet.tasks.uncertainty.entropy`."""
    logs = ops.log(ops.maximum(probabilities, FEWEST))
    if activation == "softmax":
        scale = 1 / log(max(probabilities.shape[-1], 2))
        return -scale * ops.sum(probabilities * logs, axis=-1, keepdims=True)
    others = ops.log(ops.maximum(1 - probabilities, FEWEST))
    each = probabilities * logs + (1 - probabilities) * others
    return -(1 / log(2)) * ops.mean(each, axis=-1, keepdims=True)
