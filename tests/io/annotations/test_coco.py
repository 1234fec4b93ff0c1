"""COCO JSON: what is written comes back, and whatever is wrong is listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from reunet.contracts.boxes import Boxes
from reunet.contracts.findings import Findings
from reunet.io.annotations.annotated_image import Annotations
from reunet.io.annotations.coco import read_coco
from reunet.io.annotations.coco_write import box_entries, object_entries, write_coco
from reunet.io.annotations.rle import compress_runs, outline_runs

from ...datasets.layout_folders import with_polygons

CATEGORIES = [(3, "red"), (9, "white")]


def sample() -> dict[str, Any]:
    return {
        "images": [{"id": 5, "file_name": "a.png", "height": 10, "width": 20}],
        "categories": [{"id": number, "name": name} for number, name in CATEGORIES],
        "annotations": [{"id": 1, "image_id": 5, "category_id": 9, "bbox": [2, 3, 4, 5]}],
    }


def read(path: Path, data: Any, **options: Any) -> tuple[Annotations, list[tuple[str, str]]]:
    """Annotations, and severity and code of each problem."""
    path = path / "boxes.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    problems = Findings(path.parent)
    found = read_coco(path, options.pop("folders", ()), problems, **options)
    return found, [(problem.severity, problem.code) for problem in problems]


def test_boxes_by_hand(tmp_path: Path) -> None:
    found, problems = read(tmp_path, sample())
    assert not problems
    assert found.classes == ("red", "white")
    (image,) = found.images
    assert (image.file, image.size) == ("a.png", (10, 20))
    assert image.boxes.corners.tolist() == [[3, 2, 8, 6]]
    assert image.boxes.classes.tolist() == [1]
    assert image.boxes.scores is None
    assert image.known() is None
    assert image.objects() is None


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    found, problems = read(tmp_path, sample(), classes=["white", "blue", "red"])
    assert not problems
    assert found.images[0].boxes.classes.tolist() == [0]
    _, problems = read(tmp_path, sample(), classes=["white"])
    assert not problems  # a category without objects does not matter
    found, problems = read(tmp_path, sample(), classes=["red"])
    assert problems == [("error", "unknown-class")]
    assert not len(found.images[0].boxes)


def test_more_classes_than_a_byte_counts_are_one_error(tmp_path: Path) -> None:
    categories = [{"id": i, "name": f"class {i}"} for i in range(300)]
    found, problems = read(tmp_path, {**sample(), "categories": categories})
    assert problems == [("error", "class-list")]
    assert not found.images


def test_segmentations_make_an_instance_map(tmp_path: Path) -> None:
    data = sample()
    ring, within = [0, 0, 6, 0, 6, 6, 0, 6], [2, 2, 4, 2, 4, 4, 2, 4]
    inner = {"size": [10, 20], "counts": [10 + 1, 1, 200 - 12]}  # row 1, column 1: on top of the first
    crowd = {"size": [10, 20], "counts": compress_runs([190, 10], (10, 20))}
    common = {"image_id": 5, "category_id": 3}
    data["annotations"] = [
        {**common, "id": 1, "bbox": [0, 0, 6, 6], "segmentation": [ring, within]},
        {**common, "id": 2, "category_id": 9, "segmentation": inner},
        {**common, "id": 3, "bbox": [0, 0, 20, 10], "segmentation": crowd, "iscrowd": 1},
        {**common, "id": 4, "bbox": [10, 8, 2, 2]},
    ]
    found, problems = read(tmp_path, data)
    assert not problems
    (image,) = found.images
    assert image.boxes.corners.tolist() == [[0, 0, 6, 6], [1, 1, 2, 2], [8, 10, 10, 12]]
    expected = np.zeros((10, 20), np.int32)
    expected[:6, :6], expected[1, 1] = 1, 2
    objects = image.objects()
    assert objects is not None
    np.testing.assert_array_equal(objects.ids, expected)
    assert objects.classes.tolist() == [0, 0, 1, 0]
    known = np.ones((10, 20), bool)
    known[:, 19] = False
    np.testing.assert_array_equal(image.known(), known)
    known[8:, 10:12] = False  # an object whose pixels are not told
    np.testing.assert_array_equal(objects.known, known)


@pytest.mark.parametrize("polygons", [False, True])
def test_objects_come_back(tmp_path: Path, polygons: bool) -> None:
    rng = np.random.default_rng(0)
    ids = np.kron(rng.integers(0, 6, (5, 6)), np.ones((3, 4), int)).astype(np.int32)
    ids[rng.random(ids.shape) < 0.1] = 0
    ids[ids == 4] = 0  # ids need not be dense
    classes = np.array([0, 1, 0, 1, 0, 1], np.uint8)
    entries = with_polygons(ids, classes) if polygons else list(object_entries(ids, classes))
    write_coco(tmp_path / "a.json", [("a.png", ids.shape, entries)], CATEGORIES)
    problems = Findings(tmp_path)
    (image,) = read_coco(tmp_path / "a.json", (), problems).images
    objects = image.objects()
    assert not problems
    assert objects is not None
    names = np.array([0, *(entry["object_id"] for entry in entries)])
    np.testing.assert_array_equal(names[objects.ids], ids)
    np.testing.assert_array_equal(objects.classes[1:], classes[names[1:]])
    assert [entry["area"] for entry in entries] == [(ids == number).sum() for number in names[1:]]


def test_boxes_come_back(tmp_path: Path) -> None:
    corners = np.array([[0, 0, 1, 1], [2.5, 3.25, 9, 19.5]], np.float32)
    boxes = Boxes(corners, np.array([1, 0], np.uint8), np.array([0.25, 1], np.float32))
    write_coco(tmp_path / "a.json", [("x/ä.png", (10, 20), box_entries(boxes))], CATEGORIES)
    problems = Findings(tmp_path)
    (image,) = read_coco(tmp_path / "a.json", (), problems).images
    assert not problems
    assert image.file == "x/ä.png"
    np.testing.assert_array_equal(image.boxes.corners, corners)
    np.testing.assert_array_equal(image.boxes.classes, boxes.classes)
    np.testing.assert_array_equal(image.boxes.scores, boxes.scores)


def change(**fields: Any) -> dict[str, Any]:
    data = sample()
    data["annotations"][0].update(fields)
    return data


def runs(counts: Any, size: Any = (10, 20)) -> dict[str, Any]:
    return change(segmentation={"size": list(size), "counts": counts})


NAN = float("nan")
ERROR, WARNING = "error", "warning"
BAD: list[tuple[Any, list[tuple[str, str]], int]] = [
    # what is read, the problems, the boxes that remain
    (change(bbox=[2, 3, 0, 5]), [(WARNING, "box-empty")], 0),
    (change(bbox=[2, 3, -1, 5]), [(ERROR, "box-reversed")], 0),
    (change(bbox=[30, 3, 4, 5]), [(ERROR, "box-outside")], 0),
    (change(bbox=[15, 3, 10, 5]), [(WARNING, "box-cut")], 1),
    (change(bbox=[15, 3, 5.5, 5]), [], 1),
    (change(bbox=[NAN, 3, 4, 5]), [(ERROR, "annotation")], 0),
    (change(bbox=[2, 3, 4]), [(ERROR, "annotation")], 0),
    (change(bbox=["2", 3, 4, 5]), [(ERROR, "annotation")], 0),
    (change(bbox=None), [(ERROR, "annotation")], 0),
    (change(segmentation=[[1, 1, 5, 5]]), [(WARNING, "polygon-points")], 1),
    (change(segmentation=[[1, 1, 5, 5, 9, 9]]), [(WARNING, "shape-empty")], 1),
    (change(segmentation=[[1, 1, 5, 5, 9]]), [(ERROR, "annotation")], 0),
    (change(segmentation=[[1, 1, 5, NAN, 9, 9]]), [(ERROR, "annotation")], 0),
    (change(segmentation=[1, 1, 5, 5, 9]), [(ERROR, "annotation")], 0),
    (change(segmentation="x"), [(ERROR, "annotation")], 0),
    (runs([10, 10]), [(ERROR, "annotation")], 0),
    (runs([210, -10]), [(ERROR, "annotation")], 0),
    (runs([190.5, 9.5]), [(ERROR, "annotation")], 0),
    (runs("~~~"), [(ERROR, "annotation")], 0),
    (runs(None), [(ERROR, "annotation")], 0),
    (runs([190, 10], size=(20, 10)), [(ERROR, "annotation")], 0),
    (runs([200]), [(WARNING, "shape-empty")], 1),
    (change(category_id=4), [(ERROR, "unknown-class")], 0),
    (change(category_id=[9]), [(ERROR, "unknown-class")], 0),
    (change(image_id=6), [(ERROR, "unknown-image")], 0),
    (change(id=1.5), [(ERROR, "wrong-type")], 1),
    (change(iscrowd="yes"), [(ERROR, "annotation")], 0),
    (change(score=1.5), [(ERROR, "annotation")], 0),
    ({**sample(), "annotations": 2 * sample()["annotations"]}, [(WARNING, "doubled-id")], 2),
    ({**sample(), "annotations": [7]}, [(ERROR, "wrong-type")], 0),
    ({**sample(), "annotations": None}, [(ERROR, "not-coco")], 0),
    ({**sample(), "images": 2 * sample()["images"]}, [(ERROR, "doubled-id")], 1),
    ({**sample(), "categories": 2 * sample()["categories"]}, 2 * [(WARNING, "doubled-id")], 1),
    ([], 3 * [(ERROR, "not-coco")], 0),
    ("{", [(ERROR, "annotations-unreadable")], 0),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected", "remaining"), BAD)
def test_what_is_wrong_is_listed(tmp_path: Path, data: Any, expected: list[Any], remaining: int) -> None:
    found, problems = read(tmp_path, data)
    assert problems == expected
    assert sum(len(image.boxes) for image in found.images) == remaining
    for image in found.images:
        image.objects()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"file_name": "../a.png"}, "file-name"),
        ({"file_name": "/a.png"}, "file-name"),
        ({"file_name": "C:\\a.png"}, "file-name"),
        ({"file_name": 3}, "file-name"),
        ({"height": 0}, "image-size"),
        ({"width": 10.5}, "image-size"),
        ({"width": 10**9}, "image-size"),
        ({"id": 5.5}, "wrong-type"),
    ],
)
def test_images_that_cannot_be_used(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    data = sample()
    data["images"][0].update(fields)
    _, problems = read(tmp_path, data)
    assert problems == [("error", code)] + [("error", "unknown-image")] * (code == "wrong-type")


RING = [2, 3, 6, 3, 6, 8, 2, 8]
ONE, TWO = ({"size": [10.0, 20.0], "counts": [start, 5.0, 195 - start]} for start in (23, 33))
TEXT = {"size": [10, 20], "counts": compress_runs([23, 5, 172], (10, 20))}


@pytest.mark.parametrize("fields", [
    *({"iscrowd": value} for value in (None, False, 0, 0.0, "0")),
    *({"segmentation": value} for value in (None, [], [[]], {}, "", [[[]]])),
    {"id": "7e0c"}, {"image_id": "5"}, {"image_id": 5.0, "category_id": "9"}, {"id": None},
])  # fmt: skip
def test_what_other_programs_write_is_read(tmp_path: Path, fields: dict[str, Any]) -> None:
    found, problems = read(tmp_path, change(**fields))
    assert not problems
    assert found.images[0].boxes.corners.tolist() == [[3, 2, 8, 6]]
    assert found.images[0].objects() is None


@pytest.mark.parametrize("crowd", [True, 1, "1", 1.0])
def test_crowds_in_any_form(tmp_path: Path, crowd: Any) -> None:
    found, problems = read(tmp_path, change(iscrowd=crowd))
    assert not problems
    assert not len(found.images[0].boxes)
    assert found.images[0].unknown.tolist() == [[3, 2, 8, 6]]


@pytest.mark.parametrize(("told", "width"), [
    *((value, 4) for value in ([RING], RING, [[RING]], [[RING[:2], RING[2:4], RING[4:6], RING[6:]]])),
    *((value, 1) for value in (ONE, [ONE], TEXT, [TEXT])),
    ([ONE, TWO], 2),
])  # fmt: skip
def test_segmentations_in_any_form(tmp_path: Path, told: Any, width: int) -> None:
    found, problems = read(tmp_path, change(segmentation=told, bbox=None))
    assert not problems
    expected = np.zeros((10, 20), bool)
    expected[3:8, 2 : 2 + width] = True
    objects = found.images[0].objects()
    assert objects is not None
    np.testing.assert_array_equal(objects.ids > 0, expected)


def test_ids_of_any_kind_and_classes_in_any_order(tmp_path: Path) -> None:
    data = sample()
    data["images"][0]["id"] = "img-a"
    data["categories"] = [{"id": "b", "name": "two"}, {"id": "a", "name": "one"}, {"id": "c", "name": "one"}]
    common = {"image_id": "img-a", "bbox": [2, 3, 4, 5]}
    data["annotations"] = [{**common, "id": name, "category_id": name} for name in "abc"]
    found, problems = read(tmp_path, data)
    assert problems == [("warning", "doubled-id")]  # two categories of one name
    assert found.classes == ("one", "two")
    assert found.images[0].boxes.classes.tolist() == [0, 1, 0]


def test_an_object_without_category_is_of_the_only_one(tmp_path: Path) -> None:
    data = change(category_id=None)
    assert read(tmp_path, data)[1] == [("error", "unknown-class")]
    data["categories"] = data["categories"][:1]
    found, problems = read(tmp_path, data)
    assert problems == [("warning", "unknown-class")]
    assert found.images[0].boxes.classes.tolist() == [0]


@pytest.mark.parametrize(
    "told", [{}, {"height": 0, "width": 0}, {"height": None, "width": None}, {"height": "", "width": ""}]
)
@pytest.mark.parametrize("named", ["a.png", "sub\\a.png", "./sub/a.png", "a", "images\\sub\\a.png"])
def test_size_and_place_are_those_of_the_file(tmp_path: Path, told: dict[str, Any], named: str) -> None:
    folder = tmp_path / "images" / ("sub" if "sub" in named else "")
    folder.mkdir(parents=True)
    Image.new("L", (20, 10)).save(folder / "a.png")
    data = sample()
    data["images"] = [{"id": 5, "file_name": named, **told}]
    found, problems = read(tmp_path, data, folders=[tmp_path / "images", tmp_path])
    assert not problems
    assert found.images[0].size == (10, 20)
    assert found.images[0].file == ("sub/a.png" if "sub" in named else "a.png")
    (folder / "a.png").write_bytes(b"nothing")
    assert read(tmp_path, data, folders=[tmp_path / "images", tmp_path])[1][0] == ("error", "image-size")


@pytest.mark.parametrize(("height", "width"), [(10.0, 20.0), ("10", "20"), (10, 20)])
def test_sizes_are_whole_numbers_in_any_form(tmp_path: Path, height: Any, width: Any) -> None:
    data = sample()
    data["images"][0] |= {"height": height, "width": width}
    found, problems = read(tmp_path, data)
    assert not problems
    assert found.images[0].size == (10, 20)


def objects(*things: dict[str, Any]) -> dict[str, Any]:
    image = {"id": 5, "file_name": "a.png", "height": 100, "width": 100}
    told = [{"id": i, "image_id": 5, "category_id": 9, **one} for i, one in enumerate(things)]
    return {**sample(), "images": [image], "annotations": told}


def rectangle(x: float, y: float, width: float, height: float, **fields: Any) -> dict[str, Any]:
    ring = [x, y, x + width, y, x + width, y + height, x, y + height]
    return {"bbox": [x, y, width, height], "segmentation": [ring], "area": width * height, **fields}


@pytest.mark.parametrize(
    ("things", "problem"),
    [
        ([rectangle(20, 15, 30, 20)], None),
        ([rectangle(20.4, 15.6, 30, 20, bbox=[20, 16, 31, 21])], None),  # rounded
        ([rectangle(20, 15, 30, 20, area=0), rectangle(20, 15, 30, 20, area=None)], None),
        ([rectangle(80, 80, 40, 40, bbox=[80, 80, 20, 20])], None),  # cut at the edge of the image
        ([rectangle(20, 15, 30, 20, bbox=[20, 15, 50, 35])], (ERROR, "box-corners")),
        ([rectangle(20, 15, 30, 20, bbox=[20, 15, 50, 35], segmentation=[])] * 3, (ERROR, "box-corners")),
        ([rectangle(20, 15, 30, 20, bbox=[25, 15, 30, 20])], (WARNING, "box-outline")),
        ([rectangle(20, 15, 30, 20, area=2400)], (WARNING, "box-outline")),  # of an image of twice the size
        ([rectangle(9, 9, 9, 9), rectangle(20, 15, 30, 20, bbox=[20, 15, 50, 35])], (WARNING, "box-outline")),
    ],
)  # fmt: skip
def test_box_outline_and_area_are_held_against_each_other(
    tmp_path: Path, things: list[Any], problem: Any
) -> None:
    _, problems = read(tmp_path, objects(*things))
    told = [one for one in problems if one[1] not in ("box-cut", "doubled-id")]
    assert told == (
        [problem, (WARNING, "box-outline")][-1 if problem[0] == WARNING else 0 :] if problem else []
    )


OUTER, WITHIN, APART = ([a, a, b, a, b, b, a, b] for a, b in ((10, 50), (20, 30), (60, 80)))
CROSSING = [40, 40, 70, 40, 70, 50, 40, 50]


@pytest.mark.parametrize("rings", [[OUTER, WITHIN], [WITHIN, OUTER], [OUTER, APART, WITHIN]])
@pytest.mark.parametrize("bbox", [True, False])
def test_a_ring_within_another_is_no_hole_whatever_the_area(
    tmp_path: Path, rings: list[list[int]], bbox: bool
) -> None:
    """The pixels are those of COCO's tools; an area without the inner ring is told of, with both numbers."""
    points = np.concatenate(rings).reshape(-1, 2)
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    box = {"bbox": [x0, y0, x1 - x0, y1 - y0]} if bbox else {}
    union = int(outline_runs([[float(v) for v in ring] for ring in rings], (100, 100))[1::2].sum())
    for area, codes in (
        (union - 100, [(WARNING, "hole-area")]), (union - 90, [(WARNING, "hole-area")]), (union, []),
        (union - 4, []), (union + 100, []), (None, []),
    ):  # fmt: skip
        thing = {"segmentation": rings, **box, **({} if area is None else {"area": area})}
        found, problems = read(tmp_path, objects(thing))
        assert problems == codes
        drawn = found.images[0].objects()
        assert drawn is not None
        assert (drawn.ids > 0).sum() == union
    told = Findings(tmp_path)
    (tmp_path / "boxes.json").write_text(json.dumps(objects({"segmentation": rings, "area": union - 100})))
    read_coco(tmp_path / "boxes.json", (), told)
    assert f"area {union - 100}, and {union} pixels in its rings, {union - 100} without" in told[0].received


