"""A network with its losses and optimiser, ready for training steps."""

from __future__ import annotations

import keras

from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.plan import Plan
from reunet.contracts.sizes import output_strides
from reunet.losses import LOSSES
from reunet.networks import build_network
from reunet.training.carry import CarryingModel, network_of

NOT_DECAYED = ("bias", "gamma", "beta")
"""Parameters that weight decay would only push off: shifts and scales."""


def compiled_network(plan: Plan) -> keras.Model:
    """Build and compile the plan's network; the same seed gives the same weights."""
    carries = plan.clip is not None and plan.clip.carry > 1
    model = CarryingModel(plan) if carries else build_network(plan.network, seed=plan.seed)
    if plan.freeze == "encoder":
        for layer in network_of(model).layers:
            layer.trainable = not layer.name.startswith("enc")
    schedule = plan.schedule
    optimizer = keras.optimizers.AdamW(
        learning_rate=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
        global_clipnorm=schedule.clip_norm,
        use_ema=schedule.ema > 0,
        ema_momentum=schedule.ema or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    optimizer.build(model.trainable_variables)
    strides = output_strides(plan.network)
    outputs = outputs_of(plan.network)
    model.compile(
        optimizer=optimizer,
        loss={
            name: LOSSES[head.loss](plan, head, strides[level] if head.of == "pixels" else ())
            for name, (head, level) in outputs.items()
        },
        loss_weights={name: _weight(head, level, len(strides)) for name, (head, level) in outputs.items()},
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    return model


def outputs_of(config: NetworkConfig) -> dict[str, tuple[HeadSpec, int]]:
    """Names of the network's outputs, with the head and the level of deep supervision each stands for."""
    levels = range(len(output_strides(config)))
    return {
        head.output(level): (head, level)
        for head in config.heads
        for level in (levels if head.of == "pixels" else [0])
    }


def _weight(head: HeadSpec, level: int, levels: int) -> float:
    """Share of an output in the loss: levels of deep supervision weigh half of the one before, 1 in all."""
    if head.of == "image":
        return head.weight
    return head.weight * 0.5**level / sum(0.5**other for other in range(levels))
