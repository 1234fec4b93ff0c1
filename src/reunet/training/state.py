"""Everything that a training step reads or changes, as named arrays.

Keras leaves parts of it out of its own files (the seeds of dropout, the optimiser after `load_weights`);
resuming is exact only with all of it.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from reunet.contracts.plan import Plan
from reunet.errors import CheckpointError
from reunet.inference.keras_runtime import copy_weights
from reunet.inference.weights_file import read_weights
from reunet.networks import build_network
from reunet.training.carry import network_of


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    groups = {
        "model": model.variables,  # weights, moving statistics, seeds, carried states
        "optimizer": model.optimizer.variables,
    }
    # Not by `path`: in it Keras counts the optimisers and seed generators of a process.
    return {
        f"{group}:{i:04d}:{v.name}": v for group, entries in groups.items() for i, v in enumerate(entries)
    }


def capture(model: keras.Model) -> dict[str, np.ndarray]:
    """Copies of all variables of a compiled model and its optimiser."""
    return {name: np.array(keras.ops.convert_to_numpy(v.value)) for name, v in _variables(model).items()}


def restore(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Set all variables. Raises CheckpointError when names or shapes differ; then nothing was changed."""
    variables = _variables(model)
    wrong = [
        name
        for name in variables.keys() | arrays.keys()
        if name not in variables
        or name not in arrays
        or tuple(variables[name].shape) != arrays[name].shape
        or arrays[name].dtype.kind in "OSUM"
    ]
    if wrong:
        raise CheckpointError(
            "the checkpoint belongs to another network or another version",
            received=f"{len(wrong)} variables differ, such as {sorted(wrong)[0]}",
            fix="resume with the plan and the reunet version that wrote it, or train again",
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def weights_content(model: keras.Model, plan: Plan) -> bytes:
    """A file of the weights of the network of `plan`, without the optimiser and what it carries.

    Keras writes to a path only, and a disk that gets full inside HDF5 ends the process. So this does what
    `keras.Model.save_weights` does, into memory; the test of this room holds the two together.
    """
    from keras.src.saving.saving_lib import H5IOStore, _save_state

    content = io.BytesIO()
    store = H5IOStore(content, mode="w")
    _save_state(
        _plain(model, plan), weights_store=store, assets_store=None, inner_path="", visited_saveables=set()
    )
    store.close()
    return content.getvalue()


def load_weights(model: keras.Model, plan: Plan, file: Path) -> None:
    """Read a file of `weights_content` into a model in training."""
    plain = _plain(model, plan)
    read_weights(plain, file)
    if network_of(model) is not model:
        copy_weights(plain, network_of(model))


def _plain(model: keras.Model, plan: Plan) -> keras.Model:
    """The network as it is saved and loaded: of a compiled model Keras writes the optimiser too, and the
    order of a file depends on the inputs that states have.
    """
    if network_of(model) is model:
        return keras.Model(model.inputs[0], model.output, name=model.name)
    plain = build_network(plan.network)
    copy_weights(network_of(model), plain)
    return plain


@contextmanager
def preserved(model: keras.Model) -> Iterator[None]:
    """Whatever is done to the variables inside, afterwards they are as they were."""
    saved = capture(model)
    try:
        yield
    finally:
        restore(model, saved)
