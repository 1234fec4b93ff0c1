"""A network with its losses and optimiser, ready for training steps."""

import keras

from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Plan
from reunet.contracts.sizes import output_strides, outputs_of
from reunet.losses.named import losses_of
from reunet.networks import build_network, own_network
from reunet.networks.pretrained import APPLICATIONS, encoder_name
from reunet.networks.residual import MEMORY
from reunet.training.carry import CarryingModel, network_of
from reunet.training.folding import fold_fixed
from reunet.training.functions import NO_FUNCTIONS, Functions
from reunet.training.precision import layers_in, needs_layers
from reunet.training.rates import ENCODER, AdamWOfParts, Part
from reunet.training.state import capture, restore
from reunet.training.thinking import ThinkingModel, check_memory

NOT_DECAYED = ("bias", "gamma", "beta", "gain")
"""Parameters that weight decay would only push off: shifts and scales."""


def compiled_network(plan: Plan, functions: Functions = NO_FUNCTIONS) -> keras.Model:
    """Build and compile the plan's network, or that of the caller; the same seed gives the same weights."""
    carries = plan.clip is not None and plan.clip.carry > 1
    if functions.network is not None:
        model = own_network(plan.network, functions.network, seed=plan.seed)
    elif plan.network.thinks:
        check_memory(plan)
        model = ThinkingModel(plan)
    else:
        model = CarryingModel(plan) if carries else build_network(plan.network, seed=plan.seed)
    schedule, slow = plan.schedule, fix_encoder(network_of(model), plan)
    late = ENCODER if schedule.encoder_from else ""
    optimizer = AdamWOfParts(
        [Part(slow, schedule.encoder_rate, late), *_memory(network_of(model), plan)],
        learning_rate=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
        global_clipnorm=schedule.clip_norm,
        use_ema=schedule.ema > 0,
        ema_momentum=schedule.ema or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_list=slow, var_names=NOT_DECAYED)
    optimizer.build(model.trainable_variables)
    outputs, levels = outputs_of(plan.network), len(output_strides(plan.network))
    losses = losses_of(plan, functions.losses)
    if functions.network is not None:  # it need not have all levels of deep supervision
        outputs = {name: outputs[name] for name in model.output}
    model.compile(
        optimizer=optimizer,
        loss={name: losses[name] for name in outputs},
        loss_weights={name: _weight(head, level, levels) for name, (head, level) in outputs.items()},
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    return model


def as_trained(model: keras.Model, plan: Plan, functions: Functions = NO_FUNCTIONS) -> keras.Model:
    """The compiled `model` of a plan as it makes steps: another one with the same values where the precision
    of the plan needs layers of its own; validation and export keep the float32 of `model`.
    """
    if not needs_layers(plan.precision):
        return model
    with layers_in(plan.precision):
        trained = compiled_network(plan, functions)
    restore(trained, capture(model))
    return trained


def fix_encoder(network: keras.Model, plan: Plan) -> list[keras.Variable]:
    """Keep what the plan wants kept of the encoder; returns the weights of it that learn at a rate of their
    own.

    Of a pretrained one only its own layers count: a block of ours beside them begins fresh.
    """
    pretrained, rate = plan.network.encoder in APPLICATIONS, plan.schedule.encoder_rate
    begin = encoder_name("") if pretrained else "enc"
    encoder = [layer for layer in network.layers if layer.name.startswith(begin)]
    if plan.freeze == "encoder" or (pretrained and rate == 0):
        kept = encoder
    elif not pretrained or rate == 1:
        return []
    else:
        kept = [layer for layer in encoder if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in kept:
        layer.trainable = False
    fold_fixed(network)
    return [weight for layer in encoder for weight in layer.trainable_weights]


def _memory(network: keras.Model, plan: Plan) -> list[Part]:
    """The weights of recurrences beside the path, and their gains, which have a rate of their own."""
    schedule, late = plan.schedule, MEMORY if plan.schedule.memory_from else ""
    added = [weight for weight in network.trainable_weights if f"_{MEMORY}_" in weight.path]
    gains = [weight for weight in added if weight.name == "gain"]
    others = [weight for weight in added if weight.name != "gain"]
    return [Part(gains, schedule.gain_rate, late), Part(others, late=late)]


def _weight(head: HeadSpec, level: int, levels: int) -> float:
    """Share of an output in the loss: levels of deep supervision weigh half of the one before, 1 in all."""
    if head.of == "image":
        return head.weight
    return head.weight * 0.5**level / sum(0.5**other for other in range(levels))
