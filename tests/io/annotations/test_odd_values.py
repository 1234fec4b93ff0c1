"""Values of annotation files that mean nothing, or something of their own: never taken for background."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.findings import Findings
from reunet.contracts.options.records import DataOptions
from reunet.datasets.problems import examine_dataset
from reunet.errors import LabelError
from reunet.io.annotations import geojson, voc
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import angle_of
from reunet.io.annotations.geojson import read_geojson
from reunet.io.annotations.pictures import Pictures
from reunet.io.annotations.sheet import Sheet, together
from reunet.io.annotations.tools import cvat, label_studio, via
from reunet.io.images import without_suffix

SIZE = (10, 20)
NO_ANGLES = ["nan", "inf", "1e308", "1e7", "x"]


def read(tmp_path: Path, room: Any, file: str, text: str) -> tuple[dict[Any, Any], Findings]:
    Image.new("L", SIZE[::-1]).save(tmp_path / "a.png")
    (tmp_path / file).write_text(text)
    problems = Findings(tmp_path)
    found = room.read([tmp_path / file], Pictures([("a", tmp_path / "a.png")]), problems)
    return together(found, problems, None)[1], problems


def in_cvat(angle: str, kind: str) -> str:
    places = {"box": 'xtl="2" ytl="1" xbr="8" ybr="4"', "ellipse": 'cx="8" cy="5" rx="4" ry="2"'}[kind]
    shape = f'<{kind} label="cell" {places} rotation="{angle}"/>'
    return f'<annotations><image name="a.png" width="20" height="10">{shape}</image></annotations>'


def in_via(angle: str) -> str:
    told = {"name": "ellipse", "cx": 8, "cy": 5, "rx": 4, "ry": 2, "theta": angle}
    return json.dumps({"a": {"filename": "a.png", "regions": [{"shape_attributes": told}]}})


def in_label_studio(angle: str) -> str:
    value = {"rectanglelabels": ["cell"], "x": 10, "y": 10, "width": 40, "height": 30, "rotation": angle}
    result = {"type": "rectanglelabels", "value": value, "original_width": 20, "original_height": 10}
    return json.dumps([{"data": {"image": "a.png"}, "annotations": [{"result": [result]}]}])


@pytest.mark.parametrize("angle", NO_ANGLES)
@pytest.mark.parametrize(
    ("room", "file", "write"),
    [
        (cvat, "a.xml", lambda angle: in_cvat(angle, "box")),
        (cvat, "a.xml", lambda angle: in_cvat(angle, "ellipse")),
        (via, "a.json", in_via),
        (label_studio, "a.json", in_label_studio),
    ],
)
def test_an_angle_that_is_none_is_an_error(
    tmp_path: Path, room: Any, file: str, write: Callable[[str], str], angle: str
) -> None:
    _, problems = read(tmp_path, room, file, write(angle))
    (problem,) = problems
    assert (problem.severity, problem.code) == ("error", "annotation")
    assert "angle" in problem.message


@pytest.mark.parametrize(
    ("told", "unit", "degrees"),
    [
        (None, 1, 0),
        ("", 1, 0),
        ("0", 1, 0),
        (-90, 1, -90),
        ("450.5", 1, 450.5),
        (math.pi, 180 / math.pi, 180),
    ],
)
def test_angles(told: Any, unit: float, degrees: float) -> None:
    assert angle_of(told, unit) == pytest.approx(degrees)


@pytest.mark.parametrize("told", [[], {}, 10**400, float("nan"), "1e6x"])
def test_no_angles(told: Any) -> None:
    with pytest.raises(LabelError, match="angle"):
        angle_of(told)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_points_that_are_not_finite_are_an_error(tmp_path: Path, number: float) -> None:
    problems = Findings(tmp_path)
    sheet = Sheet(tmp_path / "a.txt", tmp_path / "a.png", SIZE, problems)
    sheet.add("a box", "cell", (1.0, 2.0, number, 5.0))
    sheet.add("a shape", "cell", Shape.of(np.array([[1, 1], [number, 1], [4, 4]])))
    assert not sheet.entries
    assert [(one.severity, one.code) for one in problems] == [("error", "annotation")] * 2


VOC = (
    "<annotation><filename>{0}</filename><object><name>c</name>{1}<bndbox><xmin>2</xmin><ymin>2</ymin>"
    "<xmax>5</xmax><ymax>4</ymax></bndbox></object></annotation>"
)


@pytest.mark.parametrize(
    ("text", "is_unknown"),
    [("", False), ("<difficult/>", False), ("<difficult> 0 </difficult>", False),
     ("<difficult>False</difficult>", False), ("<difficult>1</difficult>", True),
     ("<difficult>True</difficult>", True)],
)  # fmt: skip
def test_what_is_difficult(tmp_path: Path, text: str, is_unknown: bool) -> None:
    images, problems = read(tmp_path, voc, "a.xml", VOC.format("a.png", text))
    (image,) = images.values()
    assert not problems
    assert (len(image.unknown), len(image.boxes)) == (is_unknown, not is_unknown)


@pytest.mark.parametrize("text", ["2", "yes", "-1", "0.5"])
def test_what_is_neither_difficult_nor_not_is_an_error(tmp_path: Path, text: str) -> None:
    _, problems = read(tmp_path, voc, "a.xml", VOC.format("a.png", f"<difficult>{text}</difficult>"))
    assert [(one.severity, one.code, one.received) for one in problems] == [("error", "annotation", text)]


def test_a_file_of_nested_tags_is_no_voc(tmp_path: Path) -> None:
    deep = f"<annotation>{'<a>' * 100_000}{'</a>' * 100_000}</annotation>"
    images, problems = read(tmp_path, voc, "a.xml", deep)
    assert not images
    assert [(one.severity, one.code, one.file) for one in problems] == [
        ("error", "annotations-unreadable", "a.xml")
    ]


def feature(name: str, left: int) -> dict[str, Any]:
    ring = [[left, 1], [left + 4, 1], [left + 4, 5], [left, 5], [left, 1]]
    told = {"objectType": "annotation", "classification": {"name": name}}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": told}


@pytest.mark.parametrize("name", ["Ignore*", "Artefact*", "Tumor: Ignore*"])
def test_classes_that_qupath_leaves_out_are_unknown_areas(tmp_path: Path, name: str) -> None:
    told = json.dumps({"type": "FeatureCollection", "features": [feature("Tumor", 1), feature(name, 10)]})
    images, problems = read(tmp_path, geojson, "a.geojson", told)
    (image,) = images.values()
    assert not problems
    assert len(image.boxes) == 1
    found = image.objects()
    expected = np.ones(SIZE, bool)
    expected[1:5, 10:14] = False
    np.testing.assert_array_equal(found.known, expected)
    assert found.ids[1:5, 1:5].all()
    mended = read_geojson(tmp_path / "a.geojson", SIZE, {"Tumor": 1}, problems)
    assert not problems
    np.testing.assert_array_equal(mended.known, expected)
    assert mended.ids.max() == 1
    own = read_geojson(tmp_path / "a.geojson", SIZE, {"Tumor": 1, name: 2}, problems)
    assert not problems
    assert (own.ids.max(), own.known) == (2, None)


@pytest.mark.parametrize("name", [".", "/", "./", "..", "a/."])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    """Of an image, in Pascal VOC, in LabelMe and in a list of a split."""
    assert without_suffix(Path(name)).parts == Path(name).parts
    shape = {"label": "cell", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    label_me = {"shapes": [shape], "imagePath": name, "imageHeight": 10, "imageWidth": 20, "version": "5"}
    files = {
        "voc": {"annotations/a.xml": VOC.format(name, "")},
        "labelme": {"images/a.json": json.dumps(label_me)},
        "yolo": {
            "labels/a.txt": "0 .5 .5 .4 .4\n",
            "data.yaml": "names: [cell]\n",
            "train.txt": f"{name}\na\n",
        },
    }
    for kind, texts in files.items():
        for stem, grey in (("a", 1), ("b", 2)):
            (tmp_path / kind / "images").mkdir(parents=True, exist_ok=True)
            Image.new("L", SIZE[::-1], grey).save(tmp_path / kind / "images" / f"{stem}.png")
        for file, text in texts.items():
            (tmp_path / kind / file).parent.mkdir(exist_ok=True)
            (tmp_path / kind / file).write_text(text)
        found = examine_dataset(tmp_path / kind, DataOptions())[1]
        assert found[0].case.image.name == "a.png"
