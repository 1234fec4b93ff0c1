"""Objects for other programs: QuPath, ImageJ, tables."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile

from reunet.contracts.labels import LabelMap, default_classes
from reunet.io.annotations.geojson import object_features, write_features
from reunet.io.annotations.imagej import write_rois
from reunet.io.annotations.polygons import fill_rings
from reunet.io.annotations.table import write_table

LABELS = LabelMap(classes=default_classes([0, 1, 2], ["background", "cell", "nucleus ä"]))


def sample() -> np.ndarray:
    """A simple object, one with a hole, one of two parts, single pixels at the borders."""
    ids = np.zeros((30, 40), np.int32)
    ids[2:8, 3:9] = 1
    ids[10:20, 10:25], ids[12:15, 12:20] = 3, 0
    ids[22:25, 2:5] = ids[26:29, 8:12] = 4
    ids[0, 0], ids[29, 39] = 9, 12
    return ids


def painted(rings: list[np.ndarray], size: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(size, bool)
    where, inside = fill_rings([np.asarray(ring, float) for ring in rings], (size[0], size[1]))
    mask[where] = inside
    return mask


def test_geojson_tells_every_object(tmp_path: Path) -> None:
    ids, classes = sample(), np.zeros(13, np.uint8)
    classes[[1, 3, 4, 9, 12]] = 1, 2, 1, 1, 2
    write_features(tmp_path / "a.geojson", object_features(ids, LABELS, classes))
    data = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert data["type"] == "FeatureCollection"
    found = np.zeros_like(ids)
    for feature in data["features"]:
        geometry, properties = feature["geometry"], feature["properties"]
        parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        rings = [ring for part in parts for ring in part]
        assert all(ring[0] == ring[-1] for ring in rings)
        number = int(properties["name"])
        found[painted(rings, ids.shape)] = number
        entry = LABELS.classes[classes[number]]
        assert properties["classification"] == {"name": entry.name, "color": list(entry.color)}
        assert properties["objectType"] == "detection"
    np.testing.assert_array_equal(found, ids)


def test_rois_cover_the_objects(tmp_path: Path) -> None:
    ids = sample()
    write_rois(tmp_path / "a.zip", ids)
    found = np.zeros_like(ids)
    for roi in roifile.roiread(tmp_path / "a.zip"):
        coordinates = roi.coordinates(multi=True)
        found[painted([*coordinates], ids.shape)] = int(roi.name)
        rows, columns = np.nonzero(ids == int(roi.name))
        box = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        assert (roi.top, roi.left) == box[:2]
        if not roi.composite:
            assert roi.roitype == roifile.ROI_TYPE.POLYGON
    np.testing.assert_array_equal(found, ids)


def test_rois_of_a_stack_name_their_page(tmp_path: Path) -> None:
    write_rois(tmp_path / "a.zip", np.stack([sample(), np.zeros_like(sample()), sample()]))
    rois = roifile.roiread(tmp_path / "a.zip")
    assert {roi.position for roi in rois} == {1, 3}
    assert len({roi.name for roi in rois}) == len(rois) == 10


def test_rois_far_out_in_a_large_image(tmp_path: Path) -> None:
    ids = np.zeros((2, 60_000), np.int32)
    ids[0, 40_000:59_000] = 1
    write_rois(tmp_path / "a.zip", ids)
    (roi,) = roifile.roiread(tmp_path / "a.zip")
    assert {tuple(point) for point in roi.coordinates().tolist()} >= {(40_000, 0), (59_000, 1)}


def test_nothing_found_is_a_file_too(tmp_path: Path) -> None:
    nothing = np.zeros((5, 5), np.int32)
    write_rois(tmp_path / "a.zip", nothing)
    write_features(tmp_path / "a.geojson", object_features(nothing, LABELS))
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == []
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []


def test_tables_leave_the_undefined_empty(tmp_path: Path) -> None:
    columns = {
        "image": np.array(["a, b.png", "ä"]),
        "id": np.array([1, 2], np.int32),
        "score": np.array([0.1, np.nan], np.float32),
        "area": np.array([123456.0, 1e-9]),
    }
    write_table(tmp_path / "objects.csv", columns)
    with open(tmp_path / "objects.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"image": "a, b.png", "id": "1", "score": "0.1", "area": "123456"},
        {"image": "ä", "id": "2", "score": "", "area": "1e-09"},
    ]
    with pytest.raises(ValueError, match="zip"):
        write_table(tmp_path / "other.csv", {"a": np.zeros(2), "b": np.zeros(3)})
    assert not (tmp_path / "other.csv").exists()
