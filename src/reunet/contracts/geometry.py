"""Sizes: how much unpadded convolutions take off, and which input sizes a network can take."""

from __future__ import annotations

from reunet.contracts.network import LOST_PER_AXIS, NetworkConfig


def _lost_per_block(config: NetworkConfig) -> int:
    return 0 if config.padding == "same" else LOST_PER_AXIS[config.block]


def _lost_below(config: NetworkConfig, level: int, axis: int) -> int:
    """Pixels of `level` between its encoder output and the upsampled map that meets it."""
    lost, deepest = _lost_per_block(config), len(config.filters) - 1
    below = lost if level + 1 == deepest else lost + _lost_below(config, level + 1, axis) + lost
    return config.strides[level][axis] * below


def skip_crop(config: NetworkConfig, level: int) -> tuple[int, ...]:
    """Pixels to crop from each side of the skip connection of `level`, per axis."""
    return tuple(_lost_below(config, level, axis) // 2 for axis in range(config.spatial_dims))


def margin(config: NetworkConfig) -> tuple[int, ...]:
    """Pixels by which the output is smaller than the input on each side, per axis (0 when padded)."""
    lost = _lost_per_block(config)
    if len(config.filters) == 1:
        return (lost // 2,) * config.spatial_dims
    return tuple((2 * lost + _lost_below(config, 0, axis)) // 2 for axis in range(config.spatial_dims))


def valid_size(config: NetworkConfig, at_least: tuple[int, ...]) -> tuple[int, ...]:
    """The smallest input size of at least `at_least` whose every downsampling divides evenly, and that
    leaves an output.
    """
    return tuple(_valid_side(config, axis, side) for axis, side in enumerate(at_least))


def _valid_side(config: NetworkConfig, axis: int, at_least: int) -> int:
    side = max(at_least, 2 * margin(config)[axis] + 1)
    while not _divides(config, axis, side):
        side += 1
    return side


def _divides(config: NetworkConfig, axis: int, side: int) -> bool:
    lost = _lost_per_block(config)
    for stride in config.strides:
        side -= lost
        if side % stride[axis]:
            return False
        side //= stride[axis]
    return True