def test_areas_of_rings_that_are_not_within_each_other(tmp_path: Path) -> None:
    for rings, area in (([OUTER, APART], 2000), ([OUTER, CROSSING], 1800), ([OUTER, OUTER], 1600)):
        thing = {"segmentation": rings, "area": area}
        assert read(tmp_path, objects(thing))[1] == []


def test_boxes_alone_that_are_two_corners(tmp_path: Path) -> None:
    corners = [[10, 10, 90, 80], [40, 50, 70, 90], [5, 60, 50, 95]]
    _, problems = read(tmp_path, objects(*({"bbox": box} for box in corners)))
    assert (ERROR, "box-corners") in problems
    sizes = [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in corners]
    assert read(tmp_path, objects(*({"bbox": box} for box in sizes)))[1] == []


def test_all_problems_at_once(tmp_path: Path) -> None:
    data = sample()
    data["annotations"] = [case["annotations"][0] for case, _, _ in BAD[:4]]
    _, problems = read(tmp_path, data)
    assert [code for _, code in problems if code != "doubled-id"] == [case[1][0][1] for case in BAD[:4]]


def test_files_that_are_missing_or_not_listed(tmp_path: Path) -> None:
    for name in ("a.png", "other.png"):
        Image.new("L", (20, 10)).save(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    data = sample()
    data["images"].append({**data["images"][0], "id": 6, "file_name": "gone.png"})
    _, problems = read(tmp_path, data, folders=[tmp_path])
    assert problems == [("error", "image-missing"), ("warning", "image-not-listed")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([2, 3, 4, 5]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["size", "counts"]), inner),
    max_leaves=6,
)
FIELDS = ["id", "image_id", "category_id", "bbox", "segmentation", "iscrowd", "score"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, min_size=1), st.dictionaries(st.text(max_size=3), JSON))
def test_whatever_the_file_holds_there_is_no_traceback(tmp_path: Path, fields: Any, other: Any) -> None:
    data = change(**fields)
    data["images"].append(other)
    data["categories"].append(other)
    found, _ = read(tmp_path, data)
    for image in found.images:
        image.objects()
        image.known()


