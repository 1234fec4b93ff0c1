"""Photographs that their orientation tag turns, and what was drawn on them turned or not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.problems import examine_dataset
from reunet.datasets.scan import open_dataset
from reunet.errors import DataError

NAMES = ("a", "b")
STORED = (40, 60)
SQUARE = (40, 40)


def save(path: Path, pixels: np.ndarray, orientation: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if orientation > 1:
        image.getexif()[0x0112] = orientation
    image.save(path, exif=image.getexif())


def photos(root: Path, size: tuple[int, int], orientation: int = 6) -> None:
    for i, name in enumerate(NAMES):
        pixels = np.random.default_rng(i).integers(0, 255, size).astype(np.uint8)
        save(root / "images" / f"{name}.png", pixels, orientation)


def masks(folder: Path, size: tuple[int, int], orientation: int = 1) -> None:
    mask = np.zeros(size, np.uint8)
    mask[5:20, 5:30] = 1
    for name in NAMES:
        save(folder / f"{name}.png", mask, orientation)


def problems(root: Path) -> list[Problem]:
    found = examine_dataset(root, DataOptions())[-1]
    assert all(one.fix for one in found)
    return [one for one in found if one.code in ("shape-mismatch", "image-turned")]


IMAGE = "the image is turned by its orientation tag (EXIF), and the {} fits it unturned"
MASK = "the mask is turned by its orientation tag (EXIF), and fits the image unturned"


@pytest.mark.parametrize(
    ("image", "mask", "size", "severity", "message"),
    [
        (6, 1, STORED, "error", IMAGE.format("mask")),
        (1, 8, STORED, "error", MASK),
        (6, 1, (41, 60), "error", "mask and image have different sizes"),
        (6, 1, STORED[::-1], "", ""),  # drawn on the photograph as it is seen
        (6, 6, STORED, "", ""),  # both turned
        (1, 1, STORED, "", ""),
        (3, 1, STORED, "warning", "fit with and without it"),  # the size says nothing
        (1, 3, STORED, "warning", "fit with and without it"),
    ],
)  # fmt: skip
def test_masks(
    image: int, mask: int, size: tuple[int, int], severity: str, message: str, tmp_path: Path
) -> None:
    photos(tmp_path, STORED, image)
    masks(tmp_path / "masks", size, mask)
    found = problems(tmp_path)
    assert [one.severity for one in found] == [severity] * {"error": 2, "warning": 1}.get(severity, 0)
    assert all(message in one.message for one in found)
    if "turned" in message and severity == "error":
        assert all("take the tag out of the" in one.fix for one in found)


@pytest.mark.parametrize("folder", ["masks", "instances"])
def test_square_photographs_are_told_once(folder: str, tmp_path: Path) -> None:
    photos(tmp_path, SQUARE)
    masks(tmp_path / folder, SQUARE)
    (problem,) = problems(tmp_path)
    assert (problem.severity, problem.code, problem.file) == ("warning", "image-turned", "images/a.png")
    assert problem.message.startswith("2 image(s)")
    masks(tmp_path / folder, SQUARE, 6)
    assert problems(tmp_path) == []


def test_photographs_of_other_sides_show_how_all_were_drawn(tmp_path: Path) -> None:
    photos(tmp_path, SQUARE)
    masks(tmp_path / "masks", SQUARE)
    save(tmp_path / "images" / "c.png", np.arange(2400, dtype=np.uint8).reshape(STORED), 6)
    save(tmp_path / "masks" / "c.png", np.ones(STORED[::-1], np.uint8), 1)
    assert problems(tmp_path) == []


@pytest.mark.parametrize("folder", ["fov", "instances"])
def test_other_label_images(folder: str, tmp_path: Path) -> None:
    photos(tmp_path, STORED)
    masks(tmp_path / "masks", STORED[::-1])
    masks(tmp_path / folder, STORED)
    found = problems(tmp_path)
    assert [one.code for one in found] == ["shape-mismatch"] * 2
    assert all("the image is turned by its orientation tag" in one.message for one in found)


def annotate(root: Path, tool: str, size: tuple[int, int] | None, top: int = 5) -> None:
    """A square of 9 pixels in each image, 5 from its left, of which the file states that size."""
    sides = {} if size is None else dict(zip(("height", "width"), size, strict=True))
    if tool == "coco":
        images = [{"id": i, "file_name": f"{name}.png", **sides} for i, name in enumerate(NAMES)]
        boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [5, top, 9, 9]} for i in range(2)]
        data = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "x"}]}
        (root / "boxes.json").write_text(json.dumps(data))
    for name in NAMES:
        if tool == "voc":
            told = "".join(f"<{side}>{length}</{side}>" for side, length in sides.items())
            places = {"xmin": 6, "ymin": top + 1, "xmax": 14, "ymax": top + 9}
            box = "".join(f"<{side}>{place}</{side}>" for side, place in places.items())
            named = f"<object><name>x</name><bndbox>{box}</bndbox></object>"
            (root / "annotations").mkdir(exist_ok=True)
            (root / "annotations" / f"{name}.xml").write_text(
                f"<annotation><size>{told}</size>{named}</annotation>"
            )
        if tool == "labelme":
            shape = {"label": "x", "shape_type": "rectangle", "points": [[5, top], [14, top + 9]]}
            stated = {f"image{side.capitalize()}": length for side, length in sides.items()}
            (root / "images" / f"{name}.json").write_text(json.dumps({"shapes": [shape], **stated}))


@pytest.mark.parametrize("tool", ["coco", "voc", "labelme"])
def test_annotations_that_state_a_size(tool: str, tmp_path: Path) -> None:
    photos(tmp_path, STORED)
    annotate(tmp_path, tool, STORED)
    found = problems(tmp_path)
    assert [one.severity for one in found] == ["error"] * 2
    assert {one.message for one in found} == {IMAGE.format("annotation")}
    assert {(one.expected, one.received) for one in found} == {
        ("60 x 40 (height x width) as the image", "40 x 60")
    }


@pytest.mark.parametrize("tool", ["coco", "voc", "labelme"])
def test_annotations_that_state_none(tool: str, tmp_path: Path) -> None:
    photos(tmp_path, STORED)
    annotate(tmp_path, tool, None)
    (problem,) = problems(tmp_path)
    assert (problem.severity, problem.code) == ("warning", "image-turned")
    annotate(tmp_path, tool, None, top=45)  # as it is stored, the image ends above
    assert problems(tmp_path) == []


def test_training_says_so_too(tmp_path: Path) -> None:
    from reunet.datasets.case_arrays import load_case

    photos(tmp_path, STORED)
    annotate(tmp_path, "coco", STORED)
    dataset = open_dataset(tmp_path)
    with pytest.raises(DataError, match="turned by its orientation tag"):
        load_case(dataset.cases[0], dataset.labels)
