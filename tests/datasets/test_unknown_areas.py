"""Crowds, `difficult` objects, the field of view and unlabelled pixels are one mask of what is known."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import IGNORE, Classes, LabelMap
from reunet.contracts.options.records import DataOptions
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import CaseArrays, load_case
from reunet.datasets.scan import open_dataset
from reunet.sampling.resize import at_size
from reunet.tasks.detection.targets import targets
from reunet.tasks.instances.task import TASK as INSTANCES

SIZE = (40, 50)
OBJECT, CROWD, UNSEEN, UNLABELLED = (4, 4, 12, 12), (20, 4, 30, 20), (20, 30, 40, 50), (0, 30, 12, 44)


def inside(corners: tuple[int, ...]) -> tuple[slice, slice]:
    y0, x0, y1, x1 = corners
    return slice(y0, y1), slice(x0, x1)


def without(*areas: tuple[int, ...]) -> np.ndarray:
    known = np.ones(SIZE, bool)
    for area in areas:
        known[inside(area)] = False
    return known


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write(root: Path, *, kind: str, fov: bool, mask: bool) -> None:
    """A dataset of one kind of annotation with a crowd in it, and what is unknown beside that."""
    save(root / "images/a.png", np.random.default_rng(0).integers(0, 255, SIZE, np.uint8))
    if kind == "voc":
        objects = "".join(
            f"<object><name>cell</name><difficult>{d}</difficult><bndbox><xmin>{x0 + 1}</xmin>"
            f"<ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
            for d, (y0, x0, y1, x1) in enumerate((OBJECT, CROWD))
        )
        size = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height><depth>1</depth></size>"
        (root / "annotations").mkdir()
        (root / "annotations/a.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    else:
        notes = []
        for crowd, (y0, x0, y1, x1) in enumerate((OBJECT, CROWD)):
            note = {"id": crowd, "image_id": 0, "category_id": 1, "iscrowd": crowd, "area": 9}
            note["bbox"] = [x0, y0, x1 - x0, y1 - y0]
            if kind != "boxes":
                note["segmentation"] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            notes.append(note)
        images = [{"id": 0, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}]
        told = {"images": images, "annotations": notes, "categories": [{"id": 1, "name": "cell"}]}
        (root / "boxes.json").write_text(json.dumps(told))
    if kind == "ids":
        ids = np.zeros(SIZE, np.uint16)
        ids[inside(OBJECT)] = 7
        save(root / "instances/a.png", ids)
    if fov:
        save(root / "fov/a.png", without(UNSEEN).astype(np.uint8) * 255)
    if mask:
        values = np.zeros(SIZE, np.uint8)
        values[inside(OBJECT)], values[inside(UNLABELLED)] = 1, 255
        save(root / "masks/a.png", values)
        names = [{"id": 0, "name": "background"}, {"id": 1, "name": "cell"}]
        (root / "dataset.json").write_text(json.dumps({"classes": names, "ignore_index": 255}))


def read(root: Path) -> tuple[LabelMap, CaseArrays]:
    dataset = open_dataset(root, DataOptions())
    return dataset.labels, load_case(dataset.cases[0], dataset.labels)


@pytest.mark.parametrize(
    ("kind", "fov", "mask"), list(product(("boxes", "polygons", "voc", "ids"), (False, True), (False, True)))
)
def test_all_that_is_unknown_is_combined(tmp_path: Path, kind: str, fov: bool, mask: bool) -> None:
    write(tmp_path / "d", kind=kind, fov=fov, mask=mask)
    areas = [CROWD, *([UNSEEN] if fov else []), *([UNLABELLED] if mask else [])]
    known = without(*areas)
    for _ in range(2):  # read, then found in the cache
        labels, case = read(tmp_path / "d")
        truth = case.truth
        assert truth.boxes is not None
        assert truth.boxes.corners.tolist() == [list(OBJECT)]
        np.testing.assert_array_equal(truth.boxes_told, known)
        np.testing.assert_array_equal(truth.told, known)
        if truth.labels is not None:
            np.testing.assert_array_equal(truth.labels != IGNORE, known)
    maps = targets(truth.boxes, SIZE, labels, truth.boxes_told)
    assert np.isnan(maps["centre"][~known]).all()
    assert not np.isnan(maps["centre"][known]).any()
    assert (maps["box"][~known] == 0).all()
    if truth.objects is not None:
        heads = INSTANCES.targets(truth, Classes(labels))
        assert (heads["instances"][~known] == IGNORE).all()
        assert np.isnan(heads["flows"][~known]).all()
        assert (heads["instances"][inside(OBJECT)] == 1).all()
    small = at_size(case, (20, 25)).truth
    np.testing.assert_array_equal(small.boxes_told, known[1::2, 1::2])


def test_an_annotated_object_in_a_crowd_is_known(tmp_path: Path) -> None:
    root = tmp_path / "d"
    write(root, kind="polygons", fov=False, mask=False)
    told = json.loads((root / "boxes.json").read_text())
    told["annotations"][1] |= {"bbox": [0, 0, 50, 40], "segmentation": [[0, 0, 50, 0, 50, 40, 0, 40]]}
    (root / "boxes.json").write_text(json.dumps(told))
    truth = read(root)[1].truth
    assert truth.told is not None
    assert truth.boxes is not None
    assert len(truth.boxes) == 1
    np.testing.assert_array_equal(truth.told, ~without(OBJECT))


def test_boxes_that_a_mixed_file_tells_without_outlines_are_known_boxes(tmp_path: Path) -> None:
    root = tmp_path / "d"
    write(root, kind="polygons", fov=False, mask=False)
    told = json.loads((root / "boxes.json").read_text())
    told["annotations"].append({"id": 9, "image_id": 0, "category_id": 1, "bbox": [30, 0, 10, 10]})
    (root / "boxes.json").write_text(json.dumps(told))
    truth = read(root)[1].truth
    shapeless = (0, 30, 10, 40)
    np.testing.assert_array_equal(truth.boxes_told, without(CROWD))
    np.testing.assert_array_equal(truth.told, without(CROWD, shapeless))


def test_an_object_largely_out_of_view_is_unknown() -> None:
    corners = np.array([[0, 0, 10, 10], [0, 16, 10, 24], [0, 15, 10, 25], [30, 0, 40, 50]], np.float32)
    truth = Truth(boxes=Boxes(corners, np.ones(4, np.uint8)))
    seen = np.ones(SIZE, bool)
    seen[:, 20:] = False
    told = truth.within(seen)
    assert told.boxes is not None
    assert told.boxes.corners.tolist() == corners[:1].tolist()
    expected = seen.copy()
    expected[:10, 15:25] = expected[30:] = False  # half of it is enough: all of the object is unknown
    np.testing.assert_array_equal(told.boxes_told, expected)
    again = told.within(~without((0, 0, 10, 6)))
    assert again.boxes is not None
    assert len(again.boxes) == 1
    assert again.boxes_told is not None
    assert not (again.boxes_told & ~expected).any()


def test_derived_boxes_are_those_of_the_whole_object(tmp_path: Path) -> None:
    root = tmp_path / "d"
    save(root / "images/a.png", np.random.default_rng(0).integers(0, 255, SIZE, np.uint8))
    mask, seen = np.zeros(SIZE, np.uint8), np.ones(SIZE, np.uint8) * 255
    mask[2:12, 20:40], mask[20:30, 24:44], mask[20:30, 2:8] = 1, 1, 1
    seen[:, 32:] = 0
    save(root / "masks/a.png", mask)
    save(root / "fov/a.png", seen)
    dataset = open_dataset(root, DataOptions(boxes_from_masks="foreground"))
    truth = load_case(dataset.cases[0], dataset.labels).truth
    assert truth.boxes is not None
    assert truth.boxes_told is not None
    assert truth.labels is not None
    assert sorted(truth.boxes.corners.tolist()) == [[2, 20, 12, 40], [20, 2, 30, 8]]
    assert not truth.boxes_told[20:30, 24:44].any()
    np.testing.assert_array_equal(truth.labels == IGNORE, seen == 0)


def test_shares_of_boxes_on_fractions_of_pixels() -> None:
    rng = np.random.default_rng(1)
    mask = rng.random((9, 11)) < 0.5
    low = rng.uniform(-1, 6, (50, 2))
    corners = np.concatenate([low, low + rng.uniform(0.2, 7, (50, 2))], axis=1).astype(np.float32)
    y, x = np.indices(mask.shape)
    for box, share in zip(corners, Boxes(corners, np.zeros(50, np.uint8)).share_in(mask), strict=True):
        sides = [
            np.clip(np.minimum(at + 1, box[k + 2]) - np.maximum(at, box[k]), 0, 1)
            for k, at in enumerate((y, x))
        ]
        expected = (sides[0] * sides[1] * mask).sum() / ((box[2] - box[0]) * (box[3] - box[1]))
        assert share == pytest.approx(expected, abs=1e-5)
