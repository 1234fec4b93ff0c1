"""Classes of objects mean the same everywhere: in masks, in other files, in the run that is evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.options.records import DataOptions
from reunet.datasets.case_arrays import load_case
from reunet.datasets.scan import open_dataset
from reunet.errors import DataError

from .layout_folders import coco, save, write_coco_layout

SHAPE = (12, 16)
CATS = np.zeros(SHAPE, np.int32)
CATS[2:5, 3:7] = 1
DOGS = np.zeros(SHAPE, np.int32)
DOGS[6:10, 1:9] = 1


def pets(root: Path, names: tuple[str, ...], *, shapes: bool) -> Path:
    """A cat in one image, a dog in the other; ids of the categories in the order of `names`."""
    data = coco([("cat.png", CATS), ("dog.png", DOGS)])
    data["categories"] = [{"id": i, "name": name} for i, name in enumerate(names)]
    for annotation, name in zip(data["annotations"], ("cat", "dog"), strict=True):
        annotation["category_id"] = names.index(name)
        if not shapes:
            annotation["segmentation"] = []
    for number, name in enumerate(("cat", "dog")):
        save(
            root / "images" / f"{name}.png",
            np.random.default_rng(number).integers(0, 255, SHAPE).astype(np.uint8),
        )
    (root / "boxes.json").write_text(json.dumps(data))
    return root


@pytest.mark.parametrize("shapes", [True, False])
def test_categories_in_another_order_are_the_classes_of_the_run(tmp_path: Path, shapes: bool) -> None:
    known = open_dataset(pets(tmp_path / "a", ("cat", "dog"), shapes=shapes)).labels
    assert known.names == (("background",) if shapes else ()) + ("cat", "dog")
    assert [known.names[i] for i in known.foreground] == ["cat", "dog"]
    other = open_dataset(pets(tmp_path / "b", ("dog", "bird", "cat"), shapes=shapes), labels=known)
    assert other.labels == known
    for case in other.cases:
        arrays = load_case(case, other.labels)
        assert arrays.beside.boxes is not None
        assert [known.names[i] for i in arrays.beside.boxes.classes] == [case.id]
        if shapes:
            assert arrays.labels is not None
            expected = known.names.index(case.id) * (CATS if case.id == "cat" else DOGS)
            np.testing.assert_array_equal(arrays.labels, expected)


def test_masks_take_the_name_of_the_only_object_class(tmp_path: Path) -> None:
    root = write_coco_layout(tmp_path / "coco")
    for split in ("train", "test"):
        for image in (root / "images" / f"{split}2017").iterdir():
            save(tmp_path / "data" / split / "images" / image.name, np.eye(64, dtype=np.uint8))
            save(tmp_path / "data" / split / "masks" / image.name, np.eye(64, dtype=np.uint8))
        file = root / "annotations" / f"instances_{split}2017.json"
        (tmp_path / "data" / split / "boxes.json").write_text(file.read_text())
    dataset = open_dataset(tmp_path / "data")
    assert dataset.labels.names == ("background", "cell")
    boxes = load_case(dataset.cases[0], dataset.labels).beside.boxes
    assert boxes is not None
    assert set(boxes.classes.tolist()) == {1}


def test_masks_and_objects_of_different_classes_are_refused(tmp_path: Path) -> None:
    root = pets(tmp_path, ("cat", "dog"), shapes=False)
    for name in ("cat", "dog"):
        save(root / "masks" / f"{name}.png", CATS.astype(np.uint8))
    with pytest.raises(DataError, match=r"masks and objects tell different classes(.|\n)*dataset\.json"):
        open_dataset(root)
    entries = [{"id": i, "name": name} for i, name in enumerate(("background", "cat", "dog"))]
    (root / "dataset.json").write_text(json.dumps({"classes": entries}))
    assert open_dataset(root).labels.names == ("background", "cat", "dog")


@pytest.mark.parametrize("shapes", [True, False])
def test_an_image_without_objects_is_known_to_show_none(tmp_path: Path, shapes: bool) -> None:
    root = pets(tmp_path, ("cat", "dog"), shapes=shapes)
    data = json.loads((root / "boxes.json").read_text())
    data["annotations"] = data["annotations"][:1]
    (root / "boxes.json").write_text(json.dumps(data))
    dataset = open_dataset(root)
    truth = load_case(dataset.cases[1], dataset.labels).truth
    assert truth.boxes is not None
    assert len(truth.boxes) == 0
    assert (truth.objects is not None and not truth.objects.any()) is shapes


def test_boxes_derived_from_masks_are_the_foreground(tmp_path: Path) -> None:
    for name, mask in (("a", CATS + 2 * DOGS), ("b", DOGS)):
        save(tmp_path / "images" / f"{name}.png", np.eye(12, 16, dtype=np.uint8) * 9)
        save(tmp_path / "masks" / f"{name}.png", mask.astype(np.uint8))
    dataset = open_dataset(tmp_path, DataOptions(boxes_from_masks="class_2"))
    assert [dataset.labels.names[i] for i in dataset.labels.foreground] == ["class_2"]
    assert dataset.kinds == {"masks", "boxes"}
    found = [load_case(case, dataset.labels).beside.boxes for case in dataset.cases]
    assert [boxes.corners.tolist() for boxes in found if boxes is not None] == [[[6, 1, 10, 9]], []]
