"""Start from the weights of another run, whose class list may be another."""

from __future__ import annotations

import keras
import numpy as np

from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import PlanError
from reunet.networks import build_network


def transfer_weights(model: keras.Model, plan: Plan, source: RunFolder) -> list[str]:
    """Copy the weights of the run `source` into `model`; returns a sentence on what was not copied.

    Everything but the heads must agree. In a head the maps of classes with the same name are copied, the
    others keep their fresh values. The first convolution of a network with another channel count keeps
    its fresh values too. Raises PlanError when the networks differ otherwise.
    """
    source_plan = source.plan()
    old = build_network(source_plan.network)
    old.load_weights(source.verified_weights(source_plan))
    available = {v.path: np.array(keras.ops.convert_to_numpy(v.value)) for v in old.weights}
    shared = {
        plan.labels.names.index(name): source_plan.labels.names.index(name)
        for name in plan.labels.names
        if name in source_plan.labels.names
    }
    fresh = [name for name in plan.labels.names if name not in source_plan.labels.names]
    notes = [f"new class {name!r}: its output starts fresh" for name in fresh]
    for variable in model.weights:
        value, shape = available.get(variable.path), tuple(variable.shape)
        if "_logits/" in variable.path and value is not None:
            merged = np.array(keras.ops.convert_to_numpy(variable.value))
            for new_index, old_index in shared.items():
                merged[..., new_index] = value[..., old_index]
            variable.assign(merged)
        elif value is not None and value.shape == shape:
            variable.assign(value)
        elif (
            variable.path.startswith("enc0_1_conv/")
            and plan.network.in_channels != source_plan.network.in_channels
        ):
            notes.append("the images have another channel count: the first convolution starts fresh")
        else:
            raise PlanError(
                "the network of --init is another one",
                where=variable.path,
                expected=f"shape {shape}",
                received=f"shape {value.shape}" if value is not None else "no such weight",
                fix="leave --preset and --plan out, so that the network of --init is used",
            )
    return notes
