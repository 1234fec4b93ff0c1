"""A scope gives the layers of one place in the network their names, rank and settings."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from reunet.contracts.network import NetworkConfig

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Scope:
    """A place such as `enc0` or `dec2`: layer names start with it, so they never depend on build order.

    level: 0 at full resolution, one more after each downsampling.
    stride: of the first convolution of a block that also goes down a level; None elsewhere.
    clip: the sequence (a `Clip`) that the feature maps are frames of; None for single images.
    carried: the states (a `Carried`) that come in and go out.
    own: functions of the caller that fill slots, by the slot's name.
    """

    config: NetworkConfig
    seed: int
    clip: Any = None
    carried: Any = None
    path: str = ""
    level: int = 0
    stride: tuple[int, ...] | None = None
    own: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def entry(self, slot: str, entries: Mapping[str, Function]) -> Function:
        """What fills a slot: the caller's function, or the entry that the configuration names."""
        return self.own.get(slot) or entries[getattr(self.config, slot)]  # type: ignore[return-value]

    def child(self, part: str, level: int | None = None) -> Scope:
        """The scope of a part of this place; without its stride, which is for the first convolution alone."""
        deep = self.level if level is None else level
        return replace(self, path=self.name(part), level=deep, stride=None)

    def strided(self, stride: tuple[int, ...] | None) -> Scope:
        """The same place, going down a level by `stride`."""
        return replace(self, stride=stride)

    def name(self, part: str) -> str:
        """The name of a layer or a part in this place, such as `enc0_1_conv`."""
        return f"{self.path}_{part}" if self.path else part

    def layer_seed(self, part: str) -> int:
        """A seed that differs from layer to layer and is the same in every build."""
        return (self.seed * 1_000_003 + zlib.crc32(self.name(part).encode())) % 2**31

    @property
    def recurs(self) -> bool:
        """Whether there are recurrences at this level."""
        return self.config.recurs_at(self.level)

    @property
    def rank(self) -> int:
        """Number of axes of the convolutions, 2 or 3."""
        return self.config.rank

    @property
    def kernel(self) -> tuple[int, ...]:
        """Sides of the convolutions at this level."""
        return self.config.kernels[self.level] if self.config.kernels else (3,) * self.rank


def by_name(*entries: Function) -> dict[str, Function]:
    """The entries of a slot: functions by their names, which configurations use."""
    return {entry.__name__: entry for entry in entries}
