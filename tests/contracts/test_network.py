"""What a network may be, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from reunet.contracts.network import HeadSpec, NetworkConfig, RecurrenceSpec
from reunet.errors import PlanError

PLAIN: dict[str, Any] = {
    "in_channels": 1, "filters": (4, 8, 16), "strides": ((2, 2), (2, 2)), "heads": ({"channels": 2},),
}  # fmt: skip


def made(**more: Any) -> NetworkConfig:
    return NetworkConfig.parse(PLAIN | more, where="test")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"strides": ((2, 2),)}, "3 filters need 2 strides"),
        ({"filters": ()}, "filters"),
        ({"filters": (4, 0, 8)}, "filters"),
        ({"strides": ((2, 2), (2, 0))}, "stride"),
        ({"strides": ((2, 2), (2, 2, 2))}, "every stride needs 2"),
        ({"kernels": ((3, 3), (3, 3), (3,))}, "every kernel needs 2"),
        ({"kernels": ((3, 3), (3, 3))}, "kernels needs one entry per level"),
        ({"repeats": (1, 1)}, "repeats needs one entry per level"),
        ({"repeats": (1, 0, 1)}, "repeats"),
        ({"heads": ({"channels": 2}, {"channels": 1})}, "two heads share one name"),
        ({"heads": ()}, "heads"),
        ({"heads": ({"channels": 0},)}, "channels"),
        ({"heads": ({"channels": 2, "weight": 0},)}, "weight"),
        ({"in_channels": 0}, "in_channels"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"padding": "valid", "block": "residual"}, "valid padding needs one of these blocks"),
        ({"padding": "valid", "deep_supervision": True}, "deep supervision needs padding same"),
        *(({"padding": "valid", name: value}, f"valid padding needs {name}") for name, value in (
            ("encoder", "recurrent"), ("bottleneck", "dense"), ("decoder", "nested"),
            ("downsampling", "stride"), ("upsampling", "linear"), ("kernels", ((1, 1),) * 3),
            ("repeats", (1, 1, 1)))),
        ({"padding": "valid", "time": "frames"}, "valid padding is for single images"),
        ({"output_level": 3}, "output_level must be one of the levels"),
        ({"output_level": -1}, "output_level"),
        ({"output_level": 1, "decoder": "nested"}, "output_level needs"),
        ({"output_level": 1, "deep_supervision": True}, "output_level needs"),
        ({"output_level": 1, "padding": "valid"}, "output_level needs"),
        ({"output_level": 1, "spatial_dims": 3, "strides": ((2,) * 3,) * 2}, "output_level needs"),
        ({"time": "axis", "spatial_dims": 3, "strides": ((2,) * 4,) * 2}, "at most 3 items"),
        ({"bottleneck": "recurrence"}, "a recurrence over frames needs time 'frames'"),
        ({"encoder": "recurrent", "time": "axis", "strides": ((2,) * 3,) * 2}, "needs time 'frames'"),
        ({"recurrence": {"kernel": 0}}, "kernel"),
        ({"recurrence": {"steps": -1}}, "steps"),
        ({"bottleneck_blocks": 0}, "bottleneck_blocks"),
        *(({"recurrence": {"cell": "leak", "gain": 0.5}, **more}, "nothing else may recur") for more in (
            {"time": "frames", "bottleneck": "recurrence", "skip": "recurrent"}, {"block": "recurrent"},
            {"decoder": "slices", "time": "frames"})),
        ({"levels": 3}, "unknown field"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(PlanError) as caught:
        made(**more)
    assert told in str(caught.value.received)


@pytest.mark.parametrize(
    "more",
    [
        {"padding": "valid"}, {"output_level": 2}, {"output_level": 1}, {"kernels": ((1, 3),) * 3},
        {"repeats": (1, 2, 1)},
        {"time": "frames", "bottleneck": "recurrence"}, {"time": "frames", "decoder": "slices"},
        {"dropout": 0.0},
        {"dropout": 0.99}, {"filters": (1,), "strides": ()}, {"recurrence": {"steps": 0}},
        {"time": "axis", "strides": ((1, 2, 2),) * 2},
    ],
)  # fmt: skip
def test_what_can_be_built_is_kept_as_it_is_written(more: dict[str, Any]) -> None:
    config = made(**more)
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("more", "tile", "fixed", "frames", "causal"),
    [
        ({}, False, False, False, False),
        ({"normalisation": "instance"}, True, False, False, False),
        ({"normalisation": "group"}, True, False, False, False),
        ({"bottleneck": "sweep"}, True, True, False, False),
        ({"bottleneck": "raster"}, True, True, False, False),
        ({"encoder": "efficientnet_v2_b0"}, True, False, False, False),
        ({"upsampling": "linear"}, False, True, False, False),
        ({"decoder": "full_scale"}, False, True, False, False),
        ({"output_level": 1}, False, True, False, False),
        ({"time": "frames"}, False, True, False, True),
        ({"time": "frames", "encoder": "recurrent"}, False, True, True, True),
        ({"time": "frames", "bottleneck": "recurrence"}, False, True, True, True),
        ({"time": "frames", "bottleneck": "half_recurrence"}, False, True, True, True),
        ({"time": "frames", "decoder": "half_recurrence"}, False, True, True, True),
        ({"time": "frames", "decoder": "slices"}, False, True, True, False),
        ({"time": "axis", "strides": ((2,) * 3,) * 2}, False, True, False, False),
    ],
)
def test_what_follows(more: dict[str, Any], tile: bool, fixed: bool, frames: bool, causal: bool) -> None:
    config = made(**more)
    found = config.depends_on_tile, config.fixed_when_exported, config.recurs_over_frames, config.causal
    assert found == (tile, fixed, frames, causal)


def test_outputs_are_named_by_their_level() -> None:
    head = HeadSpec(name="centres", channels=1)
    assert [head.output(level) for level in range(3)] == ["centres", "centres_1", "centres_2"]


def test_plain_values_are_those_of_the_paper() -> None:
    """A file without these fields means them."""
    config = made()
    told = config.preset, config.spatial_dims, config.block, config.skip, config.padding, config.normalisation
    assert told == ("unet", 2, "double_conv", "concat", "same", "batch")
    assert (config.dropout, config.output_level, config.deep_supervision, config.bias) == (
        0.0,
        0,
        False,
        None,
    )
    assert (config.bottleneck_blocks, config.time, config.kernels, config.repeats) == (1, "none", (), ())
    assert RecurrenceSpec().model_dump() == {
        "cell": "gru", "units": None, "kernel": 3, "layers": 1, "steps": 2, "tied": True,
        "recall": True, "step_statistics": False, "merge": "sum", "gain": None, "levels": None, "share": 0.5,
    }  # fmt: skip
    head = HeadSpec(channels=3)
    assert (head.name, head.activation, head.of, head.weight, head.bias) == (
        "semantic",
        "softmax",
        "pixels",
        1,
        0,
    )
