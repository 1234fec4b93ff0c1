"""What a network costs: multiplications and memory of one training patch."""

from __future__ import annotations

from reunet.contracts.network import NetworkConfig

BYTES_PER_FEATURE = 4 * 5
"""float32, and about five copies of each feature map alive in training (map, normalised map, activation
and gradients); measured peaks of the plain U-Net lie a little below."""


def level_sizes(config: NetworkConfig, patch: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Spatial size of the feature maps at every level."""
    sizes = [patch]
    for stride in config.strides:
        sizes.append(tuple(max(1, side // step) for side, step in zip(sizes[-1], stride, strict=True)))
    return sizes


def _pixels(size: tuple[int, ...]) -> int:
    total = 1
    for side in size:
        total *= side
    return total


def multiplications(config: NetworkConfig, patch: tuple[int, ...]) -> int:
    """Multiply-adds of the convolutions in one forward pass over one patch of a two-convolution U-Net."""
    kernel, total, previous = 3**config.spatial_dims, 0, config.in_channels
    sizes = level_sizes(config, patch)
    for filters, size in zip(config.filters, sizes, strict=True):
        total += _pixels(size) * kernel * filters * (previous + filters)
        previous = filters
    for level in range(len(config.filters) - 1):
        filters, below = config.filters[level], config.filters[level + 1]
        total += _pixels(sizes[level]) * filters * (below + kernel * (2 * filters + filters))
    return total


def training_bytes(config: NetworkConfig, patch: tuple[int, ...], batch: int) -> int:
    """Estimated peak memory of one training step for feature maps, in bytes."""
    features = 0
    for level, size in enumerate(level_sizes(config, patch)):
        maps = 2 if level == len(config.filters) - 1 else 6
        features += maps * config.filters[level] * _pixels(size)
    return batch * features * BYTES_PER_FEATURE
