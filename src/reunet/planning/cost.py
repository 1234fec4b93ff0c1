"""What a network costs: multiplications and memory of one training patch."""

from __future__ import annotations

from math import prod

from reunet.contracts.network import NetworkConfig

FRAMEWORK_BYTES = 850 * 2**20
"""What a process holds with the framework loaded and a step compiled, whatever the network. Estimates with
it lie 4 to 42 % above measured peaks (patches of 256 x 256; TensorFlow, JAX and PyTorch).
"""

BYTES_PER_WEIGHT = 4 * 4
"""float32: the weight, its gradient and the two moments of Adam."""

BYTES_PER_FEATURE = 4 * 5
"""float32, and about five copies of each feature map alive in training (map, normalised map, activation
and gradients); measured peaks of the plain U-Net lie a little below."""


def level_sizes(config: NetworkConfig, patch: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Spatial size of the feature maps at every level."""
    sizes = [patch]
    for stride in config.strides:
        sizes.append(tuple(max(1, side // step) for side, step in zip(sizes[-1], stride, strict=True)))
    return sizes


def level_weights(config: NetworkConfig) -> list[tuple[int, int]]:
    """Per level of a two-convolution U-Net: weights of its convolutions, and those by which one pixel is
    upsampled from the level below.
    """
    kernels, weights = config.kernels or ((3,) * config.rank,) * len(config.filters), []
    for level, (width, before) in enumerate(
        zip(config.filters, (config.in_channels, *config.filters[:-1]), strict=True)
    ):
        kernel = prod(kernels[level])
        convolutions, upsampling = kernel * width * (before + width), 0
        if level < len(config.strides):
            convolutions += kernel * width * (2 * width + width)
            upsampling = width * config.filters[level + 1]
        weights.append((convolutions, upsampling))
    return weights


def multiplications(config: NetworkConfig, patch: tuple[int, ...]) -> int:
    """Multiply-adds of the convolutions in one forward pass over one patch."""
    sizes = level_sizes(config, patch)
    return sum(prod(size) * sum(weights) for size, weights in zip(sizes, level_weights(config), strict=True))


def training_bytes(config: NetworkConfig, patch: tuple[int, ...], batch: int) -> int:
    """Estimated peak memory of training, in bytes: framework, weights with optimiser, feature maps."""
    weights = features = 0
    strides = (*map(prod, config.strides), 0)
    for (convolutions, upsampling), stride in zip(level_weights(config), strides, strict=True):
        weights += convolutions + stride * upsampling
    for level, size in enumerate(level_sizes(config, patch)):
        maps = 2 if level == len(config.filters) - 1 else 6
        features += maps * config.filters[level] * prod(size)
    return FRAMEWORK_BYTES + weights * BYTES_PER_WEIGHT + batch * features * BYTES_PER_FEATURE
