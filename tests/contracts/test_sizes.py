"""Sizes inside a network, against a walk through it level by level."""

from __future__ import annotations

import numpy as np
import pytest

from reunet.contracts.network import LOST_PER_AXIS, HeadSpec, NetworkConfig
from reunet.contracts.sizes import margin, output_strides, outputs_of, skip_crop, valid_frames, valid_size

HEADS = (HeadSpec(channels=2),)


def network(levels: int, strides: tuple[tuple[int, ...], ...] | None = None, **more: object) -> NetworkConfig:
    rank = int(str(more.get("spatial_dims", 2))) + (more.get("time") == "axis")
    steps = strides or ((2,) * rank,) * (levels - 1)
    return NetworkConfig(in_channels=1, filters=(4,) * levels, strides=steps, heads=HEADS, **more)


CONFIGS = (
    network(1, padding="valid"),
    network(2, padding="valid"),
    network(4, padding="valid"),
    network(3, ((2, 3), (1, 2)), padding="valid"),
    network(3, ((1, 2, 2), (2, 2, 1)), padding="valid", spatial_dims=3),
    network(3),
    network(3, ((3, 2), (2, 4))),
    network(3, ((2, 1, 4), (2, 2, 2)), time="axis"),
    network(2, spatial_dims=3),
)


def walk(config: NetworkConfig, axis: int, side: int) -> tuple[int, list[int]] | None:
    """Side of the output, and pixels cropped from each end of every skip; None where it does not fit."""
    lost = LOST_PER_AXIS[config.block] if config.padding == "valid" else 0
    skips = []
    for stride in config.strides:
        side -= lost
        skips.append(side)
        if side <= 0 or side % stride[axis]:
            return None
        side //= stride[axis]
    side -= lost
    crops = []
    for skip, stride in zip(reversed(skips), reversed(config.strides), strict=True):
        side *= stride[axis]
        crops.append((skip - side) // 2)
        side -= lost
    return (side, crops[::-1]) if side > 0 else None


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_sizes_are_those_of_a_walk_through_the_network(config: NetworkConfig) -> None:
    space = range(config.rank - config.spatial_dims, config.rank)
    for least in range(1, 60):
        sizes = valid_size(config, (least,) * config.spatial_dims)
        for axis, side, lost in zip(space, sizes, margin(config), strict=True):
            fits = walk(config, axis, side)
            assert fits is not None
            assert side >= least
            assert fits[0] == side - 2 * lost
            assert fits[1] == [skip_crop(config, level)[axis] for level in range(len(config.strides))]
            assert not any(walk(config, axis, smaller) for smaller in range(least, side)), (
                "a smaller one fits"
            )


def test_each_axis_has_a_size_of_its_own() -> None:
    assert valid_size(network(3, ((2, 1), (2, 4))), (5, 5)) == (8, 8)
    assert valid_size(network(3, ((2, 1), (2, 2))), (5, 5)) == (8, 6)
    assert margin(network(5, padding="valid")) == (92, 92), "Ronneberger et al.: 572 in, 388 out"
    assert valid_size(network(5, padding="valid"), (560, 572)) == (572, 572)


def test_frames_fit_where_time_is_an_axis() -> None:
    """Elsewhere frames go through the network one by one, and any number does."""
    assert valid_frames(network(3, ((2, 2, 2), (3, 2, 2)), time="axis"), 7) == 12
    assert valid_frames(network(3, time="frames"), 7) == 7
    assert valid_frames(network(3), 5) == 5


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [(1, 1)]),
        ({"deep_supervision": True}, [(1, 1), (2, 3), (2, 6)]),
        ({"deep_supervision": True, "decoder": "nested"}, [(1, 1)] * 3),
        ({"deep_supervision": True, "time": "frames"}, [(1, 1, 1), (1, 2, 3), (1, 2, 6)]),
    ],
)
def test_supervised_levels_stand_for_every_nth_label(
    more: dict[str, object], expected: list[tuple[int, ...]]
) -> None:
    assert output_strides(network(4, ((2, 3), (1, 2), (2, 2)), **more)) == expected


def test_only_heads_of_pixels_are_supervised_deep_down() -> None:
    heads = (HeadSpec(channels=2), HeadSpec(name="kind", of="image", channels=3))
    config = network(3, deep_supervision=True).model_copy(update={"heads": heads})
    levels = {name: level for name, (_, level) in outputs_of(config).items()}
    assert sorted(levels.values()) == [0, 0, 1]
    assert levels[heads[1].output(0)] == levels[heads[0].output(0)] == 0
    assert levels[heads[0].output(1)] == 1


def test_strides_in_all() -> None:
    config = network(4, ((2, 3), (1, 2), (2, 2)), output_level=2)
    assert config.total_stride == tuple(np.prod([(2, 3), (1, 2), (2, 2)], axis=0))
    assert config.output_step == (2, 6)
    assert network(1).total_stride == network(1).output_step == (1, 1)
    assert (network(2).rank, network(2, spatial_dims=3).rank, network(2, time="axis").rank) == (2, 3, 3)
