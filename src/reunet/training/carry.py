"""Truncated backpropagation through time: a window goes on with the state that the one before it left.

Gradients end at the beginning of a window, the states do not (Williams and Peng 1990, "An efficient
gradient-based algorithm for on-line training of recurrent network trajectories").
"""

from typing import Any

import keras
from keras import ops

from reunet.contracts.plan import Plan
from reunet.networks import build_network
from reunet.training.thinking import ThinkingModel


class CarryingModel(keras.Model):
    """A network for sequences that keeps its states from one batch to the next.

    The states are variables that no gradient changes, (B, *space at its level, channels), so checkpoints
    hold them. They change in calls with `training=True` only. While the attribute `resting` is set none is
    used: frames are independent.

    Called with a window of frames (B, T, *space, C) of the plan's batch and patch; gives its logits.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(name=plan.network.preset)
        self.resting = False
        self.network = build_network(plan.network, seed=plan.seed, size=plan.patch, carry=True)
        self.carried = {
            name: self.add_weight(
                (plan.batch, *tensor.shape[1:]), initializer="zeros", trainable=False, name=name
            )
            for name, tensor in self.network.input.items()
            if name != "image"
        }

    def call(self, image: Any, training: bool | None = None) -> dict[str, Any]:
        # A copy: assigning below would change the tensor that torch needs for its gradients.
        states = {name: ops.copy(state) for name, state in self.carried.items()}
        if self.resting:  # of another batch, and of no use
            count = ops.shape(image)[0]
            states = {name: ops.zeros((count, *one.shape[1:]), one.dtype) for name, one in states.items()}
        outputs = dict(self.network({"image": image, **states}, training=training))
        after = {name: outputs.pop(name) for name in states}
        if training and not self.resting:
            for name, state in self.carried.items():
                state.assign(ops.stop_gradient(ops.cast(after[name], state.dtype)))
        return outputs

    def forget(self) -> None:
        """All states to zero: a sequence begins."""
        for state in self.carried.values():
            state.assign(ops.zeros(state.shape, state.dtype))


def begin_batch(model: keras.Model, plan: Plan, k: int) -> None:
    """Call before the step on batch `k`: with the first window of a chain nothing is remembered; of a network
    that thinks, how many iterations come first.
    """
    if isinstance(model, ThinkingModel):
        model.draw(k)
    if isinstance(model, CarryingModel) and plan.clip is not None and k % plan.clip.carry == 0:
        model.forget()


def network_of(model: keras.Model) -> keras.Model:
    """The network inside a model in training, as `build_network` made it."""
    return model.network if isinstance(model, CarryingModel | ThinkingModel) else model
