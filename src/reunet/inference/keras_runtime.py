"""A Keras model as the engine: for validation while training, and for runs without an exported engine.

This is the only file of the room that knows Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from reunet.backend import is_out_of_memory, use_any_backend
from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import BackendError, UsageError
from reunet.inference.runtime import StateShapes, StepRuntime
from reunet.inference.weights_file import check_size, read_weights

if TYPE_CHECKING:
    import keras


OwnNetwork = Callable[[NetworkConfig], "keras.Model"]
"""A function of the caller that makes a network; see `reunet.networks.own_network`."""


class KerasRuntime(StepRuntime):
    """Wraps a model that gives probabilities (see `reunet.networks.probability_model`). Threads may share it;
    they take turns, as Keras keeps what it compiled, and on JAX the weights, in the model.

    Weights are read at each call, so the runtime of a model in training always predicts with its
    current ones.
    """

    name = "keras"
    precision = "f32"

    def __init__(self, model: keras.Model) -> None:
        self._model, self._turn = model, Lock()
        inputs = model.input if isinstance(model.input, dict) else {}
        self.states: StateShapes = {name: tuple(x.shape[1:]) for name, x in inputs.items() if name != "image"}

    def step(self, batch: np.ndarray, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Where a batch needs more memory than a device has, its halves one after the other."""
        try:
            return self._at_once(batch, states)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise BackendError(
                    "predicting one tile needs more memory than there is",
                    where=f"a tile of {' x '.join(map(str, batch.shape[1:]))}",
                    fix="predict with --device cpu, or make inference.tile in plan.json smaller",
                ) from error
        half = len(batch) // 2
        parts = [
            self.step(batch[cut], {name: values[cut] for name, values in states.items()})
            for cut in (slice(half), slice(half, None))
        ]
        return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}

    def _at_once(self, batch: np.ndarray, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        # Every new batch size is compiled once, so batches are filled up to a power of two.
        full = 1 << (len(batch) - 1).bit_length()
        filled = {
            name: np.concatenate([values, np.repeat(values[-1:], full - len(batch), axis=0)])
            for name, values in {"image": batch, **states}.items()
        }
        with self._turn:
            outputs = self._model.predict_on_batch(
                filled if isinstance(self._model.input, dict) else filled["image"]
            )
        return {head: np.asarray(values)[: len(batch)] for head, values in outputs.items()}


def load_keras(run: RunFolder, plan: Plan, own: OwnNetwork | None = None) -> KerasRuntime:
    """Build the network of a run from its plan and load its weights, on the backend that is there.

    own: makes the network of a run that was trained with one of its own. Raises BackendError when Keras or
    every backend is missing, ModelFileError for damaged weights, UsageError without that function.
    """
    network = as_predicting(load_logits(run, plan, own), plan)
    from reunet.networks import probability_model

    return KerasRuntime(probability_model(network, plan.network))


def load_logits(run: RunFolder, plan: Plan, own: OwnNetwork | None = None) -> keras.Model:
    """The network of a run with its weights, which gives logits: of sequences if it is for sequences.

    Raises as `load_keras` does.
    """
    check_own_network(plan, own, run.path)
    weights = run.verified_weights(plan)
    use_any_backend(plan.backend)
    if own is None:
        return _with_weights(plan, weights)
    from reunet.networks import own_network

    network = own_network(plan.network, own)
    read_weights(network, weights)
    return network


def load_network(plan: Plan, weights: Path) -> keras.Model:
    """The network of `plan` as it predicts, with weights from a file. Raises ModelFileError."""
    return as_predicting(_with_weights(plan, weights), plan)


def as_predicting(network: keras.Model, plan: Plan) -> keras.Model:
    """A network as it predicts: causal ones frame by frame, on tiles of the plan's size."""
    if not plan.network.has_states:
        return network
    from reunet.networks import build_step_network

    step = build_step_network(plan.network, size=plan.inference.tile)
    copy_weights(network, step)
    return step


def _with_weights(plan: Plan, weights: Path) -> keras.Model:
    from reunet.networks import build_network

    check_size(plan.network, weights)
    network = build_network(plan.network)
    read_weights(network, weights)
    return network


def check_own_network(plan: Plan, own: OwnNetwork | None, where: object) -> None:
    """Raise UsageError where the function of a network is missing, or is given for a run without one."""
    name = plan.custom.network if plan.custom else None
    if name is not None and own is None:
        raise UsageError(
            f"this run has a network of its own, made by the Python function {name}",
            where=where,
            expected="that function",
            fix=f"in Python: reunet.load(RUN, network={name.rpartition('.')[2]})(image)",
        )
    if name is None and own is not None:
        raise UsageError(
            "this run has no network of its own: its plan describes it",
            where="network",
            received=getattr(own, "__name__", own),
            fix="leave `network` out",
        )


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Give `target` the weights of `source`, the same network built for something else, such as one frame.

    By the names of layers and variables, which do not depend on what a network was built for; the order in
    a weights file does.
    """
    from reunet.networks.ensemble import members_of

    for one, other in zip(members_of(source), members_of(target), strict=True):
        copy_weights(one, other)  # two members may have the same names
    if members_of(target):
        return
    values = {variable.path: variable for variable in source.weights}
    for variable in target.weights:
        variable.assign(values[variable.path].numpy())  # a copy: JAX gives the memory of a model to its steps
