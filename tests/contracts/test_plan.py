"""A plan that a person edited is refused when it is read, not when it crashes; and sizes of networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec, NetworkConfig
from reunet.contracts.plan import Inference, InputSpec, Intensity, Plan, Schedule
from reunet.contracts.sizes import margin, skip_crop, valid_size
from reunet.errors import PlanError

SOUND = Plan(
    dataset="x",
    labels=LabelMap(classes=default_classes([0, 1])),
    input=InputSpec(channels=1, intensity=Intensity(method="fixed", offset=(1.0,), scale=(2.0,))),
    network=NetworkConfig(in_channels=1, filters=(4, 8), strides=((2, 2),), heads=(HeadSpec(channels=2),)),
    patch=(36, 44),
    batch=1,
    schedule=Schedule(steps=1),
    inference=Inference(tile=(36, 44)),
)


def edited(changes: dict[str, Any]) -> dict[str, Any]:
    """The sound plan as JSON with some fields, named with dots, set."""
    content: dict[str, Any] = json.loads(SOUND.model_dump_json())
    for name, value in changes.items():
        *parents, field = name.split(".")
        target = content
        for parent in parents:
            target = target[parent]
        target[field] = value
    return content


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"patch": [35, 44]}, "(36, 44) would"),
        ({"inference.tile": [36, 0]}, "inference.tile.1: Input should be greater than or equal to 1"),
        ({"network.padding": "valid", "patch": [35, 44]}, "(36, 44) would"),
        ({"network.padding": "valid", "inference.tile": [14, 44]}, "(18, 44) would"),
        ({"network.padding": "valid", "network.deep_supervision": True}, "deep supervision"),
        ({"network.padding": "valid", "network.block": "residual"}, "valid padding"),
        ({"network.spatial_dims": 3, "network.strides": [[2, 2, 2]]}, "spatial_dims"),
        ({"input.intensity.offset": [1, 2, 3]}, "1 values each"),
        ({"input.intensity.scale": []}, "1 values each"),
        ({"input.intensity.scale": [0]}, "positive"),
        ({"augmentation.scale": [1.3, 0.7]}, "the smaller one first"),
        ({"augmentation.scale": [0, 1]}, "from 0.001 to 1000"),
        ({"augmentation.gamma": [-1, 1]}, "from 0.001 to 1000"),
        ({"augmentation.blur": [0, 1]}, "from 0.001 to 1000"),
        ({"loss": {"cross_entropy": 0, "dice": 0}}, "positive"),
        ({"augmentation.noise": "NaN"}, "noise"),
        ({"patch": [16384, 16388]}, "more pixels than"),
        ({"inference.halo": [1]}, "inference.halo needs 2"),
        ({"inference.halo": [1, 1, 1]}, "inference.halo needs 2"),
        ({"thinking": {"iterations": 2, "window": 3}}, "window is 3, of 2 iterations"),
        ({"augmentation.rotation": 181}, "rotation"),
        ({"augmentation.rotation": -1}, "rotation"),
        ({"augmentation.tilt": -1}, "tilt"),
        ({"augmentation.shear": -0.1}, "shear"),
        ({"augmentation.elastic": -1}, "elastic"),
        ({"augmentation.geometry_probability": -0.1}, "geometry_probability"),
        ({"augmentation.intensity_probability": -0.1}, "intensity_probability"),
        ({"augmentation.intensity_probability": 1.1}, "intensity_probability"),
        ({"augmentation.invert": 1.1}, "invert"),
        ({"augmentation.invert": -0.1}, "invert"),
        ({"augmentation.frames": {"longest_gap": 0}}, "longest_gap"),
        ({"augmentation.frames": {"lost": 0.6, "replaced": 0.5}}, "1 at most"),
        ({"augmentation.frames": {"light": [0.5, 0.1]}}, "the smaller one first"),
    ],
)
def test_edits_that_cannot_work_are_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(edited(changes)), encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        Plan.read(file)
    assert told in str(caught.value)
    assert caught.value.where == file


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"network.padding": "valid"},
        {"network.deep_supervision": True},
        {"augmentation.blur": [0, 0], "augmentation.gamma": [1, 1]},
        {"input.intensity": {"method": "image_percentile"}},
    ],
)
def test_edits_that_work_are_read(changes: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(edited(changes)), encoding="utf-8")
    assert Plan.read(file) == Plan.parse(edited(changes), where="here")


def test_the_paper_s_sizes() -> None:
    """Ronneberger et al. 2015, figure 1: 572 in, 388 out, skips of 568 cropped to 392 and 64 to 56."""
    config = SOUND.network.model_copy(
        update={"filters": (64, 128, 256, 512, 1024), "strides": ((2, 2),) * 4, "padding": "valid"}
    )
    assert margin(config) == (92, 92)
    assert [skip_crop(config, level)[0] for level in range(4)] == [88, 40, 16, 4]
    assert valid_size(config, (560, 572)) == (572, 572)


def test_the_smallest_valid_size_leaves_an_output() -> None:
    config = SOUND.network.model_copy(update={"padding": "valid"})
    side = valid_size(config, (1, 1))[0]
    assert side - 2 * margin(config)[0] > 0
    assert side == 18


def test_a_plan_in_a_notebook_tells_its_classes_and_reasons() -> None:
    told = SOUND.model_copy(update={"reasons": {"patch": "as <large>"}})._repr_html_()
    assert told.startswith("<b>Plan</b><table>")
    assert "background, foreground" in told
    assert "as &lt;large&gt;" in told
