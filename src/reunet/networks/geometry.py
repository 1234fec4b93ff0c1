"""Sizes: how much unpadded convolutions take off, and which input sizes a network can take."""

from __future__ import annotations

from reunet.contracts.network import NetworkConfig
from reunet.errors import PlanError
from reunet.networks.blocks import LOST_PER_AXIS


def _lost_per_block(config: NetworkConfig) -> int:
    if config.padding == "same":
        return 0
    if config.block not in LOST_PER_AXIS:
        raise PlanError(
            "valid padding is not possible with this block",
            where="network.block",
            expected=f"one of {', '.join(LOST_PER_AXIS)}",
            received=config.block,
            fix="set network.padding to same",
        )
    return LOST_PER_AXIS[config.block]


def _lost_below(config: NetworkConfig, level: int, axis: int) -> int:
    """Pixels of `level` between its encoder output and the upsampled map that meets it."""
    lost, deepest = _lost_per_block(config), len(config.filters) - 1
    below = lost if level + 1 == deepest else lost + _lost_below(config, level + 1, axis) + lost
    return config.strides[level][axis] * below


def skip_crop(config: NetworkConfig, level: int) -> tuple[int, ...]:
    """Pixels to crop from each side of the skip connection of `level`, per axis."""
    if config.padding == "same":
        return (0,) * config.spatial_dims
    return tuple(_lost_below(config, level, axis) // 2 for axis in range(config.spatial_dims))


def margin(config: NetworkConfig) -> tuple[int, ...]:
    """Pixels by which the output is smaller than the input on each side, per axis (0 when padded)."""
    lost = _lost_per_block(config)
    if len(config.filters) == 1:
        return (lost // 2,) * config.spatial_dims
    return tuple((2 * lost + _lost_below(config, 0, axis)) // 2 for axis in range(config.spatial_dims))


def valid_size(config: NetworkConfig, at_least: tuple[int, ...]) -> tuple[int, ...]:
    """The smallest input size of at least `at_least` whose every downsampling divides evenly."""
    return tuple(_valid_side(config, axis, side) for axis, side in enumerate(at_least))


def _valid_side(config: NetworkConfig, axis: int, at_least: int) -> int:
    total = config.total_stride[axis]
    if config.padding == "same":
        return max(-(-at_least // total), 1) * total
    side = max(at_least, 1)
    while not _divides(config, axis, side):
        side += 1
    return side


def _divides(config: NetworkConfig, axis: int, side: int) -> bool:
    lost = _lost_per_block(config)
    for stride in config.strides:
        side -= lost
        if side <= 0 or side % stride[axis]:
            return False
        side //= stride[axis]
    remaining = side - lost
    return remaining > 0
