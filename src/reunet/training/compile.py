"""A network with its losses and optimiser, ready for training steps."""

from __future__ import annotations

import keras

from reunet.contracts.geometry import output_strides
from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import Plan
from reunet.losses import SegmentationLoss
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
    weights = [0.5**level for level in range(len(strides))]
    names = output_names(plan.network)
    foreground = plan.labels.foreground
    model.compile(
        optimizer=optimizer,
        loss={name: SegmentationLoss(plan.loss, foreground, strides[level]) for name, level in names.items()},
        loss_weights={name: weights[level] / sum(weights) for name, level in names.items()},
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    return model


def output_names(config: NetworkConfig) -> dict[str, int]:
    """Names of the network's outputs, with the level each stands for."""
    levels = range(len(output_strides(config)))
    return {
        f"{head.name}_{level}" if level else head.name: level for head in config.heads for level in levels
    }
