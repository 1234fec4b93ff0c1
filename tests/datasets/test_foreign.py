"""What is not read is counted and named with what to do about it; COCO is known by its content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.contracts.options.records import DataOptions
from reunet.datasets.scan import open_dataset, scan_dataset
from reunet.errors import DataError
from reunet.io.listing import list_files

from .examined import find_problems
from .layout_folders import coco, save
from .test_told_apart import mask, pairs, photo

EXPORTS: dict[str, tuple[dict[str, Any], str]] = {
    "VIA": ({"via.csv": "filename,region_shape_attributes\n"}, "JSON"),
    "Datumaro": ({"default.json": {"dm_format_version": "1.0"}}, "COCO"),
    "Labelbox": ({"export.ndjson": {"data_row": {}}}, "COCO"),
    "table of boxes": ({"boxes.csv": "filename,xmin,ymin,xmax,ymax\n"}, "COCO"),
    "table of run lengths": ({"train.csv": "ImageId,EncodedPixels\n"}, "mask"),
}


def write(root: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (root / name).write_text(text, encoding="latin-1")


@pytest.mark.parametrize("tool", EXPORTS)
def test_an_export_is_named_with_the_one_that_works(tmp_path: Path, tool: str) -> None:
    files, way = EXPORTS[tool]
    photo(tmp_path / "images" / "0.png")
    write(tmp_path, files)
    with pytest.raises(DataError, match="that is not read") as caught:
        open_dataset(tmp_path)
    assert tool in caught.value.what
    assert way in str(caught.value.fix)
    assert next(iter(files)) in str(caught.value.received)


@pytest.mark.parametrize(
    ("name", "kind", "way"),
    [
        ("a.zvi", "Zeiss", "OME-TIFF"), ("a.oir", "Olympus", "OME-TIFF"), ("a.lof", "Leica", "OME-TIFF"),
        ("a.mrxs", "whole slide", "vips"), ("IM001", "DICOM", ".dcm"),
        ("a.tfrecord", "TFRecord", "PNG"), ("a.parquet", "packed", "PNG"), ("a.mat", "MATLAB", "imwrite"),
        ("a.nrrd", "volume", ".nii.gz"), ("a.heic", "phone", "JPEG"), ("a.zip", "archive", "unpack"),
        ("a.jpe", "JPEG", ".jpg"), ("a.mp4", "video", "frames"), ("a.npy", "arrays", "tifffile"),
    ],
)  # fmt: skip
def test_a_folder_without_a_file_that_is_read(tmp_path: Path, name: str, kind: str, way: str) -> None:
    for images in (tmp_path / "a", tmp_path / "b" / "images"):
        write(images, {name: "\0" * 128 + "DICM" if name == "IM001" else "x"})
    mask(tmp_path / "b" / "masks" / "a.png")
    for root in (tmp_path / "a", tmp_path / "b"):
        with pytest.raises(DataError) as caught:
            open_dataset(root)
        assert kind in str(caught.value)
        assert way in str(caught.value.fix)


def test_files_that_are_left_out_are_counted_and_named(tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "masks")
    write(
        tmp_path,
        {"images/a.heic": "", "images/b.heic": "", "images/p/c": "", "masks/d.psd": "", "masks/e.xyz": ""},
    )
    write(
        tmp_path,
        {"images/Thumbs.db": "", "images/.x.heic": "", "images/README.txt": "", "images/__MACOSX/a.xyz": ""},
    )
    problems, counts = find_problems(tmp_path)
    assert counts == {"train": 4}
    assert {(one.severity, one.code, one.file) for one in problems} == {
        ("warning", "files-left-out", "images"),
        ("warning", "files-left-out", "masks"),
    }
    assert problems[0].message.startswith("3 file(s)")
    for text in ("2 .heic", "a.heic, b.heic", "1 without suffix: p/c"):
        assert text in problems[0].received
    assert "psd: save it as PNG" in problems[1].fix


def test_class_folders_tell_what_is_left_out(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for i in range(3):
            photo(tmp_path / "train" / name / f"{name}{i}.png")
        write(tmp_path, {f"train/{name}/x.heif": "", f"train/{name}/desktop.ini": ""})
    (problem,), counts = find_problems(tmp_path)
    assert counts == {"train": 6}
    assert (problem.code, problem.received) == (
        "files-left-out",
        "2 .heif, a photo of a phone or browser: cat/x.heif, dog/x.heif",
    )


def test_a_link_to_a_folder_is_not_followed_but_told(tmp_path: Path) -> None:
    photo(tmp_path / "elsewhere" / "a.png")
    photo(tmp_path / "images" / "b.png")
    (tmp_path / "images" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "images" / "gone.png").symlink_to(tmp_path / "nothing.png")
    images = tmp_path / "images"
    assert list_files(images) == ([images / "b.png"], [images / "gone.png", images / "more"])


def about(prefix: str, first: str = "images") -> str:
    """COCO about the four photos, its tables in either order."""
    ids = np.zeros((24, 32), np.int32)
    ids[4:10, 5:20] = 1
    told = coco([(f"{prefix}{i}.png", ids) for i in range(4)])
    return json.dumps({name: told[name] for name in sorted(told, key=lambda name: name != first)})


COCO = {
    "CVAT": ("images/", {"annotations/instances_default.json": ""}),
    "CVAT subsets": ("images/train/", {"annotations/instances_train.json": ""}),
    "Label Studio": ("images/", {"result.json": "images/"}),
    "FiftyOne": ("data/", {"labels.json": ""}),
    "any name": ("pictures/", {"labels/export (3).json": "pictures/"}),
    "beside": ("", {"my annotations.json": ""}),
    "by split": ("images/train/", {"train.json": "", "captions.json": "other"}),
    "in the folder": ("train/", {"annotations/train.json": "train/"}),
}


@pytest.mark.parametrize("first", ["images", "annotations"])
@pytest.mark.parametrize("name", COCO)
def test_coco_by_its_content(tmp_path: Path, name: str, first: str) -> None:
    folder, files = COCO[name]
    for i in range(4):
        photo(tmp_path / folder / f"{i}.png")
    write(tmp_path, {file: about(prefix, first) for file, prefix in files.items() if prefix != "other"})
    write(
        tmp_path, {file: {"info": {}, "captions": []} for file, prefix in files.items() if prefix == "other"}
    )
    problems, counts = find_problems(tmp_path)
    assert [one for one in problems if one.severity == "error"] == []
    assert counts == {"train": 4}
    assert open_dataset(tmp_path).kinds == {"boxes", "instances"}


def test_annotations_without_images_are_no_masks(tmp_path: Path) -> None:
    pairs(tmp_path / "images", tmp_path / "segmentations")
    write(tmp_path, {"annotations/notes.csv": "a,b", "labels/0.bin": "x"})
    assert scan_dataset(tmp_path, DataOptions()).layout == "images/ with segmentations/"


def test_two_coco_files_of_one_split(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "0.png")
    write(tmp_path, {"annotations/a.json": about(""), "annotations/b.json": about("")})
    with pytest.raises(DataError, match=r"two files are about this split(.|\n)*a\.json, b\.json"):
        open_dataset(tmp_path)
    save(tmp_path / "masks" / "0.png", np.zeros((24, 32), np.uint8))
    (tmp_path / "annotations/b.json").unlink()
    with pytest.raises(DataError, match="several layouts"):
        open_dataset(tmp_path)
