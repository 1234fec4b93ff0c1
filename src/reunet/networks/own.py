"""A network that a function of the caller makes instead of the builder."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras

from reunet.contracts.network import NetworkConfig
from reunet.contracts.sizes import outputs_of
from reunet.errors import PlanError, UsageError


def own_network(config: NetworkConfig, make: Callable[[NetworkConfig], Any], *, seed: int = 0) -> keras.Model:
    """The network that `make` makes for a configuration, which says its input and its heads.

    It takes float32 images (B, *space, in_channels) of any size that fits the strides of `config`, or windows
    with an axis of time after B, and gives float32 logits of the same size: a dict by the name of the head,
    or one tensor where there is one head. The same seed gives the same weights and names of layers, whatever
    was made before.

    Raises UsageError with what does not fit, PlanError for a network that goes frame by frame.
    """
    if config.has_states:
        raise PlanError(
            "a network of your own sees single images, or windows of frames at once",
            where=f"network {config.preset}",
            fix="give preset='unet', or 'unet_2d_t' for sequences, beside your network",
        )
    before = random.getstate()
    random.seed(seed)  # where Keras takes the seeds of layers from that state none
    try:
        # In a thread of its own, since Keras counts the layers of a thread and names them by that.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(_made, config, make).result()
    finally:
        random.setstate(before)


def _made(config: NetworkConfig, make: Callable[[NetworkConfig], Any]) -> keras.Model:
    made = make(config)
    if not isinstance(made, keras.Model):
        raise _unfit(make, "a keras.Model", type(made).__name__)
    time = () if config.time == "none" else (None,)
    image = keras.Input((*time, *(None,) * config.spatial_dims, config.in_channels), name="image")
    try:
        outputs = made({"image": image} if isinstance(getattr(made, "input", None), dict) else image)
    except (ValueError, TypeError, KeyError) as cause:
        told = str(cause).strip().splitlines()
        expected = f"images of any size and {config.in_channels} channel(s)"
        raise _unfit(make, expected, told[0] if told else type(cause).__name__) from cause
    if not isinstance(outputs, dict) and len(config.heads) == 1:
        outputs = {config.heads[0].name: outputs}
    _check_outputs(config, make, outputs)
    return keras.Model(image, outputs, name=made.name)


def _check_outputs(config: NetworkConfig, make: Callable[..., Any], outputs: Any) -> None:
    names = ", ".join(head.name for head in config.heads)
    if not isinstance(outputs, dict):
        raise _unfit(make, f"a dict of logits for {names}", type(outputs).__name__)
    if unknown := sorted(set(outputs) - set(outputs_of(config))):
        raise _unfit(make, f"outputs called {names}", ", ".join(unknown))
    for head in config.heads:
        if head.name not in outputs:
            raise _unfit(make, f"outputs called {names}", f"none for {head.name}")
        if outputs[head.name].shape[-1] != head.channels:
            channels = outputs[head.name].shape[-1]
            raise _unfit(make, f"{head.channels} channels of logits for {head.name}", channels)


def _unfit(make: Callable[..., Any], expected: object, received: object) -> UsageError:
    return UsageError(
        "the network does not fit the plan",
        where=f"network={getattr(make, '__name__', make)}",
        expected=expected,
        received=received,
        fix="make it from the configuration it is given: config.in_channels and config.heads",
    )
