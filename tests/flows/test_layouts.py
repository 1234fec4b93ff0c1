"""Datasets in the layouts that people have, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from reunet.cli import main
from reunet.contracts.plan import Plan

from ..datasets.layout_folders import (
    save,
    scenes,
    write_classes,
    write_coco_layout,
    write_roboflow,
    write_stage1,
    write_tracking,
    write_voc,
)

Writer = Callable[[Path], Path]


def write_masks(root: Path) -> Path:
    """images/ with masks/ of three classes: background, left and right."""
    for split, count in (("train", 4), ("test", 2)):
        for name, image, ids in scenes(split, count):
            side = np.where(np.arange(ids.shape[1]) < ids.shape[1] // 2, 1, 2)
            save(root / split / "images" / f"{name}.png", image)
            save(root / split / "masks" / f"{name}.png", ((ids > 0) * side).astype(np.uint8))
    names = ("background", "left", "right")
    entries = [{"id": i, "name": name} for i, name in enumerate(names)]
    (root / "dataset.json").write_text(json.dumps({"classes": entries}))
    return root


def shortened(file: Path) -> None:
    """A plan for a network of two levels."""
    plan = json.loads(file.read_text())
    plan["network"].update(filters=[4, 8], strides=plan["network"]["strides"][:1], kernels=[])
    plan["schedule"].update(validations=1)
    plan["batch"] = 2
    Plan.parse(plan, where="test").write(file)


LAYOUTS: dict[str, tuple[Writer, str, list[str]]] = {
    "voc": (write_voc, "detection", []),
    "coco": (write_coco_layout, "instances", []),
    "roboflow": (write_roboflow, "detection", ["--task", "detection"]),
    "stage1": (write_stage1, "instances", []),
    "classes": (partial(write_classes, splits={"train": 8, "test": 4}), "classification", []),
    "tracking": (partial(write_tracking, segmented=3), "instances", []),
    "masks": (write_masks, "detection", ["--task", "detection", "--boxes-from-masks", "left,right"]),
}


LONGER = ("roboflow", "stage1", "classes", "voc", "tracking", "masks")
"""Read by what other layouts are read by."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONGER else name for name in LAYOUTS]
)
def test_from_layout_to_scores(
    tmp_path: Path, name: str, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write, task, options = LAYOUTS[name]
    data, run, file = write(tmp_path / "data"), tmp_path / "run", tmp_path / "plan.json"
    asked = ["--steps", "2", "--backend", backend, *options]
    assert main(["plan", str(data), "-o", str(file), *asked]) == 0
    shortened(file)
    about = options[options.index("--boxes-from-masks") :] if "--boxes-from-masks" in options else []
    assert main(["train", str(data), "-o", str(run), "--plan", str(file), *about]) == 0
    assert main(["evaluate", str(run), str(data), "-o", str(tmp_path / "scores"), *about]) == 0
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    n_images = {"tracking": 6, "classes": 4}.get(name, 2)
    assert (metrics["task"], metrics["n_images"]) == (task, n_images)
    assert "Traceback" not in capsys.readouterr().err


def test_boxes_are_derived_from_masks_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(write_masks(tmp_path / "data"))
    assert main(["check", data, "--boxes-from-masks", "left,dog"]) == 1
    assert "some of: background, left, right" in capsys.readouterr().err
    assert main(["check", str(write_voc(tmp_path / "voc")), "--boxes-from-masks", "cell"]) == 1
    assert "no boxes of its own" in capsys.readouterr().err
