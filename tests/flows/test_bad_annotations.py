"""What is wrong with annotations is listed by `reunet check`, each with its file and what to do."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from reunet.cli import main

from ..datasets.layout_folders import (
    save,
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
Change = Callable[[Path], object]


def edit(file: str, change: Callable[[str], str]) -> Change:
    """What rewrites a file of a dataset."""
    return lambda root: (root / file).write_text(change((root / file).read_text()))


def first(**fields: object) -> Change:
    """What changes the first annotation of the training set of COCO."""

    def change(text: str) -> str:
        data = json.loads(text)
        data["annotations"][0].update(fields)
        return json.dumps(data)

    return edit("annotations/instances_train2017.json", change)


def new_class(text: str) -> str:
    data = json.loads(text)
    data["categories"].append({"id": 2, "name": "dog"})
    data["annotations"][0].update(category_id=2)
    return json.dumps(data)


def no_annotations(text: str) -> str:
    data = json.loads(text)
    data["annotations"] = [one for one in data["annotations"] if one["image_id"] != 1]
    return json.dumps(data)


def remove(path: str) -> Change:
    def change(root: Path) -> None:
        if (root / path).is_dir():
            shutil.rmtree(root / path)
        else:
            (root / path).unlink()

    return change


def ids(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """What changes an image of object ids."""

    def write(root: Path) -> None:
        import tifffile

        tifffile.imwrite(root / path, change(tifffile.imread(root / path)))

    return write


def put(path: str, pixels: np.ndarray) -> Change:
    return lambda root: save(root / path, pixels)


def dogs(text: str) -> str:
    return text.replace(">cell<", ">dog<")


def classes(*names: str) -> Change:
    entries = [{"id": i, "name": name} for i, name in enumerate(names)]
    return lambda root: (root / "dataset.json").write_text(json.dumps({"classes": entries}))


TRAIN, TEST = (f"annotations/instances_{split}2017.json" for split in ("train", "test"))
SEG, MARKS, LINEAGE = (
    f"01_GT/{name}" for name in ("SEG/man_seg001.tif", "TRA/man_track001.tif", "TRA/man_track.txt")
)
SPLIT_CLASSES = partial(write_classes, splits={"train": 8, "test": 4})
EMPTY, SMALL = np.zeros((64, 64), np.uint8), np.eye(9, dtype=np.uint8)

BAD: list[tuple[Writer, Change, str, str]] = [
    (write_coco_layout, first(bbox=[200, 200, 9, 9]), "box-outside", TRAIN),
    (write_coco_layout, first(bbox=[5, 5, 0, 4], segmentation=[]), "box-empty", TRAIN),
    (write_coco_layout, first(segmentation=[[1, 1, 5, 5]]), "polygon-points", TRAIN),
    (write_coco_layout, first(segmentation={"size": [9, 9], "counts": [0, 81]}), "annotation", TRAIN),
    (write_coco_layout, edit(TEST, new_class), "unknown-class", TEST),
    (write_coco_layout, edit(TRAIN, no_annotations), "no-objects", "train"),
    (write_coco_layout, edit(TRAIN, lambda _: "{"), "annotations-unreadable", TRAIN),
    (write_coco_layout, classes("background", "nucleus"), "unknown-class", TRAIN),
    (write_roboflow, remove("train/train0.png"), "image-missing", "train/_annotations.coco.json"),
    (write_voc, remove("Annotations/train0.xml"), "image-not-listed", "JPEGImages/train0.png"),
    (write_voc, remove("JPEGImages/train0.png"), "image-missing", "JPEGImages"),
    (write_voc, edit("Annotations/test1.xml", dogs), "unknown-class", "Annotations/test1.xml"),
    (write_voc, edit("Annotations/test1.xml", lambda text: text[:40]), "annotations-unreadable", "test1.xml"),
    (write_voc_pairs, put("train/images/x.png", SMALL), "image-not-listed", "train/images/x.png"),
    (write_voc_pairs, remove("train/images/train0.png"), "image-missing", "train/annotations/train0.xml"),
    (write_stage1, remove("stage1_train/train0/masks"), "image-without-instances", "stage1_train/train0"),
    (write_stage1, remove("stage1_train/train0/images"), "one-image", "stage1_train/train0"),
    (write_stage1, put("stage1_train/train0/masks/z.png", EMPTY), "object-empty", "train0/masks/z.png"),
    (write_object_masks, remove("train/masks/train1"), "image-without-instances", "train/images/train1.png"),
    (write_object_masks, put("train/masks/train1/z.png", SMALL), "shape-mismatch", "train1/z.png"),
    (SPLIT_CLASSES, lambda root: (root / "test/dark").rename(root / "test/red"), "unknown-class", "test/red"),
    (SPLIT_CLASSES, remove("test/dark"), "class-absent", "test"),
    (write_classes, classes("dark", "bright"), "unknown-class", "light"),
    (write_tracking, ids(SEG, lambda x: x.astype(np.float32) / 2), "instances-unreadable", SEG),
    (write_tracking, ids(SEG, lambda x: x.astype(np.uint32) * 1_500_000_000), "instances-unreadable", SEG),
    (write_tracking, ids(SEG, lambda x: np.where(x == 3, 2, x)), "id-scattered", SEG),
    (
        write_tracking,
        ids(SEG, lambda x: np.arange(x.size).reshape(x.shape).astype(np.uint8)),
        "ids-full",
        SEG,
    ),
    (write_tracking, ids(SEG, lambda x: x[:9]), "shape-mismatch", SEG),
    (write_tracking, ids(MARKS, lambda x: np.where(x == 1, 0, x)), "object-untracked", SEG),
    (write_tracking, edit(LINEAGE, lambda text: text.replace("1 0 3", "1 0 2")), "track-frames", LINEAGE),
    (write_tracking, edit(LINEAGE, lambda text: text + "9 9\n"), "track-line", LINEAGE),
    (write_tracking, remove("01/t001.tif"), "frame-missing", "01"),
]


@pytest.mark.parametrize(("write", "spoil", "code", "file"), BAD)
def test_what_is_wrong_is_listed_with_file_and_fix(
    tmp_path: Path,
    write: Writer,
    spoil: Change,
    code: str,
    file: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = write(tmp_path / "data")
    spoil(root)
    listed = tmp_path / "list.csv"
    assert main(["check", str(root), "--fix-list", str(listed)]) in (0, 1)
    printed = capsys.readouterr()
    assert "layout: " in printed.out
    assert "unexpectedly" not in printed.err
    with open(listed, newline="", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["code"] == code]
    assert any(file in row["file"] for row in rows)
    assert all(row["fix"] for row in rows)
