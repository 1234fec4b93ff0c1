"""What a network is, as data: the builder reads this and nothing else."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Annotated, Literal

from pydantic import Field, model_validator

from reunet.contracts.base import Contract
from reunet.contracts.bounds import MOST_LEVELS, Few, Real, Width

Normalisation = Literal["batch", "instance", "group", "none"]
Shape = tuple[int, ...]
Steps = Annotated[tuple[Few, ...], Field(max_length=3)]
"""One number per axis."""

LOST_PER_AXIS = {"double_conv": 4}
"""Pixels that a block takes off each axis when its 3x3 convolutions are not padded; no other block can be."""

MOST_STRIDE = 2**12
"""Between the input and the deepest level."""

MOST_MAPS = 2**22
"""Pairs of maps that a convolution joins: with 3 x 3 kernels 150 MB of weights, ten times what is usual."""

MOST_MEMBERS = 64
"""Networks of an ensemble."""

ENTROPY = "_entropy"
"""Ending of the name of what an ensemble tells beside a head: the mean of its members' entropies."""

SWEEPS = ("sweep", "raster")
"""Bottlenecks that carry context across the whole map."""

OWN_ENCODERS = ("plain", "recurrent")
"""Encoders that begin with fresh weights; all others have been trained on photographs."""

ENCODER_WISHES = ("auto", "none")
"""What may be asked for instead of an encoder: that the planner chooses, or that of the preset."""

POOLING_ENCODERS = ("efficientnet_v2_b0",)
"""Encoders that weigh their channels by means over the whole map."""

THINKING = ("thinking",)
"""Bottlenecks that are run again and again over one image, as often as the caller likes."""

ACROSS_FRAMES = ("recurrence", "half_recurrence")
"""Bottlenecks that carry context from frame to frame."""


class HeadSpec(Contract):
    """One output of a network: `channels` maps of float32 logits, and what turns them into numbers.

    of: `pixels` for an output per pixel, `image` for one per image (or frame), from pooled encoder features.
    loss: its name in `reunet.losses`. weight: of its loss in the sum. bias: of its logits before training.
    """

    name: str = "semantic"
    channels: Width
    activation: Literal["softmax", "sigmoid", "softplus", "linear"] = "softmax"
    of: Literal["pixels", "image"] = "pixels"
    loss: str = "segmentation"
    weight: float = Field(default=1.0, gt=0, le=1e9)
    bias: Real = 0.0

    @property
    def has_classes(self) -> bool:
        """Whether it gives probabilities of classes of pixels, or of their regions."""
        return self.of == "pixels" and (self.activation == "softmax" or self.loss == "regions")

    def output(self, level: int) -> str:
        """Name of the network's output at a level of deep supervision, 0 being the finest."""
        return f"{self.name}_{level}" if level else self.name


class RecurrenceSpec(Contract):
    """How the recurrent parts of a network recur.

    cell: `simple_rnn`, `gru`, `lstm`, `min_gru` or, over frames and in residual form, `leak` (see
    `reunet.networks.cells`).
    units: maps of the state per direction; None for what keeps the width of the features.
    kernel: side of the convolutions in cells that run over frames or skips; sweeps have dense cells.
    layers: how often a sweep over all axes is repeated.
    steps: recurrent steps of an R2U-Net block, after the feed-forward one; of a `thinking` bottleneck the
    updates of its state in one iteration, all with the same weights.
    recall: a `thinking` bottleneck sees the features of the image at every update, not at the first one only.
    tied: in an R2U-Net block one convolution serves the input and the state, as in its popular port;
    otherwise each has its own, as in the paper. step_statistics: a normalisation of its own per step.
    merge: how the two directions of a recurrent skip are joined; `forward` has only one of them.
    gain: None for what the papers publish: the features go through the recurrence R. A number for the
    residual form, x + g R(norm(x)) with gains g per channel that begin at it (see `networks/residual.py`).
    levels: at so many levels, the coarsest first, recurrences over frames or skips are; None for all.
    share: of the channels that recur in a `half_recurrence`.
    """

    cell: str = "gru"
    units: Width | None = None
    kernel: Few = 3
    layers: Few = 1
    steps: int = Field(default=2, ge=0, le=64)
    tied: bool = True
    recall: bool = True
    step_statistics: bool = False
    merge: Literal["sum", "concat", "forward"] = "sum"
    gain: Annotated[float, Field(ge=0, le=10)] | None = None
    levels: Few | None = None
    share: float = Field(default=0.5, ge=0.01, le=1)


