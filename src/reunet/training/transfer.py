"""Start from the weights of another run, whose classes and tasks may be others."""

from collections.abc import Mapping

import keras
import numpy as np

from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import PlanError
from reunet.inference.weights_file import check_size, read_weights
from reunet.networks import build_network
from reunet.networks.residual import MEMORY
from reunet.tasks.work import Work


def transfer_weights(model: keras.Model, plan: Plan, source: RunFolder) -> list[str]:
    """Copy the weights of the run `source` into `model`; returns a sentence on what was not copied.

    Encoder and bottleneck must agree. In a head that both have, the maps of classes with the same name are
    copied and the others keep their fresh values; so do heads, and a whole decoder, that the other run does
    not have, memory beside the path, and the first convolution for another channel count. Raises PlanError
    when the networks differ otherwise.
    """
    begun = source.plan()
    weights = source.verified_weights(begun)
    check_size(begun.network, weights)
    network = build_network(begun.network)
    read_weights(network, weights)
    values = {v.path: np.array(keras.ops.convert_to_numpy(v.value)) for v in network.weights}
    return copy_by_name(model, plan, values, begun)


def copy_by_name(model: keras.Model, plan: Plan, values: Mapping[str, np.ndarray], source: Plan) -> list[str]:
    """The same from the `values` of the weights of a network of the plan `source`, by their paths."""
    reasons = (_copy(variable, values.get(variable.path), plan, source) for variable in model.weights)
    return list(dict.fromkeys(filter(None, reasons)))  # each once, in order


def _copy(variable: keras.Variable, value: np.ndarray | None, plan: Plan, source: Plan) -> str | None:
    """Give a variable the value that there is for it; a sentence where that is not all. Raises PlanError."""
    shape = tuple(variable.shape)
    head = next((h.name for h in plan.network.heads if variable.path.startswith(f"{h.name}_")), None)
    if head is not None:
        named = Work.of(plan).named_channels()
        if value is None:
            return f"the output {head!r} starts fresh: the other run has none"
        if head in named:
            return _merge(variable, value, named[head], Work.of(source).named_channels()[head])
    if value is not None and value.shape == shape:
        variable.assign(value)
        return None
    if value is None and f"_{MEMORY}_" in variable.path:
        return "the memory starts fresh: the other run has none"
    if value is None and variable.path.startswith("dec") and source.network.heads[0].of == "image":
        return "the way up starts fresh: the other run tells classes of whole images only"
    if variable.path.startswith("enc0_1_conv/") and plan.network.in_channels != source.network.in_channels:
        return "the images have another channel count: the first convolution starts fresh"
    raise PlanError(
        "the network of --init is another one",
        where=variable.path,
        expected=f"shape {shape}",
        received=f"shape {value.shape}" if value is not None else "no such weight",
        fix="leave --preset and --plan out, so that the network of --init is used",
    )


def _merge(
    variable: keras.Variable, value: np.ndarray, ours: tuple[str, ...], theirs: tuple[str, ...]
) -> str | None:
    """Copy the channels of classes, by their names, of a head or its bias; says which are new."""
    merged = np.array(keras.ops.convert_to_numpy(variable.value))
    for index, name in enumerate(ours):
        if name in theirs:
            merged[..., index] = value[..., theirs.index(name)]
    variable.assign(merged)
    fresh = ", ".join(repr(name) for name in ours if name not in theirs)
    return f"new in the list of classes, so their outputs start fresh: {fresh}" if fresh else None
