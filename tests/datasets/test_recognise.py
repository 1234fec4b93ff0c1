"""Layouts that others have defined are recognised, and read as what they tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.options.records import DataOptions
from reunet.datasets.case_arrays import load_case
from reunet.datasets.scan import open_dataset, scan_dataset
from reunet.errors import DataError

from .examined import find_problems
from .layout_folders import (
    save,
    scenes,
    write_classes,
    write_coco_layout,
    write_object_masks,
    write_roboflow,
    write_stage1,
    write_tracking,
    write_voc,
    write_voc_pairs,
)

Writer = Callable[[Path], Path]

LAYOUTS: dict[str, tuple[Writer, str, set[str]]] = {
    "voc": (write_voc, "Pascal VOC", {"boxes"}),
    "voc pairs": (write_voc_pairs, "images/ with annotations/*.xml", {"boxes"}),
    "voc beside": (partial(write_voc_pairs, beside=True), "train/ with train/*.xml", {"boxes"}),
    "coco": (write_coco_layout, "COCO", {"boxes", "instances"}),
    "coco runs": (
        partial(write_coco_layout, polygons=False, own_folder=True),
        "COCO",
        {"boxes", "instances"},
    ),
    "roboflow": (write_roboflow, "train/ with _annotations.coco.json", {"boxes", "instances"}),
    "stage1": (write_stage1, "a folder per image", {"instances"}),
    "object masks": (write_object_masks, "images/ with masks/<image>/", {"instances"}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_objects_are_those_of_the_scenes(tmp_path: Path, name: str) -> None:
    write, layout, kinds = LAYOUTS[name]
    root = write(tmp_path / "data")
    problems, counts = find_problems(root)
    assert [problem for problem in problems if problem.code != "id-scattered"] == []
    assert counts == {"train": 4, "test": 2}
    assert scan_dataset(root, DataOptions()).layout.startswith(layout)
    dataset = open_dataset(root)
    assert dataset.kinds == kinds
    for split, count in (("train", 4), ("test", 2)):
        for case, (stem, image, ids) in zip(dataset.split(split), scenes(split, count), strict=True):
            arrays = load_case(case, dataset.labels)
            assert case.id == stem
            np.testing.assert_array_equal(arrays.image[..., 0], image)
            if "instances" in kinds:
                assert arrays.objects is not None
                assert arrays.labels is not None
                expected = np.unique(ids, return_inverse=True)[1].reshape(ids.shape)
                np.testing.assert_array_equal(arrays.objects, expected)
                np.testing.assert_array_equal(arrays.labels, ids > 0)
            if "boxes" in kinds:
                assert arrays.beside.boxes is not None
                assert {dataset.labels.names[i] for i in arrays.beside.boxes.classes} == {"cell"}
                for corners, i in zip(arrays.beside.boxes.corners, np.unique(ids)[1:], strict=True):
                    y, x = np.nonzero(ids == i)
                    assert corners.tolist() == [y.min(), x.min(), y.max() + 1, x.max() + 1]


@pytest.mark.parametrize("splits", [None, {"train": 8, "val": 4, "test": 4}])
def test_a_folder_per_class(tmp_path: Path, splits: dict[str, int] | None) -> None:
    root = write_classes(tmp_path / "data", splits)
    assert find_problems(root) == ([], splits or {"train": 8})
    dataset = open_dataset(root)
    assert dataset.labels.names == ("dark", "light")
    assert dataset.kinds == {"categories"}
    assert dataset.given_splits == set(splits or ())
    for case in dataset.cases:
        assert case.category is not None
        assert dataset.labels.names[case.category] == case.id.split("/")[0]


def test_class_folders_or_pairs(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        for i in range(2):
            save(tmp_path / name / f"{i}.png", np.full((8, 8), 10 * i, np.uint8))
    with pytest.raises(
        DataError, match=r"classes, or images and their masks(.|\n)*--masks DIR(.|\n)*dataset\.json"
    ):
        open_dataset(tmp_path)
    entries = [{"id": i, "name": name} for i, name in enumerate(("cats", "dogs"))]
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": entries}))
    assert [case.category for case in open_dataset(tmp_path).cases] == [0, 0, 1, 1]


@pytest.mark.parametrize("truth", ["GT", "ST"])
def test_ids_are_identities_over_time(tmp_path: Path, truth: str) -> None:
    root = write_tracking(tmp_path / "data", truth=truth)
    assert find_problems(root) == ([], {"train": 8})
    dataset = open_dataset(root)
    assert [(case.id, case.sequence.name, case.sequence.axis) for case in dataset.cases[:5]] == [
        *((f"01/t{frame:03d}", "01", "T") for frame in range(4)),
        ("02/t000", "02", "T"),
    ]
    for frame, case in enumerate(dataset.cases[:4]):
        objects = load_case(case, dataset.labels).objects
        assert objects is not None
        assert objects[10:20, 5 + 3 * frame : 15 + 3 * frame].min() == 1  # whole, not only where it is marked
        assert set(np.unique(objects)) == ({0, 1, 2, 3} if frame >= 2 else {0, 1, 2})


def test_frames_that_nobody_segmented(tmp_path: Path) -> None:
    root = write_tracking(tmp_path / "data", segmented=2)
    problems, _ = find_problems(root)
    assert [problem.code for problem in problems] == ["frames-unsegmented"] * 2
    assert [bool(case.kinds) for case in open_dataset(root).cases[:4]] == [True, True, False, False]
    only_marks = write_tracking(tmp_path / "marks", segmented=0)
    problems, _ = find_problems(only_marks)
    assert {problem.code for problem in problems} == {"marks-only"}


def test_a_folder_that_fits_nothing_lists_what_would(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    for layout in (
        "images/ with masks/",
        "Pascal VOC",
        "COCO",
        "Cell Tracking",
        "nnU-Net",
        "folder per class",
    ):
        assert layout in str(caught.value)


def test_a_folder_that_fits_two_layouts_is_refused(tmp_path: Path) -> None:
    write_voc(tmp_path)
    write_coco_layout(tmp_path)
    with pytest.raises(DataError, match=r"several layouts(.|\n)*Pascal VOC(.|\n)*COCO"):
        open_dataset(tmp_path)
    root = write_coco_layout(tmp_path / "other")
    save(root / "masks" / "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"several layouts"):
        open_dataset(root)
