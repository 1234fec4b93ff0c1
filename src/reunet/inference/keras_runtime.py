"""A Keras model as the engine: for validation while training, and for runs without an exported engine.

This is the only file of the room that knows Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reunet.backend import use_any_backend
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder

if TYPE_CHECKING:
    import keras


class KerasRuntime:
    """Wraps a model that gives probabilities (see `reunet.networks.probability_model`).

    Weights are read at each call, so the runtime of a model in training always predicts with its
    current ones.
    """

    name = "keras"
    precision = "f32"

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        shapes = self._model.compute_output_shape((1, *size, self._model.input_shape[-1]))
        return tuple(next(iter(shapes.values()))[1:-1])

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        # Every new batch size is compiled once, so batches are filled up to a power of two.
        full = 1 << (len(batch) - 1).bit_length()
        filled = np.concatenate([batch, np.repeat(batch[-1:], full - len(batch), axis=0)])
        outputs = self._model.predict_on_batch(filled)
        return {head: np.asarray(values)[: len(batch)] for head, values in outputs.items()}


def load_keras(run: RunFolder, plan: Plan) -> KerasRuntime:
    """Build the network of a run from its plan and load its weights, on the backend that is there.

    Raises BackendError when Keras or every backend is missing, ModelFileError for damaged weights.
    """
    weights = run.verified_weights(plan)
    use_any_backend(plan.backend)
    from reunet.networks import build_network, probability_model

    network = build_network(plan.network)
    network.load_weights(weights)
    return KerasRuntime(probability_model(network, plan.network))
