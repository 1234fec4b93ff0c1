"""Objects, boxes and masks of one image that contradict each other are told of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reunet

from .layout_folders import save

SIZE = (40, 60)


def drawn(*boxes: tuple[int, int, int, int], value: int = 1) -> np.ndarray:
    found = np.zeros(SIZE, np.uint8)
    for number, (y, x, height, width) in enumerate(boxes):
        found[y : y + height, x : x + width] = value + number
    return found


def dataset(root: Path, mask: np.ndarray | None, ids: np.ndarray | None, *boxes: list[int]) -> Path:
    for split, seed in (("train", 0), ("test", 1)):
        noise = np.random.default_rng(seed).integers(0, 255, SIZE).astype(np.uint8)
        save(root / split / "images" / "a.png", noise)
        if mask is not None:
            save(root / split / "masks" / "a.png", mask)
        if ids is not None:
            save(root / split / "instances" / "a.png", ids.astype(np.uint16))
        if boxes:
            told = [{"id": i, "image_id": 1, "category_id": 1, "bbox": box} for i, box in enumerate(boxes, 1)]
            content = {
                "images": [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
                "categories": [{"id": 1, "name": "foreground"}],
                "annotations": told,
            }
            (root / split / "boxes.json").write_text(json.dumps(content))
    return root


def apart(root: Path) -> list[tuple[str, str]]:
    return [(one.message, one.received) for one in reunet.check(root).problems if one.code == "objects-apart"]


TWO = ((5, 5, 8, 8), (25, 30, 8, 8))
BOXES = ([5, 5, 8, 8], [30, 25, 8, 8])
"""The same, as x, y, width, height."""
AWAY = [45, 2, 8, 8]


@pytest.mark.fault(
    "an object where the mask shows nothing; a box that holds no object", "a warning that names them"
)
def test_objects_and_boxes_that_nothing_else_shows(tmp_path: Path) -> None:
    mask, ids = np.minimum(drawn(*TWO), 1), drawn(*TWO)
    message = "1 object(s) lie where the mask shows nothing"
    assert apart(dataset(tmp_path / "a", drawn(TWO[0]), ids)) == [(message, "object 2")] * 2
    message, told = "1 box(es) lie where instances/ shows nothing", "box x 45-53 y 2-10"
    assert apart(dataset(tmp_path / "b", None, ids, *BOXES, AWAY)) == [(message, told)] * 2
    message = "1 box(es) lie where the mask shows nothing"
    assert apart(dataset(tmp_path / "c", mask, None, *BOXES, AWAY)) == [(message, told)] * 2


def test_one_that_shows_nothing_at_all_contradicts_the_others(tmp_path: Path) -> None:
    """Of several classes the boxes may be of one that the masks do not tell."""
    listed = {"classes": [{"id": 0, "name": "background"}, {"id": 1, "name": "foreground"}]}
    message = "2 object(s) lie where the mask shows nothing"
    root = listing(dataset(tmp_path / "a", drawn(), drawn(*TWO)), listed)
    assert apart(root) == [(message, "object 1, object 2")] * 2
    message, told = "1 box(es) lie where instances/ shows nothing", "box x 5-13 y 5-13"
    assert apart(dataset(tmp_path / "b", None, drawn(), BOXES[0])) == [(message, told)] * 2
    message = "1 box(es) lie where the mask shows nothing"
    root = listing(dataset(tmp_path / "c", drawn(), None, BOXES[0]), listed)
    assert apart(root) == [(message, told)] * 2
    listed["classes"].append({"id": 2, "name": "other"})
    assert not apart(listing(root, listed))


def listing(root: Path, told: dict[str, Any]) -> Path:
    (root / "dataset.json").write_text(json.dumps(told))
    return root


def test_boxes_with_outlines_are_held_against_the_others(tmp_path: Path) -> None:
    root = dataset(tmp_path, None, drawn(TWO[0]), *BOXES)
    for file in root.glob("*/boxes.json"):
        told = json.loads(file.read_text())
        for one in told["annotations"]:
            x, y, width, height = one["bbox"]
            one["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
        file.write_text(json.dumps(told))
    message = "1 box(es) lie where instances/ shows nothing"
    assert apart(root) == [(message, "box x 30-38 y 25-33")] * 2


def test_a_mask_of_some_classes_says_nothing_of_the_others(tmp_path: Path) -> None:
    """What is background to it may be of a class that this image is not annotated with."""
    names = ("background", "foreground", "other")
    listed = {"classes": [{"id": number, "name": name} for number, name in enumerate(names)]}
    root = listing(dataset(tmp_path, drawn(TWO[0]), drawn(*TWO)), listed)
    assert len(apart(root)) == 2
    assert not apart(listing(root, listed | {"annotated": {"*": ["foreground"]}}))


def test_what_agrees_or_is_unknown_is_not_told_of(tmp_path: Path) -> None:
    mask, ids = np.minimum(drawn(*TWO), 1), drawn(*TWO)
    assert not apart(dataset(tmp_path / "a", mask, ids, *BOXES))
    partly = drawn(TWO[0])
    partly[20:, 20:] = 255
    assert not apart(dataset(tmp_path / "b", partly, ids))
    assert not apart(dataset(tmp_path / "c", None, ids))
