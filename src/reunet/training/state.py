"""Everything that a training step reads or changes, as named arrays.

Keras leaves parts of it out of its own files (the seeds of dropout, the optimiser after `load_weights`);
resuming is exact only with all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from reunet.errors import CheckpointError


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    groups = {
        "model": model.variables,  # weights, moving statistics, seeds
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
        if name not in variables or name not in arrays or tuple(variables[name].shape) != arrays[name].shape
    ]
    if wrong:
        raise CheckpointError(
            "the checkpoint belongs to another network or another version",
            received=f"{len(wrong)} variables differ, such as {sorted(wrong)[0]}",
            fix="resume with the plan and the reunet version that wrote it, or train again",
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def without_optimizer(model: keras.Model) -> keras.Model:
    """The same network, to save and load: of a compiled model Keras writes the optimiser too."""
    return keras.Model(model.inputs[0], model.output, name=model.name)


@contextmanager
def preserved(model: keras.Model) -> Iterator[None]:
    """Whatever is done to the variables inside, afterwards they are as they were."""
    saved = capture(model)
    try:
        yield
    finally:
        restore(model, saved)
