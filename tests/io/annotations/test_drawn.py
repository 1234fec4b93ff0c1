"""What predict wrote as GeoJSON and ROIs, mended elsewhere and read back."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roifile

from reunet.contracts.findings import Findings
from reunet.contracts.labels import LabelMap, default_classes
from reunet.io.annotations.geojson import object_features, read_geojson, write_features
from reunet.io.annotations.imagej import read_rois, write_rois

CLASSES = {"a": 1, "b": 2}
LABELS = LabelMap(classes=default_classes([0, 1, 2], ["background", "a", "b"]))
SIZE = (40, 50)


def objects() -> np.ndarray:
    """Five objects: touching ones, one with a hole, one in two parts, one of a single pixel; ids with
    gaps.
    """
    ids = np.zeros(SIZE, np.int32)
    ids[2:10, 2:10], ids[2:10, 10:18] = 3, 7
    ids[15:30, 5:20], ids[19:25, 9:15] = 9, 0
    ids[33:36, 30:34], ids[33:36, 40:44] = 12, 12
    ids[0, 49] = 20
    return ids


def polygon(points: list[Any], name: str = "x", **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [points]}
    return {"type": "Feature", "geometry": geometry, "properties": {"name": name, **properties}}


SQUARE = [[1, 1], [5, 1], [5, 5], [1, 5], [1, 1]]


def read(tmp_path: Path, told: Any, classes: dict[str, int] | None = None) -> tuple[Any, Findings]:
    (path := tmp_path / "a.geojson").write_text(told if isinstance(told, str) else json.dumps(told))
    problems = Findings(tmp_path)
    return read_geojson(path, SIZE, classes or CLASSES, problems), problems


def test_geojson_comes_back_as_it_was(tmp_path: Path) -> None:
    ids, classes = objects(), np.zeros(21, np.uint8)
    classes[[3, 7, 9, 12, 20]] = [1, 2, 1, 2, 1]
    write_features(tmp_path / "a.geojson", object_features(ids, LABELS, classes))
    problems = Findings(tmp_path)
    found = read_geojson(tmp_path / "a.geojson", SIZE, CLASSES, problems)
    assert not problems
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_array_equal(found.classes, classes)


def test_what_qupath_writes_is_read(tmp_path: Path) -> None:
    drawn = polygon([[1, 1, 0], [5, 1, 0], [5, 5, 0], [1, 1, 0]], objectType="annotation", isLocked=True)
    drawn["properties"]["classification"] = {"name": "b", "color": [1, 2, 3]}
    told = [drawn, polygon(SQUARE, objectType="tile"), polygon(SQUARE, "Ann's", classification="a")]
    found, problems = read(tmp_path, told)
    assert not problems
    assert sorted(found.classes.tolist()) == [0, 1, 2]
    assert found.ids.max() == 2


def test_without_classification_an_object_is_of_the_only_class(tmp_path: Path) -> None:
    found, problems = read(tmp_path, {"type": "FeatureCollection", "features": [polygon(SQUARE)]}, {"a": 1})
    assert not problems
    assert found.classes.tolist() == [0, 1]
    assert int((found.ids == 1).sum()) == 16


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("{", "JSON"),
        ({"type": "Topology"}, "no GeoJSON of objects"),
        (
            [{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {}}],
            "no area",
        ),
        ([polygon(SQUARE, classification={"name": "c"})], "class is none of the dataset"),
        ([polygon([[100, 100], [110, 100], [110, 110]], classification="a")], "outside the image"),
        ([polygon([["1", 2], [3, 4], [5, 6]], classification="a")], "no list of numbers"),
        ([polygon([[1e30, 2], [3, 4], [5, 6]], classification="a")], "beyond any image"),
        ([polygon([], classification="a")], ""),
    ],
)
def test_what_is_wrong_with_geojson_is_told(tmp_path: Path, told: Any, message: str) -> None:
    _, problems = read(tmp_path, told)
    assert problems
    assert all(message in f"{one.message} {one.received}" or message == "" for one in problems)


def test_lines_and_other_pages_are_no_objects(tmp_path: Path) -> None:
    line, page = polygon(SQUARE, classification="a"), polygon(SQUARE, classification="a")
    line["geometry"] = {"type": "LineString", "coordinates": SQUARE}
    page["geometry"]["plane"] = {"c": -1, "z": 3, "t": 0}
    _, problems = read(tmp_path, [line, page])
    assert [one.message for one in problems] == [
        "feature 1: it is no area",
        "feature 2: it lies on another page",
    ]


def test_rois_come_back_as_they_were(tmp_path: Path) -> None:
    write_rois(tmp_path / "a.zip", objects())
    problems = Findings(tmp_path)
    (found,) = read_rois(tmp_path / "a.zip", SIZE, problems)
    assert not problems
    np.testing.assert_array_equal(found.ids, objects())


def test_rois_of_a_stack_come_back_page_by_page(tmp_path: Path) -> None:
    stack = np.stack([objects(), np.zeros(SIZE, np.int32), np.roll(objects(), 1, axis=0)])
    write_rois(tmp_path / "a.zip", stack)
    problems = Findings(tmp_path)
    found = read_rois(tmp_path / "a.zip", SIZE, problems, pages=3)
    assert not problems
    np.testing.assert_array_equal(np.stack([one.ids for one in found]), stack)


def roi(kind: str, **values: Any) -> bytes:
    made = roifile.ImagejRoi(roitype=roifile.ROI_TYPE[kind], **values)
    return bytes(made.tobytes())


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_rectangles_and_ovals_drawn_in_imagej_are_objects(tmp_path: Path) -> None:
    box = {"left": 10, "top": 4, "right": 20, "bottom": 12}
    path = zipped(tmp_path / "a.zip", {"r.roi": roi("RECT", **box)})
    problems = Findings(tmp_path)
    assert int((read_rois(path, SIZE, problems)[0].ids == 1).sum()) == 80
    (single := tmp_path / "o.roi").write_bytes(roi("OVAL", **box))
    area = int((read_rois(single, SIZE, problems)[0].ids == 1).sum())
    assert not problems
    assert abs(area - np.pi * 5 * 4) < 5


def test_what_is_wrong_with_rois_is_told(tmp_path: Path) -> None:
    line = roi("LINE", x1=1.0, y1=1.0, x2=9.0, y2=9.0)
    outside = roi("RECT", left=200, top=4, right=220, bottom=12)
    paths = {
        "it is no area": zipped(tmp_path / "line.zip", {"l.roi": line}),
        "outside": zipped(tmp_path / "far.zip", {"f.roi": outside}),
        "no ROIs": zipped(tmp_path / "none.zip", {"readme.txt": b"x"}),
        "not understood": zipped(tmp_path / "cut.zip", {"c.roi": line[:40]}),
    }
    buffer = io.BytesIO(line)
    (cut := tmp_path / "trash.roi").write_bytes(buffer.read(10))
    for message, path in [*paths.items(), ("not understood", cut)]:
        problems = Findings(tmp_path)
        read_rois(path, SIZE, problems)
        assert [message in one.message for one in problems] == [True], path
