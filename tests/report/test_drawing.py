"""The drawing of a network: whole, within its frame, and showing what the slots hold."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from reunet.contracts.network import NetworkConfig
from reunet.drawing.network import draw
from reunet.networks.presets import PRESETS, configure

SVG = "{http://www.w3.org/2000/svg}"
SEQUENCE = {"time": "frames", "recurrence": {"cell": "gru"}}


def network(preset: str = "unet", **fields: Any) -> NetworkConfig:
    return configure(preset, **{"in_channels": 3, "heads": ({"channels": 7},), **fields})


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def count(svg: str, fill: str) -> int:
    """Boxes of one fill in the figure, not in the legend."""
    figure = ElementTree.fromstring(svg).find(f"{SVG}g")
    assert figure is not None
    return sum(element.get("class", "").split()[0] == f"f-{fill}" for element in figure.iter(f"{SVG}rect"))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("levels", [None, 1, 2, 7])
def test_every_preset_is_drawn_within_its_frame(preset: str, levels: int | None) -> None:
    filters = {} if levels is None else {"filters": tuple(8 * 2**level for level in range(levels))}
    svg = draw(network(preset, **filters))
    root = ElementTree.fromstring(svg)
    assert "nan" not in svg
    assert "inf" not in svg
    _, _, width, height = map(float, root.get("viewBox", "").split())
    figure = root.find(f"{SVG}g")
    assert figure is not None
    found = re.findall(r"[-\d.]+", figure.get("transform", ""))
    left, top, scale = map(float, found)
    for box in figure.iter(f"{SVG}rect"):
        x, y, wide, high = (float(box.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert left + scale * x >= 0
        assert left + scale * (x + wide) <= width
        assert top + scale * y >= 0
        assert top + scale * (y + high) <= height
    markers = {marker.get("id") for marker in root.iter(f"{SVG}marker")}
    assert set(re.findall(r"url\(#(.*?)\)", svg)) <= markers


@pytest.mark.parametrize("preset", PRESETS)
def test_numbers_of_channels_and_sizes_are_there(preset: str) -> None:
    config = network(preset)
    shown = set(texts(draw(config)))
    assert {str(filters) for filters in config.filters} <= shown
    sizes = {"1", "1/2", "1/4"} if len(config.strides) > 1 else {"1", "1/2"}
    assert sizes | {str(config.in_channels), "7"} <= shown


def test_sizes_per_axis_where_they_differ() -> None:
    config = network(spatial_dims=3, filters=(4, 8, 16), strides=((1, 2, 2), (2, 2, 2)))
    assert {"1\u00d71/2\u00d71/2", "1/2\u00d71/4\u00d71/4"} <= set(texts(draw(config)))


@pytest.mark.parametrize(
    ("fields", "sign"),
    [
        ({}, "copy and concatenate"),
        ({"padding": "valid"}, "crop, copy and concatenate"),
        ({"skip": "add"}, "sum with the features of the encoder"),
        ({"skip": "attention"}, "attention gate"),
        ({"skip": "recurrent"}, "over the two steps, in both directions, summed"),
        ({"skip": "recurrent", "recurrence": {"merge": "forward"}}, "forward only"),
        ({"decoder": "nested"}, "every earlier node of the row"),
        ({"decoder": "full_scale"}, "every level sees every scale"),
        ({"downsampling": "stride"}, "convolution with a stride"),
        ({"upsampling": "linear"}, "interpolated"),
        ({"block": "residual"}, "sum with the input of the block"),
        (
            {"block": "recurrent", "recurrence": {"steps": 3, "tied": False}},
            "3 recurrent steps, a kernel each",
        ),
        ({"block": "separable"}, "depthwise and 1\u00d71"),
        ({"bottleneck": "sweep"}, "GRU along every column and row"),
        ({"bottleneck": "raster"}, "row after row"),
        ({"bottleneck": "sweep", "recurrence": {"cell": "lstm"}}, "i, f, o = "),
        ({"bottleneck": "recurrence", **SEQUENCE}, "the state carried from frame to frame"),
        ({"decoder": "half_recurrence", **SEQUENCE}, "half of the channels carried"),
        ({"decoder": "slices", **SEQUENCE}, "through the slices"),
        ({"bottleneck": "dense", "bottleneck_blocks": 3}, "a block sees all before it"),
        ({"deep_supervision": True}, "supervised while training"),
        ({"encoder": "vgg16"}, "layers of vgg16"),
    ],
)
def test_the_legend_tells_what_a_slot_holds_and_only_that(fields: dict[str, Any], sign: str) -> None:
    plain = " ".join(texts(draw(network(normalisation="batch"))))
    assert sign in " ".join(texts(draw(network(normalisation="batch", **fields))))
    assert not fields or sign not in plain


def test_boxes_are_those_of_the_network() -> None:
    """A level has two convolutions on either side, a copy where it is concatenated, one head."""
    svg = draw(network(filters=(8, 16, 32)))
    ups, pooled = 2, 2
    assert count(svg, "map") == 2 * 5 + ups + pooled
    assert count(svg, "copy") == 2
    assert count(svg, "head") == 1
    assert count(draw(network(filters=(8, 16, 32), skip="none")), "copy") == 0
    assert count(draw(network(filters=(8, 16, 32), deep_supervision=True)), "head") == 2
    assert count(draw(network("unet_plus_plus", filters=(8, 16, 32))), "head") == 2
    sweeps = network(filters=(8, 16, 32), bottleneck="sweep", recurrence={"layers": 2})
    assert count(draw(sweeps), "recurrent") == 4


def test_names_cannot_break_the_drawing() -> None:
    assert "a<b & c" in texts(draw(network(), title="a<b & c"))
