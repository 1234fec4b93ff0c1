"""What is unknown beside a truth adds up for every task; photographs beside it are not taken for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reunet
from reunet.errors import DataError

from ..datasets.layout_folders import save

SIDE = 64
CELL, CROWD = [5, 5, 10, 10], [40, 0, 20, 20]
EXTRA = ([45, 5, 10, 10], [10, 50, 10, 10])
"""Boxes (x, y, width, height) that a program found: one in the crowd, one where the mask is unlabelled."""


def drawn(*boxes: list[int], kind: type = np.uint16) -> np.ndarray:
    ids = np.zeros((SIDE, SIDE), kind)
    for number, (x, y, width, height) in enumerate(boxes, 1):
        ids[y : y + height, x : x + width] = number
    return ids


def ring(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def coco(path: Path, *told: dict[str, Any]) -> None:
    images = [{"id": 1, "file_name": "a.png", "height": SIDE, "width": SIDE}]
    objects = [{"id": i, "image_id": 1, "category_id": 1, **one} for i, one in enumerate(told, 1)]
    categories = [{"id": 1, "name": "cell"}]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": objects}))


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    root = tmp_path / "truth"
    save(root / "images" / "a.png", np.arange(SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16))
    save(root / "instances" / "a.png", drawn(CELL))
    mask = drawn(CELL, kind=np.uint8)
    mask[50:60, 10:20] = 255
    save(root / "masks" / "a.png", mask)
    crowd = {"bbox": CROWD, "iscrowd": 1, "segmentation": ring(*CROWD)}
    coco(root / "boxes.json", {"bbox": CELL, "segmentation": ring(*CELL)}, crowd)
    classes = [{"id": 0, "name": "background"}, {"id": 1, "name": "cell"}]
    (root / "dataset.json").write_text(json.dumps({"classes": classes, "ignore_index": 255}))
    return root


@pytest.fixture
def pred(tmp_path: Path) -> Path:
    root = tmp_path / "pred"
    save(root / "instances" / "a.png", drawn(CELL, *EXTRA))
    save(root / "masks" / "a.png", (drawn(CELL, *EXTRA) > 0).astype(np.uint8))
    coco(root / "predictions.json", *({"bbox": box, "score": 0.9} for box in (CELL, *EXTRA)))
    return root


@pytest.mark.parametrize("task", ["semantic", "instances", "detection"])
@pytest.mark.fault(
    "a truth with unlabelled pixels, a crowd and objects, in files of their own",
    "what any of them calls unknown is scored by no task",
)
def test_what_is_unknown_adds_up(truth: Path, pred: Path, tmp_path: Path, task: str) -> None:
    scores = reunet.evaluate(pred=pred, truth=truth, task=task, output=tmp_path / "scores").metrics
    if task == "semantic":
        assert scores["dice"]["pooled"]["mean_foreground"] == 1.0
    elif task == "instances":
        assert (scores["objects"]["true"], scores["count_error"]) == (1, 0)
        assert scores["f1"]["0.50"] == 1.0
    else:
        assert (scores["map"], scores["f1"]) == (1.0, 1.0)


def test_what_is_beside_counts_where_it_is_there(truth: Path, pred: Path, tmp_path: Path) -> None:
    """Without the crowd and the unlabelled pixels, what was found there is wrong."""
    (truth / "boxes.json").unlink()
    save(truth / "masks" / "a.png", drawn(CELL, kind=np.uint8))
    given = {"pred": pred, "truth": truth, "output": tmp_path / "scores"}
    assert reunet.evaluate(task="instances", **given).metrics["count_error"] == 2


def test_photographs_are_no_numbers_of_objects(truth: Path, pred: Path, tmp_path: Path) -> None:
    for folder in ("instances", "masks"):
        for file in (truth / folder).iterdir():
            file.unlink()
        (truth / folder).rmdir()
    with pytest.raises(DataError, match="contains no instances") as told:
        reunet.evaluate(pred=pred, truth=truth, task="instances", output=tmp_path / "scores")
    assert "boxes.json" in str(told.value)