def test_real_boxes(shared_data: Path) -> None:
    folder = shared_data / "bccd" / "train"
    problems = Findings(folder)
    found = read_coco(folder / "boxes.json", [folder], problems)
    assert not problems
    assert found.classes == ("RBC", "WBC", "Platelets")
    data = json.loads((folder / "boxes.json").read_text())
    assert len(found.images) == 205
    assert sum(len(image.boxes) for image in found.images) == len(data["annotations"])
    area = sum(entry["area"] for entry in data["annotations"])
    corners = np.concatenate([image.boxes.corners for image in found.images])
    assert np.prod(corners[:, 2:] - corners[:, :2], axis=1).sum() == pytest.approx(area)


def test_real_objects_come_back(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "dsb2018_nuclei" / "test" / "instances").iterdir())[:12]
    maps = [np.asarray(Image.open(file)).astype(np.int32) for file in files]
    for polygons in (False, True):
        images = [
            (file.name, ids.shape, with_polygons(ids) if polygons else object_entries(ids))
            for file, ids in zip(files, maps, strict=True)
        ]
        write_coco(tmp_path / "a.json", images, [(1, "nucleus")])
        problems = Findings(tmp_path)
        found = read_coco(tmp_path / "a.json", (), problems)
        assert not problems
        for image, ids in zip(found.images, maps, strict=True):
            objects = image.objects()
            assert objects is not None
            names = np.unique(ids)
            np.testing.assert_array_equal((names if names[0] == 0 else [0, *names])[objects.ids], ids)
