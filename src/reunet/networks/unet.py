r"""The U-Net (Ronneberger, Fischer, Brox, MICCAI 2015, arXiv 1505.04597), and every network built like it.

    image -> enc0 ---------------- skip ----------------> dec0 -> 1x1 convolution -> logits
               \ pool                                up /
               enc1 ---------------- skip --------> dec1
                  \ pool                        up /
                  enc2 = bottleneck ------------'

The names `enc0`, `dec0`, ... are the layers' names. Blocks are in `blocks.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Literal

import keras

from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.sizes import valid_frames, valid_size
from reunet.errors import PlanError, UsageError, known_name
from reunet.networks.blocks import BLOCKS
from reunet.networks.bottlenecks import BOTTLENECKS
from reunet.networks.cells import CELLS
from reunet.networks.clip import Carried, Clip
from reunet.networks.decoders import DECODERS
from reunet.networks.encoders import ENCODERS
from reunet.networks.ensemble import ensemble
from reunet.networks.layers import CONV, MEAN, enlarge
from reunet.networks.outputs import probability_model
from reunet.networks.presets import PRESETS, configure
from reunet.networks.scope import Scope
from reunet.networks.skips import SKIPS

SLOTS: dict[str, dict[str, Any]] = {
    "encoder": ENCODERS,
    "block": BLOCKS,
    "bottleneck": BOTTLENECKS,
    "skip": SKIPS,
    "decoder": DECODERS,
}


def build_network(
    config: NetworkConfig,
    *,
    seed: int = 0,
    size: tuple[int, ...] | None = None,
    frames: int | None = None,
    carry: bool = False,
    own: Mapping[str, Callable[..., Any]] = {},
) -> keras.Model:
    """Build the network of `config`.

    Input `image`: (B, *space, in_channels) float32, with time (B, T, *space, in_channels); any size and
    number of frames unless `size` and `frames` are given; see `contracts.sizes.valid_size` for those that
    fit. Output: a dict of float32 logits, for each head `{name: (B, [T,] *space, channels)}` and, with
    deep supervision, `{name}_1`, `{name}_2`, ... for the coarser levels; `{name: (B, [T,] channels)}` for a
    head of whole images. The same seed gives the same weights.

    carry: the states that recurrences carry from frame to frame, or from iteration to iteration, come in and
    go out: inputs and outputs are dicts with an entry `{layer}_state{i}` (B, *space at its level, channels)
    for each of them. All zeros begin. own: functions that fill slots instead of those that `config` names.

    Raises PlanError for an unknown name in a slot, and for a carry that the network does not have.
    """
    if config.members:
        made = (
            build_network(one, seed=seed, size=size, frames=frames, carry=carry) for one in config.members
        )
        return ensemble(config, list(made))
    check_names(config)
    if carry:
        check_steps(config)
    space = size or (None,) * config.spatial_dims
    time = () if config.time == "none" else (frames,)
    image = keras.Input((*time, *space, config.in_channels), name="image")
    clip = Clip(carry, image=image) if config.time == "frames" else None
    carried = clip or Carried(carry)
    outputs = assemble(image, Scope(config, seed, clip, carried, own=own))
    if not carry:
        return keras.Model(image, outputs, name=config.preset)
    return keras.Model(
        {"image": image, **carried.states_in}, outputs | carried.states_out, name=config.preset
    )


def build(
    config: NetworkConfig,
    *,
    seed: int = 0,
    size: tuple[int, ...] | None = None,
    frames: int | None = None,
    **own: Callable[..., Any],
) -> keras.Model:
    """The network of `config`, a U-Net whose slots may be filled with functions of one's own.

    Parameters
    ----------
    config: what `reunet.networks.configure` gives, or `plan.network` of a plan.
    seed: of the initial weights. size, frames: of the input; None for any that fits the poolings.
    own: for a slot, a function that fills it: `block(x, filters, scope) -> x`, `bottleneck(x, filters, scope)
        -> x`, `skip(skips, up, filters, scope) -> x`, `encoder(x, scope) -> features`, `decoder(features,
        scope) -> features`. `scope.name("conv")` is a name for a layer that no other place has.

    Returns a `keras.Model` from float32 images (B, [T,] *space, in_channels) to a dict of float32 logits by
    the name of the head, (B, [T,] *space, channels). Raises PlanError, and UsageError for a slot that is not
    there.
    """
    for slot, function in own.items():
        known_name(slot, SLOTS, where="build()", error=UsageError)
        if not callable(function):
            raise UsageError(
                "a slot is filled with a function",
                where=slot,
                expected=f"a function, such as one of {', '.join(sorted(SLOTS[slot]))} in reunet.networks",
                received=function,
                fix=f"name an entry that is there with configure(..., {slot}={function!r})",
            )
    return build_network(config, seed=seed, size=size, frames=frames, own=own)


def build_step_network(
    config: NetworkConfig, *, seed: int = 0, size: tuple[int, ...] | None = None
) -> keras.Model:
    """The network of a causal `config` for one frame at a time, with the weights of the sequence network; of
    one that thinks, for one iteration.

    Inputs: `image` (B, *space, in_channels) and every state, as `build_network(carry=True)` has them.
    Outputs: logits {name: (B, *space, channels)} and the states for the next frame. Raises PlanError.
    """
    if config.members:
        return ensemble(config, [build_step_network(one, seed=seed, size=size) for one in config.members])
    check_names(config)
    check_steps(config)
    if config.thinks:
        return build_network(config, seed=seed, size=size, carry=True)
    space = size or (None,) * config.spatial_dims
    frame = keras.Input((*space, config.in_channels), name="image")
    clip = Clip(carried=True, image=keras.ops.expand_dims(frame, 1))
    outputs = assemble(clip.image, Scope(config, seed, clip, clip))
    step = {name: keras.ops.squeeze(x, 1) for name, x in outputs.items()}
    return keras.Model({"image": frame, **clip.states_in}, step | clip.states_out, name=config.preset)


def assemble(image: Any, scope: Scope) -> dict[str, Any]:
    """Encoder, bottleneck, decoder and heads: from a symbolic image (or clip of images) to its logits."""
    config, clip = scope.config, scope.clip
    features = scope.entry("encoder", ENCODERS)(image if clip is None else clip.fold(image, "image"), scope)
    bottleneck = scope.entry("bottleneck", BOTTLENECKS)
    deepest = bottleneck(features[-1], config.filters[-1], scope.child("bottleneck"))
    if config.dropout:  # "drop-out layers at the end of the contracting path", section 3.1
        dropout = keras.layers.Dropout(config.dropout, seed=scope.layer_seed("dropout"), name="dropout")
        deepest = dropout(deepest)
    heads = sorted(config.heads, key=lambda head: head.of == "image")  # those of pixels come first
    of_pixels = heads[0].of == "pixels"
    decoded = scope.entry("decoder", DECODERS)([*features[:-1], deepest], scope) if of_pixels else []
    levels = decoded if config.deep_supervision else decoded[:1]

    outputs = {}
    for head in heads:
        for level, x in enumerate(levels if head.of == "pixels" else [deepest]):
            name = head.output(level)
            outputs[name] = logits(x, head, scope.child(name))
            if head.of == "pixels":
                outputs[name] = enlarge(outputs[name], config.output_step, scope.child(name), linear=True)
    return outputs if clip is None else {name: clip.unfold(x, name) for name, x in outputs.items()}


def check_steps(config: NetworkConfig) -> None:
    """Raise PlanError for a network that cannot be run step by step: it has nothing to carry on, or needs
    later frames to know an earlier one's labels.
    """
    if not config.has_states:
        raise PlanError(
            "this network cannot go through a sequence frame by frame",
            where=f"network {config.preset}",
            expected="a network for sequences that looks back only, such as conv_gru_unet",
        )


def check_names(config: NetworkConfig) -> None:
    """Raise PlanError, with the closest name, for a name that its slot does not have."""
    for slot, entries in SLOTS.items():
        known_name(getattr(config, slot), entries, where=f"network.{slot}")
    if config.decoder_block is not None:
        known_name(config.decoder_block, BLOCKS, where="network.decoder_block")
    known_name(config.recurrence.cell, CELLS, where="network.recurrence.cell")


def logits(x: Any, head: HeadSpec, scope: Scope) -> Any:
    """The final 1x1 convolution: a dense layer at every pixel, W x + b, always in float32.

    Of a whole image, the dense layer reads the mean of every feature map.
    """
    dense = {
        "kernel_initializer": keras.initializers.GlorotUniform(scope.layer_seed("logits")),
        "bias_initializer": keras.initializers.Constant(head.bias),
        "dtype": "float32",
        "name": scope.name("logits"),
    }
    if head.of == "pixels":
        return CONV[scope.rank](head.channels, 1, **dense)(x)
    return keras.layers.Dense(head.channels, **dense)(MEAN[scope.rank](name=scope.name("mean"))(x))


def unet_model(
    input_shape: tuple[int | None, ...],
    num_classes: int,
    preset: str = "unet",
    *,
    seed: int | None = None,
    output: Literal["probabilities", "logits"] = "probabilities",
    **options: Any,
) -> keras.Model:
    """A U-Net that ends in a 1x1 convolution with softmax, y = softmax(W x + b) at every pixel.

    Parameters
    ----------
    input_shape: (H, W, C) or (D, H, W, C); of presets for sequences (T, H, W, C) or (T, D, H, W, C). Axes
        may be None, then any number of frames and any size divisible by the total stride fits (16 with
        the default five levels).
    num_classes: number of output channels, at least 1.
    preset: a name of `reunet.networks.PRESETS`.
    seed: of the initial weights; drawn from Python's `random` when None, as Keras does.
    output: `probabilities`, for a loss on probabilities; or `logits`, W x + b without the softmax, for a loss
        with `from_logits=True`.
    options: fields of `NetworkConfig` that differ from the preset, such as filters=(16, 32, 64).

    Returns a `keras.Model` from float32 images (B, [T,] *space, C) to float32 (B, [T,] *space, num_classes).
    Raises PlanError.
    """
    known_name(preset, PRESETS, where="preset")
    known_name(output, ("probabilities", "logits"), where="output")
    check_fields(options)
    with_time = {**PRESETS[preset].fields, **options}.get("time", "none") != "none"
    rank = len(input_shape) - 1 - with_time if isinstance(input_shape, tuple | list) else 0
    if rank not in (2, 3) or not isinstance(input_shape[-1], int):
        axes = "(frames, height, width, channels)" if with_time else "(height, width, channels)"
        raise PlanError(
            f"the input shape does not describe {'a sequence' if with_time else 'an image'}",
            where="input_shape",
            expected=f"{axes}, with a depth before the height for volumes",
            received=input_shape,
        )
    config = configure(
        preset,
        **{"spatial_dims": rank, **options},
        in_channels=input_shape[-1],
        heads=({"channels": num_classes},),
    )
    space, frames = input_shape[-1 - rank : -1], input_shape[0] if with_time else None
    size = None if None in space else tuple(side for side in space if side is not None)
    check_size(config, size, frames)
    network = build_network(
        config,
        seed=random.randrange(2**31) if seed is None else seed,  # noqa: S311
        size=size,
        frames=frames,
    )
    model = network if output == "logits" else probability_model(network, config)
    return keras.Model(network.inputs[0], model.output[config.heads[0].name], name=preset)


def check_fields(options: Mapping[str, Any]) -> None:
    """Raise PlanError, in the words of the caller, for options that a network does not have."""
    aliases = {
        "depth": "filters",
        "batch_norm": "normalisation",
        "backbone": "encoder",
        "encoder_name": "encoder",
        "channels": "input_shape",
    }
    told = ("preset", "in_channels", "heads", "members")  # by other arguments
    known = (
        *("input_shape", "num_classes", "preset", "seed", "output"),
        *(name for name in NetworkConfig.model_fields if name not in told),
    )
    for name in options:
        known_name(name, known, where="unet_model()", aliases=aliases)


def check_size(config: NetworkConfig, size: tuple[int, ...] | None, frames: int | None) -> None:
    """Raise PlanError when the network cannot take inputs of this size (axes of space) or length."""
    wrong: tuple[object, str] | None = None
    if size is not None and (nearest := valid_size(config, size)) != size:
        wrong = (size, f"sides that fit {len(config.strides)} poolings, such as {nearest}")
    if frames is not None and (fitting := valid_frames(config, frames)) != frames:
        wrong = (frames, f"a number of frames that fits the poolings over time, such as {fitting}")
    if wrong is not None:
        raise PlanError(
            "the network cannot take images of this size",
            where="input_shape",
            expected=wrong[1],
            received=wrong[0],
            fix="pad or crop the images, or use None for the sides",
        )
