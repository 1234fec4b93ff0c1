"""The way back up: every decoder is `decoder(features, scope) -> features`, finest first.

`features` are the encoder's, finest first, the last one being the bottleneck.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from keras import layers

from reunet.contracts.sizes import skip_crop
from reunet.networks.blocks import BLOCKS, conv_norm_act
from reunet.networks.layers import CROP, MAX_POOL, enlarge
from reunet.networks.passes import both_directions, half_over_frames
from reunet.networks.residual import recurring
from reunet.networks.scope import Scope, by_name
from reunet.networks.skips import SKIPS
from reunet.networks.upsampling import UPSAMPLINGS

Decoder = Callable[[list[Any], Scope], list[Any]]


def node(skips: list[Any], below: Any, filters: int, scope: Scope) -> Any:
    """One place of the expanding path: up, join the skips, convolve."""
    config = scope.config
    up = UPSAMPLINGS[config.upsampling](below, filters, scope)
    joined = scope.entry("skip", SKIPS)(skips, up, filters, scope)
    slot = "block" if config.decoder_block is None else "decoder_block"
    return scope.entry(slot, BLOCKS)(joined, filters, scope)


def crop_skip(x: Any, scope: Scope) -> Any:
    """Take off what the unpadded convolutions below took off (nothing with padding)."""
    crop = skip_crop(scope.config, scope.level)
    if not any(crop):
        return x
    return CROP[scope.rank](tuple((side, side) for side in crop), name=scope.name("crop"))(x)


def plain(features: list[Any], scope: Scope) -> list[Any]:
    """The expanding path of Ronneberger et al. 2015: up, join the skip, convolve; at every level."""
    return _climb(features, scope, lambda x, here: x)


def half_recurrence(features: list[Any], scope: Scope) -> list[Any]:
    """The plain decoder with memory at its levels: half of the channels recur from frame to frame."""
    return _climb(features, scope, lambda x, here: half_over_frames(x, here) if here.recurs else x)


def _climb(features: list[Any], scope: Scope, after: Callable[[Any, Scope], Any]) -> list[Any]:
    """The plain decoder, up to its `output_level`; what it gives at each level goes through `after`."""
    x = features[-1]
    outputs: list[Any] = []
    for level in reversed(range(scope.config.output_level, len(features) - 1)):
        here = scope.child(f"dec{level}", level)
        x = after(node([crop_skip(features[level], here)], x, scope.config.filters[level], here), here)
        outputs.insert(0, x)
    return outputs or [x]


def slices(features: list[Any], scope: Scope) -> list[Any]:
    """The plain decoder; then a recurrence runs through the slices in both directions, before the softmax.

    Chen et al. 2016 (arXiv 1609.01006): for stacks whose slices lie too far apart for 3D convolutions.
    """

    def read(x: Any, here: Scope) -> Any:
        frames, kernel = here.clip.unfold(x, here.path), here.config.recurrence.kernel
        read = both_directions(frames, here.config.filters[0], here, kernel=kernel)
        return here.clip.fold(read, here.path)

    outputs = plain(features, scope)
    return [recurring(outputs[0], read, scope.child("slices")), *outputs[1:]]


def nested(features: list[Any], scope: Scope) -> list[Any]:
    """UNet++ (Zhou et al. 2018, arXiv 1807.10165, figure 1): node (i, j) joins all earlier nodes of row i.

    The outputs are the nodes (0, j) at full resolution, the last one first.
    """
    grid = {(level, 0): x for level, x in enumerate(features)}
    depth = len(features) - 1
    for column in range(1, depth + 1):
        for level in range(depth + 1 - column):
            here = scope.child(f"dec{level}_{column}", level)
            row = [grid[level, earlier] for earlier in range(column)]
            below = grid[level + 1, column - 1]
            grid[level, column] = node(row, below, scope.config.filters[level], here)
    return [grid[0, column] for column in range(depth, 0, -1)] or features


def full_scale(features: list[Any], scope: Scope) -> list[Any]:
    """UNet 3+ (Huang et al. 2020, arXiv 2004.08790, section 2.1): every level sees every scale.

    Finer encoder maps are pooled, coarser decoder maps enlarged, each becomes as many maps as the first
    level has, and one convolution joins them.
    """
    config, found = scope.config, {len(features) - 1: features[-1]}
    width, deepest = config.filters[0], len(features) - 1
    for level in reversed(range(deepest)):
        here, maps = scope.child(f"dec{level}", level), []
        for other in range(deepest + 1):
            place = here.child(f"from{other}")
            factors = _between(config.strides, level, other)
            if other < level:
                x = MAX_POOL[scope.rank](factors, name=place.name("pool"))(features[other])
            else:
                x = features[level] if other == level else enlarge(found[other], factors, place, linear=True)
            maps.append(conv_norm_act(x, width, place))
        joined = layers.Concatenate(name=here.name("concat"))(maps)
        found[level] = conv_norm_act(joined, width * len(features), here)
    return [found[level] for level in range(deepest)] or features


def _between(strides: tuple[tuple[int, ...], ...], level: int, other: int) -> tuple[int, ...]:
    """Per axis, the factor between the resolutions of two levels."""
    low, high = sorted((level, other))
    return tuple(prod(axis) for axis in zip(*strides[low:high], strict=True)) or (1,) * len(strides[0])


DECODERS: dict[str, Decoder] = by_name(plain, half_recurrence, slices, nested, full_scale)
