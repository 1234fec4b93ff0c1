"""Every kind of run as a file: networks with time, volumes, every task, every way of normalising."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.contracts.labels import Classes, LabelMap, Region, default_classes
from reunet.contracts.plan import Calibration, ClipSpec, Inference, InputSpec, Intensity, Plan, Schedule
from reunet.contracts.run import RunFolder
from reunet.exporting.check import compare
from reunet.exporting.describe import describe, readme
from reunet.exporting.formats import FORMATS
from reunet.inference.load import load
from reunet.storage import sha256_file
from reunet.tasks.work import Work

pytestmark = pytest.mark.usefixtures("backend")  # files are made in a process of their own
TWO, THREE = LabelMap(classes=default_classes([0, 1])), LabelMap(classes=default_classes([0, 7, 300]))
REGIONS = LabelMap(
    classes=default_classes([0, 1, 2]),
    regions=(
        Region(name="whole", color=(1, 2, 3), classes=(1, 2), paints=1),
        Region(name="core", color=(3, 2, 1), classes=(2,), paints=2),
    ),
)
FIXED = Intensity(method="fixed", offset=(100.0,), scale=(30.0,), limit=(-2.0, 2.0))

KINDS: dict[str, dict[str, Any]] = {
    "frame by frame": {"preset": "conv_gru_unet", "clip": ClipSpec(frames=4), "labels": TWO},
    "windows of frames": {"preset": "slice_unet", "clip": ClipSpec(frames=4)},
    "volumes": {"preset": "unet3d", "tile": (8, 16, 12), "labels": TWO},
    "sweeps": {"preset": "cnn_rnn_unet"},
    "regions": {"preset": "unet", "labels": REGIONS},
    "valid padding": {"preset": "unet", "padding": "valid", "tile": (44, 48)},
    "fixed intensity, class ids above 255": {"preset": "unet", "intensity": FIXED, "labels": THREE},
    "made smaller": {"preset": "nnunet", "spacing": (1.7, 2.0)},
    "percentiles": {"preset": "unet", "intensity": Intensity(method="image_percentile")},
    "detection": {"preset": "unet", "tasks": ("detection",), "spacing": (2.0, 2.0)},
    "photographs": {"preset": "unet", "tasks": ("semantic", "detection"), "longest": 61},
    "instances and masks": {"preset": "unet", "tasks": ("instances", "semantic")},
    "classification": {"preset": "unet", "tasks": ("classification",), "size": (32, 48)},
}


def make_run(folder: Path, **kind: Any) -> RunFolder:
    """A run with random weights, tiny."""
    from tests.networks.family import give_weights

    from reunet.networks import build_network, configure
    from reunet.training.state import weights_content

    own = ("clip", "tile", "intensity", "labels", "spacing", "tasks", "size", "longest")
    tasks, labels = (
        kind.get("tasks", ("semantic",)),
        kind.get("labels", LabelMap(classes=default_classes([0, 1, 2]))),
    )
    classes = Classes(labels, labels if "classification" in tasks else None)
    heads = Work(tasks, classes).heads(2)
    fields = {name: value for name, value in kind.items() if name not in own}
    network = configure(**{"in_channels": 1, "filters": (4, 8, 12), **fields}, heads=heads)
    tile = kind.get("tile", (32, 48))
    plan = Plan(
        dataset="noise",
        tasks=tasks,
        labels=labels,
        categories=classes.categories,
        input=InputSpec(
            channels=1,
            intensity=kind.get("intensity", Intensity(method="image_zscore")),
            size=kind.get("size"),
            longest=kind.get("longest"),
        ),
        network=network,
        spacing=kind.get("spacing"),
        clip=kind.get("clip"),
        patch=tile,
        batch=1,
        schedule=Schedule(steps=1),
        inference=Inference(tile=tile),
    )
    run = RunFolder(folder)
    plan.write(run.plan_file)
    model = build_network(network)
    give_weights(model)
    run.publish_weights(plan, weights_content(model, plan))
    calibration = Calibration(
        threshold=0.4 if labels == TWO else None,
        temperature=1.7,
        weights=sha256_file(run.weights_file),
    )
    calibration.write(run.calibration_file)
    return run


QUICK = ("frame by frame", "fixed intensity, class ids above 255")


@pytest.mark.parametrize(
    "kind", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in KINDS]
)
def test_it_computes_what_predict_computes(kind: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", **KINDS[kind])
    plan, predictor = run.plan(), load(run.path)
    for name in ("openvino", "onnx"):
        if name == "onnx":
            pytest.importorskip("onnxruntime")
        (tmp_path / name).mkdir()
        FORMATS[name].build(run, tmp_path / name / "model")
        agreement, example = compare(FORMATS[name], tmp_path / name / "model", plan, predictor)
        print(kind, name, agreement)
        assert agreement["max_difference"] < 1e-3
        if "semantic" in plan.tasks:
            assert agreement["differ_ppm"] <= 1000, "a pixel or two of a small image"
            assert len(np.unique(example.outputs["mask"])) > 1
        states = tuple(set(example.inputs) - {"image"})
        facts = describe(plan, agreement, states)
        assert set(facts["outputs"]) | {f"{state}_after" for state in states} == set(example.outputs)
        page = readme(facts, "anything")
        assert all(step in page for step in facts["caller_must"])


def test_what_the_file_cannot_hold_is_said(tmp_path: Path) -> None:
    told = {}
    for kind in ("frame by frame", "windows of frames", "percentiles", "detection"):
        plan = make_run(tmp_path / kind, **KINDS[kind]).plan()
        facts = describe(plan, {}, ("state",) if plan.network.causal else ())
        told[kind] = " ".join(facts["caller_must"])
    assert "zeros" in told["frame by frame"]
    assert "4 consecutive frames" in told["windows of frames"]
    assert "percentiles 1 and 99.8" in told["percentiles"]
    assert "decode" in told["detection"]