class NetworkConfig(Contract):
    """A U-Net: one entry of `filters` per level, one entry of `strides` between two levels.

    encoder, block, bottleneck, skip, decoder: names of the five slots (see `reunet.networks`).
    encoder: `plain`, `recurrent` (a recurrence over frames before each block) or a pretrained network.
    decoder_block: block of the decoder where it is another one. repeats: blocks per encoder level.
    strides: per downsampling and axis, such as ((2, 2), (2, 2)). kernels: sides of the convolutions per
    level and axis; 3 everywhere when empty.
    bottleneck_blocks: blocks of a `dense` bottleneck.
    padding: `same` keeps the size; `valid` is the paper's unpadded convolution: the output is smaller
    than the input by a margin on each side, and only some input sizes fit.
    bias: of the convolutions; None for only where no normalisation follows.
    output_level: level at which a plain decoder ends; logits from there are interpolated to full resolution,
    which spares its finest and costliest convolutions.
    deep_supervision: logits at every decoder level while training; the finest is the output.
    members: networks for the same input and heads, whose probabilities are averaged: then this is nothing but
    their mean, and its other fields are those of the first.
    time: `none` for single images; `frames` for sequences whose frames go through the network one by
    one, joined by recurrences; `axis` for sequences with time as one more axis of every convolution,
    the first one in `strides` and `kernels`.
    """

    preset: str = "unet"
    spatial_dims: Literal[2, 3] = 2
    in_channels: Width
    filters: tuple[Width, ...] = Field(min_length=1, max_length=MOST_LEVELS)
    strides: tuple[Steps, ...] = Field(max_length=MOST_LEVELS)
    kernels: tuple[Steps, ...] = Field(default=(), max_length=MOST_LEVELS)
    heads: tuple[HeadSpec, ...] = Field(min_length=1, max_length=32)
    encoder: str = "plain"
    block: str = "double_conv"
    decoder_block: str | None = None
    repeats: tuple[Few, ...] = Field(default=(), max_length=MOST_LEVELS)
    bottleneck: str = "identity"
    bottleneck_blocks: Few = 1
    skip: str = "concat"
    decoder: str = "plain"
    output_level: int = Field(default=0, ge=0)
    recurrence: RecurrenceSpec = RecurrenceSpec()
    downsampling: Literal["max_pool", "stride"] = "max_pool"
    upsampling: Literal["transpose", "transpose_norm", "nearest_conv", "linear"] = "transpose"
    normalisation: Normalisation = "batch"
    activation: Literal["relu", "leaky_relu"] = "relu"
    padding: Literal["same", "valid"] = "same"
    bias: bool | None = None
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    deep_supervision: bool = False
    time: Literal["none", "frames", "axis"] = "none"
    members: tuple[NetworkConfig, ...] = Field(default=(), max_length=MOST_MEMBERS)

    @model_validator(mode="after")
    def _levels_fit(self) -> NetworkConfig:
        if len(self.strides) != len(self.filters) - 1:
            raise ValueError(f"{len(self.filters)} filters need {len(self.filters) - 1} strides")
        for name, shapes in (("stride", self.strides), ("kernel", self.kernels)):
            if any(len(shape) != self.rank for shape in shapes):
                raise ValueError(f"every {name} needs {self.rank} positive entries")
        for name, per_level in (("kernels", self.kernels), ("repeats", self.repeats)):
            if per_level and len(per_level) != len(self.filters):
                raise ValueError(f"{name} needs one entry per level, or none")
        if max(self.total_stride) > MOST_STRIDE:
            raise ValueError(f"all strides of an axis together may be {MOST_STRIDE} at most")
        if max(a * b for a, b in pairwise((1, *self.filters))) > MOST_MAPS:
            raise ValueError(f"the filters of two levels may be {MOST_MAPS} at most, multiplied")
        if len({head.name for head in self.heads}) != len(self.heads):
            raise ValueError("two heads share one name")
        return self

    @model_validator(mode="after")
    def _padding_fits(self) -> NetworkConfig:
        if self.padding == "same":
            return self
        if self.block not in LOST_PER_AXIS:
            raise ValueError(f"valid padding needs one of these blocks: {', '.join(LOST_PER_AXIS)}")
        if self.deep_supervision:
            raise ValueError("deep supervision needs padding same: coarser outputs would show another area")
        plain = NetworkConfig.model_fields
        for name in ("encoder", "bottleneck", "decoder", "downsampling", "upsampling", "kernels", "repeats"):
            if getattr(self, name) != plain[name].default:
                raise ValueError(f"valid padding needs {name} {plain[name].default!r}")
        return self

    @model_validator(mode="after")
    def _output_fits(self) -> NetworkConfig:
        if self.output_level == 0:
            return self
        if self.output_level >= len(self.filters):
            raise ValueError("output_level must be one of the levels")
        if (self.decoder, self.padding) != ("plain", "same") or self.deep_supervision or self.rank != 2:
            raise ValueError(
                "output_level needs two axes, decoder plain and padding same, without deep supervision"
            )
        return self

    @model_validator(mode="after")
    def _time_fits(self) -> NetworkConfig:
        if self.time != "none" and self.padding == "valid":
            raise ValueError("valid padding is for single images")
        if self.time == "axis" and self.spatial_dims == 3:
            raise ValueError("time as an axis needs images with two axes: convolutions have at most three")
        if self.time != "frames" and self.recurs_over_frames:
            raise ValueError("a recurrence over frames needs time 'frames'")
        if self.thinks and self.time != "none":
            raise ValueError("a thinking bottleneck is for single images: time must be 'none'")
        if self.thinks and (self.recurrence.cell == "min_gru" or self.recurrence.steps == 0):
            raise ValueError("a thinking bottleneck needs a step, and a cell whose gates see its state")
        return self

    @model_validator(mode="after")
    def _cell_fits(self) -> NetworkConfig:
        spec = self.recurrence
        if spec.cell != "leak":
            return self
        elsewhere = self.bottleneck in (*SWEEPS, *THINKING) or "recurrent" in (self.skip, self.block)
        if elsewhere or self.decoder == "slices":
            raise ValueError("cell leak keeps features from frame to frame: nothing else may recur")
        if self.recurs_over_frames and (spec.gain is None or spec.units is not None):
            raise ValueError("cell leak needs recurrence.gain, and no recurrence.units")
        return self

    @model_validator(mode="after")
    def _members_fit(self) -> NetworkConfig:
        for one in self.members:
            if one.members:
                raise ValueError("a member of an ensemble is no ensemble itself")
            for name in ("spatial_dims", "in_channels", "heads", "time", "padding"):
                if getattr(one, name) != getattr(self, name):
                    raise ValueError(f"the members of an ensemble need the same {name}")
            pairs = zip(self.total_stride, one.total_stride, strict=True)
            if any(own % theirs for own, theirs in pairs):
                raise ValueError("the first member of an ensemble needs the largest strides")
        return self

    @property
    def undecided(self) -> tuple[HeadSpec, ...]:
        """The heads of whose probabilities an ensemble tells the mean entropy too, as `<head>_entropy`."""
        if not self.members or self.time != "none":
            return ()
        return tuple(head for head in self.heads if head.has_classes)

    @property
    def rank(self) -> int:
        """Axes of the convolutions: those of space, and time where it is one of them."""
        return self.spatial_dims + (self.time == "axis")

    @property
    def total_stride(self) -> Shape:
        """Per axis of the convolutions, the factor between the input and the deepest feature map."""
        return tuple(prod(steps) for steps in zip(*self.strides, strict=True)) or (1,) * self.rank

    @property
    def output_step(self) -> Shape:
        """Per axis of the convolutions, the pixels of the input that one pixel of the decoder stands for."""
        steps = self.strides[: self.output_level]
        return tuple(prod(axis) for axis in zip(*steps, strict=True)) or (1,) * self.rank

    @property
    def depends_on_tile(self) -> bool:
        """Whether an output pixel depends on the whole tile (its statistics, sweeps), not on a window."""
        pools = self.encoder in POOLING_ENCODERS
        if any(one.depends_on_tile for one in self.members):
            return True
        reaches_far = self.bottleneck in SWEEPS or self.thinks
        return self.normalisation in ("instance", "group") or reaches_far or pools

    @property
    def fixed_when_exported(self) -> bool:
        """Whether an exported graph has one size: each step of a recurrence is a part of it, and what
        interpolates must know where.
        """
        if any(one.fixed_when_exported for one in self.members):
            return True
        interpolates = self.upsampling == "linear" or self.decoder == "full_scale" or self.output_level > 0
        return self.time != "none" or self.bottleneck in SWEEPS or self.thinks or interpolates

    @property
    def recurs_over_frames(self) -> bool:
        """Whether something is carried from one frame of a sequence to another."""
        return (
            self.encoder == "recurrent"
            or self.bottleneck in ACROSS_FRAMES
            or self.decoder in ("half_recurrence", "slices")
        )

    def recurs_at(self, level: int) -> bool:
        """Whether recurrences over frames or skips are at a level too, 0 being the finest."""
        count = self.recurrence.levels
        return count is None or level >= len(self.filters) - count

    @property
    def recurs_beside(self) -> bool:
        """Whether its recurrences are in residual form: without them it is a network still, its control."""
        inside = self.bottleneck in SWEEPS or self.skip == "recurrent"
        return self.recurrence.gain is not None and (inside or self.recurs_over_frames)

    @property
    def causal(self) -> bool:
        """Whether a frame's output depends on no later frame, so that frames may come one by one."""
        return self.time == "frames" and self.decoder != "slices"

    @property
    def thinks(self) -> bool:
        """Whether it may look at an image for as many iterations as the caller likes."""
        return self.bottleneck in THINKING

    @property
    def has_states(self) -> bool:
        """Whether its engine takes states and gives them back: from frame to frame, or from iteration to
        iteration.
        """
        return self.causal or self.thinks
