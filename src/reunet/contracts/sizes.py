"""Sizes: how much unpadded convolutions take off, and which input sizes a network can take."""

from reunet.contracts.network import LOST_PER_AXIS, HeadSpec, NetworkConfig


def _lost_per_block(config: NetworkConfig) -> int:
    return 0 if config.padding == "same" else LOST_PER_AXIS[config.block]


def _lost_below(config: NetworkConfig, level: int, axis: int) -> int:
    """Pixels of `level` between its encoder output and the upsampled map that meets it."""
    lost, deepest = _lost_per_block(config), len(config.filters) - 1
    below = lost if level + 1 == deepest else lost + _lost_below(config, level + 1, axis) + lost
    return config.strides[level][axis] * below


def skip_crop(config: NetworkConfig, level: int) -> tuple[int, ...]:
    """Pixels to crop from each side of the skip connection of `level`, per axis of the convolutions."""
    return tuple(_lost_below(config, level, axis) // 2 for axis in range(config.rank))


def margin(config: NetworkConfig) -> tuple[int, ...]:
    """Pixels by which the output is smaller than the input on each side, per axis of space; 0 when padded."""
    lost = _lost_per_block(config)
    if len(config.filters) == 1:
        return (lost // 2,) * config.spatial_dims
    return tuple((2 * lost + _lost_below(config, 0, axis)) // 2 for axis in _axes(config))


def valid_size(config: NetworkConfig, at_least: tuple[int, ...]) -> tuple[int, ...]:
    """The smallest input size of at least `at_least` whose every downsampling divides evenly, and that
    leaves an output; axes of space.
    """
    return tuple(_valid_side(config, axis, side) for axis, side in zip(_axes(config), at_least, strict=True))


def valid_frames(config: NetworkConfig, at_least: int) -> int:
    """The smallest number of frames of at least `at_least` that fits a network with time."""
    return _valid_side(config, 0, at_least) if config.time == "axis" else at_least


def output_strides(config: NetworkConfig) -> list[tuple[int, ...]]:
    """Step between the label pixels that the logits of each supervised level stand for, finest first; per
    axis of the labels, time first where there is time.
    """
    strides = [(1,) * config.rank]
    if config.deep_supervision:
        for stride in config.strides[:-1]:
            finer = (1,) * config.rank if config.decoder == "nested" else stride
            strides.append(tuple(a * b for a, b in zip(strides[-1], finer, strict=True)))
    return [(1, *stride) for stride in strides] if config.time == "frames" else strides


def outputs_of(config: NetworkConfig) -> dict[str, tuple[HeadSpec, int]]:
    """Names of the network's outputs, with the head and the level of deep supervision each stands for."""
    levels = range(len(output_strides(config)))
    return {
        head.output(level): (head, level)
        for head in config.heads
        for level in (levels if head.of == "pixels" else [0])
    }


def _axes(config: NetworkConfig) -> range:
    """Which axes of the convolutions are those of space."""
    return range(config.rank - config.spatial_dims, config.rank)


def _valid_side(config: NetworkConfig, axis: int, at_least: int) -> int:
    lost = margin(config)[axis] if config.padding == "valid" else 0
    side = max(at_least, 2 * lost + 1)
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
