"""What a network is, as data: the builder reads this and nothing else."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from reunet.contracts.base import Contract

Normalisation = Literal["batch", "instance", "group", "none"]

LOST_PER_AXIS = {"double_conv": 4}
"""Pixels that a block takes off each axis when its 3x3 convolutions are not padded; no other block can be."""


class HeadSpec(Contract):
    """One output of a network: `channels` maps of float32 logits, and what turns them into numbers."""

    name: str = "semantic"
    channels: int = Field(ge=1)
    activation: Literal["softmax", "sigmoid", "linear"] = "softmax"


class NetworkConfig(Contract):
    """A U-Net: one entry of `filters` per level, one entry of `strides` between two levels.

    block, bottleneck, skip, decoder: names of the four slots (see `reunet.networks`).
    strides: per downsampling and axis, such as ((2, 2), (2, 2)).
    padding: `same` keeps the size; `valid` is the paper's unpadded convolution: the output is smaller
    than the input by a margin on each side, and only some input sizes fit.
    deep_supervision: logits at every decoder level while training; the finest is the output.
    """

    preset: str = "unet"
    spatial_dims: Literal[2, 3] = 2
    in_channels: int = Field(ge=1)
    filters: tuple[int, ...] = Field(min_length=1)
    strides: tuple[tuple[int, ...], ...]
    heads: tuple[HeadSpec, ...] = Field(min_length=1)
    block: str = "double_conv"
    bottleneck: str = "identity"
    skip: str = "concat"
    decoder: str = "plain"
    normalisation: Normalisation = "batch"
    activation: Literal["relu", "leaky_relu"] = "relu"
    padding: Literal["same", "valid"] = "same"
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    deep_supervision: bool = False

    @model_validator(mode="after")
    def _levels_fit(self) -> NetworkConfig:
        if len(self.strides) != len(self.filters) - 1:
            raise ValueError(f"{len(self.filters)} filters need {len(self.filters) - 1} strides")
        if any(len(stride) != self.spatial_dims or min(stride) < 1 for stride in self.strides):
            raise ValueError(f"every stride needs {self.spatial_dims} positive entries")
        if min(self.filters) < 1:
            raise ValueError("filters must be positive")
        if len({head.name for head in self.heads}) != len(self.heads):
            raise ValueError("two heads share one name")
        return self

    @model_validator(mode="after")
    def _padding_fits(self) -> NetworkConfig:
        if self.padding == "valid" and self.block not in LOST_PER_AXIS:
            raise ValueError(f"valid padding needs one of these blocks: {', '.join(LOST_PER_AXIS)}")
        if self.padding == "valid" and self.deep_supervision:
            raise ValueError("deep supervision needs padding same: coarser outputs would show another area")
        return self

    @property
    def total_stride(self) -> tuple[int, ...]:
        """Per axis, the factor between the input and the deepest feature map."""
        total = [1] * self.spatial_dims
        for stride in self.strides:
            total = [a * b for a, b in zip(total, stride, strict=True)]
        return tuple(total)

    @property
    def depends_on_tile(self) -> bool:
        """Whether an output pixel depends on the whole tile (statistics of the tile), not on a window."""
        return self.normalisation in ("instance", "group")
