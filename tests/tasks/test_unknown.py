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


def test_masks_of_other_names_and_a_class_list_above_are_understood(
    truth: Path, pred: Path, tmp_path: Path
) -> None:
    """As in a dataset: `a_mask` belongs to `a`, and dataset.json lies above the split."""
    mask = drawn(CELL, kind=np.uint8)
    mask[50:60, 10:20] = 7
    (truth / "masks" / "a.png").unlink()
    save(truth / "masks" / "a_mask.png", mask)
    told = json.loads((truth / "dataset.json").read_text()) | {"ignore_index": 7}
    (truth / "dataset.json").unlink()
    (truth.parent / "dataset.json").write_text(json.dumps(told))
    for task in ("instances", "detection"):
        scores = reunet.evaluate(pred=pred, truth=truth, task=task, output=tmp_path / task).metrics
        assert (scores["precision"] if task == "instances" else scores["map"]) == 1.0


def test_what_is_beside_and_not_understood_is_told(truth: Path, pred: Path, tmp_path: Path) -> None:
    content = (truth / "boxes.json").read_text()
    (truth / "boxes.json").write_text("{")
    for task in ("instances", "semantic"):
        report = reunet.evaluate(pred=pred, truth=truth, task=task, output=tmp_path / task).report
        assert "its crowds are scored" in report.read_text()
    (truth / "boxes.json").write_text(content.replace(f'"width": {SIDE}', f'"width": {2 * SIDE}'))
    with pytest.raises(DataError, match="annotation and image have different sizes"):
        reunet.evaluate(pred=pred, truth=truth, task="instances", output=tmp_path / "scores")


def outlined(folder: Path, name: str, *told: dict[str, Any]) -> Path:
    """A COCO dataset: the photograph in a folder of its own, or beside the file."""
    save(folder / name / "a.png", np.arange(SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16))
    coco(folder / "boxes.json", *told)
    return folder


@pytest.mark.parametrize("name", ["images", "Bilder", "."])
@pytest.mark.fault(
    "a truth of photographs and outlines, none of numbers of objects",
    "the outlines are the truth; without any an error names the file",
)
def test_outlines_are_the_truth_of_objects_and_photographs_never(
    pred: Path, tmp_path: Path, name: str
) -> None:
    shaped = ({"bbox": box, "segmentation": ring(*box)} for box in (CELL, EXTRA[1]))
    crowd = {"bbox": CROWD, "iscrowd": 1, "segmentation": ring(*CROWD)}
    truth = outlined(tmp_path / "truth", name, *shaped, crowd)
    for given in (truth, truth / "boxes.json"):
        output = tmp_path / "scores" / given.name
        scores = reunet.evaluate(pred=pred, truth=given, task="instances", output=output).metrics
        assert scores["objects"] == {"true": 2, "predicted": 2}
        assert scores["f1"]["0.95"] == 1.0
    boxed = outlined(tmp_path / "boxed", name, {"bbox": CELL})
    with pytest.raises(DataError, match="tells boxes without outlines") as told:
        reunet.evaluate(pred=pred, truth=boxed, task="instances", output=tmp_path / "more")
    assert "boxes.json" in str(told.value)


def test_outlines_with_unlabelled_pixels_and_a_field_of_view(truth: Path, pred: Path, tmp_path: Path) -> None:
    (truth / "instances" / "a.png").unlink()
    (truth / "instances").rmdir()
    scores = reunet.evaluate(pred=pred, truth=truth, task="instances", output=tmp_path / "a").metrics
    assert (scores["objects"]["true"], scores["count_error"]) == (1, 0)
    save(truth / "fov" / "a.png", np.zeros((SIDE, SIDE), np.uint8))
    scores = reunet.evaluate(pred=pred, truth=truth, task="instances", output=tmp_path / "b").metrics
    assert scores["objects"] == {"true": 0, "predicted": 0}


@pytest.mark.parametrize("inner", ["imgs", "train/images", "fov"])
@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_folders_of_other_roles_are_no_labels(pred: Path, tmp_path: Path, inner: str, task: str) -> None:
    truth = tmp_path / "other"
    save(truth / inner / "a.png", drawn(CELL, kind=np.uint8))
    with pytest.raises(DataError, match=f"received: {inner}/"):
        reunet.evaluate(pred=pred, truth=truth, task=task, output=tmp_path / "scores")


def test_label_images_in_folders_of_their_own_are_paired(tmp_path: Path) -> None:
    """Folders of patients or splits below the masks say nothing of other roles."""
    for folder in ("masks", "found"):
        for inner in ("p1", "test"):
            save(tmp_path / folder / inner / "a.png", drawn(CELL, kind=np.uint8))
    pred, truth = tmp_path / "found", tmp_path / "masks"
    scores = reunet.evaluate(pred=pred, truth=truth, task="semantic", output=tmp_path / "scores").metrics
    assert scores["n_images"] == 2
