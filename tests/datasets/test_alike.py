"""Classes whose names are written differently and probably mean one are told of, in every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.contracts.findings import Findings
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.alike import tell_alike
from reunet.datasets.problems import examine_dataset

from .layout_folders import save

SIZE, NAMES = (40, 60), ("a", "b", "c")
CLASSES = ("Red cell", "red  cell", "dog")


def pictures(root: Path, folders: tuple[str, ...] = ("images",) * 3) -> Path:
    for i, (name, folder) in enumerate(zip(NAMES, folders, strict=True)):
        pixels = np.random.default_rng(i).integers(0, 255, SIZE).astype(np.uint8)
        save(root / folder / f"{name}.png", pixels)
    return root


def each(root: Path, suffix: str, told: Callable[[str], Any]) -> None:
    for name, label in zip(NAMES, CLASSES, strict=True):
        content = told(label)
        text = content if isinstance(content, str) else json.dumps(content)
        (root / "images" / f"{name}{suffix}").write_text(text)


def folders(root: Path) -> None:
    pictures(root, CLASSES)


def table(root: Path) -> None:
    rows = [f"{name}.png,{label}" for name, label in zip(NAMES, CLASSES, strict=True)]
    (pictures(root) / "labels.csv").write_text("\n".join(["file,label", *rows]))


def coco(root: Path) -> None:
    sides = {"height": SIZE[0], "width": SIZE[1]}
    data = {
        "images": [{"id": i, "file_name": f"{name}.png", **sides} for i, name in enumerate(NAMES)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES)],
        "annotations": [{"id": i, "image_id": i, "category_id": i, "bbox": [5, 5, 9, 9]} for i in range(3)],
    }
    (pictures(root) / "boxes.json").write_text(json.dumps(data))


def voc(root: Path) -> None:
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    thing = f"<annotation><object><name>{{}}</name>{box}</object></annotation>"
    each(pictures(root), ".xml", thing.format)


def labelme(root: Path) -> None:
    points = [[5, 5], [20, 5], [20, 20]]
    each(pictures(root), ".json", lambda label: {"shapes": [{"label": label, "points": points}]})


def qupath(root: Path) -> None:
    ring = [[5, 5], [20, 5], [20, 20], [5, 5]]
    geometry = {"type": "Polygon", "coordinates": [ring]}

    def told(label: str) -> Any:
        properties = {"classification": {"name": label}}
        return {"type": "Feature", "geometry": geometry, "properties": properties}

    each(pictures(root), ".geojson", told)


def cvat(root: Path) -> None:
    box = '<box label="{}" xtl="5" ytl="5" xbr="9" ybr="9"/>'
    entry = f'<image name="{{}}.png" width="60" height="40">{box}</image>'
    told = "".join(entry.format(*pair) for pair in zip(NAMES, CLASSES, strict=True))
    (pictures(root) / "annotations.xml").write_text(f"<annotations>{told}</annotations>")


def studio(root: Path) -> None:
    place = {"x": 10, "y": 20, "width": 30, "height": 40}

    def task(name: str, label: str) -> Any:
        result = {"id": "r", "type": "rectanglelabels", "value": place | {"rectanglelabels": [label]}}
        return {"data": {"image": f"{name}.png"}, "annotations": [{"completed_by": 1, "result": [result]}]}

    tasks = [task(*pair) for pair in zip(NAMES, CLASSES, strict=True)]
    (pictures(root) / "export.json").write_text(json.dumps(tasks))


def via(root: Path) -> None:
    shape = {"name": "rect", "x": 5, "y": 5, "width": 9, "height": 9}
    told = {
        name: {"filename": f"{name}.png", "size": -1,
               "regions": [{"shape_attributes": shape, "region_attributes": {"class": label}}]}
        for name, label in zip(NAMES, CLASSES, strict=True)
    }  # fmt: skip
    (pictures(root) / "via.json").write_text(json.dumps(told))


def supervisely(root: Path) -> None:
    points = {"exterior": [[5, 5], [20, 20]], "interior": []}
    pictures(root, ("img",) * 3)
    (root / "ann").mkdir()
    for name, label in zip(NAMES, CLASSES, strict=True):
        thing = {"classTitle": label, "geometryType": "rectangle", "points": points}
        told = {"size": {"height": SIZE[0], "width": SIZE[1]}, "objects": [thing]}
        (root / "ann" / f"{name}.png.json").write_text(json.dumps(told))


def yolo(root: Path) -> None:
    (pictures(root) / "labels").mkdir()
    (root / "data.yaml").write_text(json.dumps({"names": list(CLASSES)}))
    for i, name in enumerate(NAMES):
        (root / "labels" / f"{name}.txt").write_text(f"{i} .5 .5 .2 .2\n")


def masks(root: Path) -> None:
    pictures(root)
    for i, name in enumerate(NAMES):
        mask = np.zeros(SIZE, np.uint8)
        mask[5:20, 5:20] = i + 1
        save(root / "masks" / f"{name}.png", mask)
    entries = [{"id": i, "name": name} for i, name in enumerate(("background", *CLASSES))]
    (root / "dataset.json").write_text(json.dumps({"classes": entries}))


def found(root: Path, code: str) -> list[Problem]:
    return [one for one in examine_dataset(root, DataOptions())[-1] if one.code == code]


FORMATS = (
    folders, table, coco, voc, labelme, qupath, cvat, studio, via, supervisely, yolo, masks,
)  # fmt: skip


@pytest.mark.parametrize("write", FORMATS, ids=lambda one: str(one.__name__))
def test_every_format_that_names_classes(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    (problem,) = found(tmp_path, "class-alike")
    assert problem.severity == "warning"
    assert problem.fix
    for name, image in zip(CLASSES[:2], NAMES, strict=False):
        assert f"'{name}' (1 image(s), such as " in problem.received
        assert f"{image}.png" in problem.received
    assert "dog" not in problem.received


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (("Cat", "cat", "cat "), 1), (("1", "1.0", "01", "\uff11"), 1),
        (("red_cell", "Red cell", "redcell"), 1),
        (("a", "A", "b", "B"), 2), (("1", "-1", "+", "-", "10", "1 0", "1_0"), 0),
        (("CD4", "CD4-", "CD8"), 0),
        (("grade 1", "grade 11", "grade 1 1"), 0), (("x1", "x01"), 0), (("1e1", "10", "nan", "inf"), 0),
        (("12345678901234567890", "12345678901234567891"), 0),
    ],
)  # fmt: skip
def test_which_names_are_alike(tmp_path: Path, names: tuple[str, ...], groups: int) -> None:
    problems = Findings(tmp_path)
    tell_alike(names, {}, problems)
    assert len(problems) == groups
    assert groups != 1 or problems[0].received.count("'") == 2 * len(names)


@pytest.mark.parametrize("split", ["val", ""])
def test_copies_of_an_image_in_other_classes(tmp_path: Path, split: str) -> None:
    pictures(tmp_path / "train", ("cat", "cat", "dog"))
    pictures(tmp_path / "val", ("cat", "dog", "dog"))
    for number, file in enumerate(sorted((tmp_path / "val").rglob("*.png"))):
        save(file, np.random.default_rng(9 + number).integers(0, 255, SIZE).astype(np.uint8))
    copy = tmp_path / (split or "train") / "dog" / "copy.png"
    copy.write_bytes((tmp_path / "train" / "cat" / "a.png").read_bytes())
    code = "identical-image" if split else "duplicate-image"
    (problem,) = found(tmp_path, code)
    assert "their classes differ: cat, dog" in problem.received
    copy.rename(copy.parent.parent / "cat" / "copy.png")
    (problem,) = found(tmp_path, code)
    assert "classes" not in problem.received
