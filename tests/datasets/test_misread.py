"""Annotations that would be understood otherwise than they were meant are refused, or told of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.datasets.case_arrays import load_case
from reunet.datasets.problems import examine_dataset
from reunet.io.masks import read_fov

from .layout_folders import save

SIZE = (40, 60)
NAMES = ("a", "b", "c")


def pictures(root: Path) -> Path:
    for i, name in enumerate(NAMES):
        save(
            root / "images" / f"{name}.png",
            np.random.default_rng(i).integers(0, 255, SIZE).astype(np.uint8),
        )
    return root


def told(root: Path) -> dict[str, tuple[str, str]]:
    """Severity and message of what is said, by its code."""
    problems = examine_dataset(root, DataOptions())[-1]
    assert [one for one in problems if not one.fix] == []
    return {one.code: (one.severity, f"{one.message} {one.received}") for one in problems}


def studio(root: Path, *results: list[dict[str, Any]]) -> None:
    sides = {"original_width": SIZE[1], "original_height": SIZE[0]}
    tasks = [
        {
            "data": {"image": f"/data/{name}.png"},
            "annotations": [{"id": 1, "completed_by": 1, "result": [one | sides for one in own]}],
        }
        for name, own in zip(NAMES, results, strict=False)
    ]
    (pictures(root) / "export.json").write_text(json.dumps(tasks))


PLACE = {"x": 10, "y": 20, "width": 30, "height": 40}


def region(kind: str, *labels: str, number: str = "r", **value: Any) -> dict[str, Any]:
    classes = {kind: list(labels)} if labels else {}
    return {
        "id": number,
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "value": PLACE | value | classes,
    }


def test_label_studio_tells_tool_and_class_in_two_results(tmp_path: Path) -> None:
    pair = [region("rectangle", number="1"), region("labels", "dog", number="1")]
    studio(tmp_path, [*pair, region("rectanglelabels", "cat")], pair, [region("rectanglelabels", "cat")])
    scan, found, problems = examine_dataset(tmp_path, DataOptions())
    assert [one for one in problems if one.severity == "error"] == []
    assert scan.labels is not None
    assert scan.labels.names[-2:] == ("cat", "dog")
    counts = [len(load_case(one.case, scan.labels).truth.boxes or ()) for one in found]
    assert counts == [2, 1, 1]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([region("keypointlabels", "eye")], "no area"),
        ([region("bitmasklabels", "eye", imageDataURL="data:")], "no area"),
        ([region("rectanglelabels", "cat", "occluded")], "several labels"),
    ],
)
def test_label_studio_leaves_nothing_out(results: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    studio(tmp_path, *[[*results, region("rectanglelabels", "cat")]] * 3)
    severity, said = told(tmp_path)["annotation"]
    assert severity == "error"
    assert message in said


def test_choices_of_label_studio_are_no_places(tmp_path: Path) -> None:
    choice = {
        "id": "c",
        "type": "choices",
        "from_name": "q",
        "to_name": "image",
        "value": {"choices": ["good"]},
    }
    studio(tmp_path, *[[choice, region("rectanglelabels", "cat")]] * 3)
    assert "annotation" not in told(tmp_path)


def test_two_entries_of_one_image_do_not_replace_each_other(tmp_path: Path) -> None:
    box = '<box label="cell" xtl="{}" ytl="2" xbr="30" ybr="20"/>'
    entry = '<image name="{}/a.png" width="60" height="40">{}</image>'
    entries = [entry.format(batch, box.format(left)) for batch, left in (("0", 3), ("1", 9))]
    others = [f'<image name="0/{n}.png" width="60" height="40">{box.format(3)}</image>' for n in NAMES[1:]]
    file = pictures(tmp_path) / "annotations.xml"
    file.write_text(f"<annotations>{''.join([*entries, *others])}</annotations>")
    assert told(tmp_path)["doubled-file"][0] == "error"
    file.write_text(f"<annotations>{''.join([entries[0], entries[0], *others])}</annotations>")
    assert "doubled-file" not in told(tmp_path)  # both say the same


COCO = {
    "categories": [{"id": 1, "name": "cell"}],
    "images": [
        {"id": i, "file_name": f"{name}.png", "height": SIZE[0], "width": SIZE[1]}
        for i, name in enumerate(NAMES)
    ],
}


def coco(root: Path, **more: Any) -> None:
    entries = [{"id": i, "image_id": i % 3, "category_id": 1} | more for i in range(6)]
    (pictures(root) / "boxes.json").write_text(json.dumps(COCO | {"annotations": entries}))


@pytest.mark.parametrize("tool", ["coco", "voc", "labelme"])
def test_shares_of_an_image_are_no_pixels(tool: str, tmp_path: Path) -> None:
    if tool == "coco":
        coco(tmp_path, bbox=[0.1, 0.2, 0.5, 0.4])
    for name in NAMES:
        if tool == "voc":
            sides = "<xmin>0.1</xmin><ymin>0.2</ymin><xmax>0.7</xmax><ymax>0.9</ymax>"
            text = f"<annotation><object><name>cell</name><bndbox>{sides}</bndbox></object></annotation>"
            (pictures(tmp_path) / "annotations").mkdir(exist_ok=True)
            (tmp_path / "annotations" / f"{name}.xml").write_text(text)
        if tool == "labelme":
            points = [[0.1, 0.2], [0.6, 0.2], [0.6, 0.8]]
            shapes = {"shapes": [{"label": "cell", "points": points, "shape_type": "polygon"}]}
            (pictures(tmp_path) / "images" / f"{name}.json").write_text(json.dumps(shapes))
    severity, message = told(tmp_path)["annotation"]
    assert severity == "error"
    assert "shares of the image" in message


def test_one_pixel_in_the_corner_is_one(tmp_path: Path) -> None:
    coco(tmp_path, bbox=[0, 0, 1, 1])
    assert "annotation" not in told(tmp_path)


def test_what_coco_ignores_is_unknown(tmp_path: Path) -> None:
    coco(tmp_path, bbox=[3, 4, 10, 12], ignore=1)
    scan, found, _ = examine_dataset(tmp_path, DataOptions())
    assert scan.labels is not None
    arrays = load_case(found[0].case, scan.labels)
    assert len(arrays.truth.boxes or ()) == 0
    known = arrays.truth.boxes_told
    assert known is not None
    assert not known[4:16, 3:13].any()
    assert known.sum() == SIZE[0] * SIZE[1] - 120


def yolo(root: Path, line: Callable[[np.random.Generator], list[float]]) -> None:
    rng = np.random.default_rng(0)
    (pictures(root) / "labels").mkdir()
    (root / "classes.txt").write_text("mouse\n")
    for name in NAMES:
        lines = [" ".join(["0", *(f"{x:.5f}" for x in line(rng))]) for _ in range(2)]
        (root / "labels" / f"{name}.txt").write_text("\n".join(lines))


def pose(step: int) -> Callable[[np.random.Generator], list[float]]:
    def line(rng: np.random.Generator) -> list[float]:
        x, y, w, h = rng.uniform([0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.5, 0.5])
        points = rng.uniform([x - w / 2, y - h / 2], [x + w / 2, y + h / 2], (5, 2))
        seen = [[2.0]] * 4 + [[0.0]]
        points[4] = 0
        return [x, y, w, h, *np.hstack([points, seen])[:, :step].ravel()]

    return line


@pytest.mark.parametrize("step", [2, 3])
def test_key_points_of_yolo_are_no_outlines(step: int, tmp_path: Path) -> None:
    yolo(tmp_path, pose(step))
    assert told(tmp_path)["annotation"][0] == "error"
    (tmp_path / "data.yaml").write_text(f"names: [mouse]\nkpt_shape: [5, {step}]\n")
    assert "annotation" not in told(tmp_path)


def turned_box(rng: np.random.Generator) -> list[float]:
    (x, y), angle = rng.uniform(0.4, 0.6, 2), rng.uniform(0, 3)
    along, across = (
        np.array([np.cos(angle), np.sin(angle)]) / 5,
        np.array([-np.sin(angle), np.cos(angle)]) / 9,
    )
    corners = [along + across, along - across, -along - across, -along + across]
    return [float(value) for corner in corners for value in (corner[0] + x, corner[1] + y)]


def outline(rng: np.random.Generator) -> list[float]:
    angles = np.sort(rng.uniform(0, 2 * np.pi, 4))
    return [
        float(v) for a in angles for v in 0.5 + 0.3 * rng.uniform(0.5, 1) * np.array([np.cos(a), np.sin(a)])
    ]


def test_turned_boxes_of_yolo_are_told_of(tmp_path: Path) -> None:
    yolo(tmp_path / "turned", turned_box)
    assert told(tmp_path / "turned")["yolo-turned-boxes"][0] == "warning"
    yolo(tmp_path / "outlines", outline)
    assert not {"yolo-turned-boxes", "annotation"} & told(tmp_path / "outlines").keys()


def test_labelme_says_what_is_difficult_and_what_is_background(tmp_path: Path) -> None:
    corners = [[10, 10], [20, 20]]
    shapes = [
        {"label": "cell", "points": corners, "shape_type": "rectangle"},
        {"label": "cell", "points": [[30, 5], [40, 9]], "shape_type": "rectangle", "difficult": True},
        {"label": "_background_", "points": [[0, 0], [9, 9]], "shape_type": "rectangle"},
    ]
    for name in NAMES:
        (pictures(tmp_path) / "images" / f"{name}.json").write_text(json.dumps({"shapes": shapes}))
    scan, found, _ = examine_dataset(tmp_path, DataOptions())
    assert scan.labels is not None
    assert scan.labels.names[-1] == "cell"
    arrays = load_case(found[0].case, scan.labels)
    assert arrays.truth.boxes is not None
    np.testing.assert_array_equal(arrays.truth.boxes.corners, [[10, 10, 20, 20]])
    known = arrays.truth.boxes_told
    assert known is not None
    assert known.sum() == SIZE[0] * SIZE[1] - 40


@pytest.mark.parametrize("key", ["class", "label", "category"])
def test_outlines_of_other_programs_have_classes_and_pixels(key: str, tmp_path: Path) -> None:
    pictures(tmp_path)
    for name in NAMES:
        features = [
            {
                "type": "Feature",
                "properties": {key: kind},
                "geometry": {"type": "Polygon", "coordinates": [[[x, 5], [x + 9, 5], [x + 9, 15], [x, 5]]]},
            }
            for x, kind in ((5, "house"), (30, "road"))
        ]
        text = json.dumps({"type": "FeatureCollection", "features": features})
        (tmp_path / "images" / f"{name}.geojson").write_text(text)
    scan, _, problems = examine_dataset(tmp_path, DataOptions())
    assert [one for one in problems if one.severity == "error"] == []
    assert scan.labels is not None
    assert scan.labels.names[-2:] == ("house", "road")
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    for file in (tmp_path / "images").glob("*.geojson"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"crs": crs}))
    assert "those of a map" in told(tmp_path)["annotations-unreadable"][1]


def test_parts_of_a_geojson_are_no_holes_in_each_other(tmp_path: Path) -> None:
    """All that lies in one of the polygons of an object belongs to it; only their inner rings are holes."""
    ring = [[[a, a], [b, a], [b, b], [a, b], [a, a]] for a, b in ((2, 30), (8, 24), (10, 14), (16, 20))]
    outer, hole, island, other = ring
    for parts, area in (
        ([[outer], [island]], 28**2), ([[outer, hole], [island]], 28**2 - 16**2 + 4**2),
        ([[outer, island, other], [hole]], 28**2), ([[outer, hole]], 28**2 - 16**2),
    ):  # fmt: skip
        geometry = {"type": "MultiPolygon", "coordinates": parts}
        feature = {"type": "Feature", "properties": {}, "geometry": geometry}
        for name in NAMES:
            (pictures(tmp_path) / "images" / f"{name}.geojson").write_text(json.dumps(feature))
        scan, found, problems = examine_dataset(tmp_path, DataOptions())
        assert problems == []
        assert scan.labels is not None
        assert (load_case(found[0].case, scan.labels).labels == 1).sum() == area


@pytest.mark.parametrize(
    ("named", "is_other"),
    [("b.png", True), ("x/other.jpg", True), ("..\\images\\a.JPG", False), ("A.tif", False), ("", False)],
)
def test_labelme_that_names_another_image(named: str, is_other: bool, tmp_path: Path) -> None:
    shapes = [{"label": "cell", "points": [[10, 10], [20, 20]], "shape_type": "rectangle"}]
    for name in NAMES:
        path = f"{name}.png" if name != "a" else named
        text = json.dumps({"shapes": shapes, "imagePath": path})
        (pictures(tmp_path) / "images" / f"{name}.json").write_text(text)
    found = told(tmp_path)
    assert ("other-image" in found) == is_other
    if is_other:
        severity, message = found["other-image"]
        assert severity == "warning"
        assert "1 file(s)" in message
        assert f"images/a.json names {named.rsplit('/', 1)[-1]}" in message


def via(root: Path, size: Any) -> None:
    shape = {"name": "rect", "x": 5, "y": 5, "width": 9, "height": 9}
    regions = [{"shape_attributes": shape, "region_attributes": {}}]
    entries = {name: {"filename": f"{name}.png", "size": size, "regions": regions} for name in NAMES[1:]}
    first = {"filename": "a.png", "regions": regions}
    (pictures(root) / "via.json").write_text(json.dumps({"a": first, **entries}))


def test_via_that_was_drawn_on_another_file(tmp_path: Path) -> None:
    for size in (-1, "", None, 0, "-1"):
        via(tmp_path, size)
        assert "other-image" not in told(tmp_path)
    sizes = [(tmp_path / "images" / f"{name}.png").stat().st_size for name in NAMES]
    for size in (sizes[1] + 1, str(sizes[1] + 1)):
        via(tmp_path, size)
        severity, message = told(tmp_path)["other-image"]
        assert severity == "warning"
        assert f"b.png: {sizes[1]:,} bytes, stated {sizes[1] + 1:,}" in message
        assert "a.png" not in message


def test_regions_of_label_studio_on_images_of_different_sizes(tmp_path: Path) -> None:
    first, second = region("rectanglelabels", "cat"), region("rectanglelabels", "cat")
    studio(tmp_path, *[[first]] * 3)
    file = tmp_path / "export.json"
    tasks = json.loads(file.read_text())
    tasks[0]["annotations"][0]["result"].append(second | {"original_width": 80, "original_height": SIZE[0]})
    file.write_text(json.dumps(tasks))
    severity, message = told(tmp_path)["annotation"]
    assert severity == "error"
    assert "40 x 60 and 40 x 80" in message


@pytest.mark.parametrize("tool", ["labelme", "cvat", "studio", "supervisely", "voc", "coco"])
def test_a_stated_size_that_is_not_that_of_the_image(tool: str, tmp_path: Path) -> None:
    sides = {"height": SIZE[1], "width": SIZE[0]}  # turned
    root = pictures(tmp_path)
    if tool == "cvat":
        box = '<box label="x" xtl="5" ytl="5" xbr="9" ybr="9"/>'
        entry = f'<image name="{{}}.png" width="40" height="60">{box}</image>'
        (root / "annotations.xml").write_text(
            f"<annotations>{''.join(map(entry.format, NAMES))}</annotations>"
        )
    if tool == "studio":
        studio(root, *[[region("rectanglelabels", "cat")]] * 3)
        text = (root / "export.json").read_text()
        (root / "export.json").write_text(text.replace('"original_width": 60', '"original_width": 61'))
    if tool == "coco":
        images = [one | sides for one in COCO["images"]]
        entries = [{"id": i, "image_id": i, "category_id": 1, "bbox": [5, 5, 9, 9]} for i in range(3)]
        (root / "boxes.json").write_text(json.dumps(COCO | {"images": images, "annotations": entries}))
    for name in NAMES:
        points = {"exterior": [[5, 5], [20, 20]]}
        files: dict[str, tuple[str, Any]] = {
            "labelme": (f"images/{name}.json", {
                "shapes": [{"label": "x", "points": [[5, 5], [20, 5], [20, 20]]}],
                "imageHeight": SIZE[1], "imageWidth": SIZE[0]}),
            "supervisely": (f"ann/{name}.png.json", {
                "size": sides,
                "objects": [{"classTitle": "x", "geometryType": "rectangle", "points": points}]}),
            "voc": (f"annotations/{name}.xml", "<annotation><size><width>40</width><height>60</height></size>"
                "<object><name>x</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>9</xmax><ymax>9</ymax>"
                "</bndbox></object></annotation>"),
        }  # fmt: skip
        if tool in files:
            path, content = files[tool]
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_text(content if isinstance(content, str) else json.dumps(content))
    problems = [one for one in examine_dataset(root, DataOptions())[-1] if one.code == "shape-mismatch"]
    assert [one.severity for one in problems] == ["error"] * 3
    assert all(one.expected.startswith("40 x 60") for one in problems)
    assert {one.received for one in problems} == {"40 x 61" if tool == "studio" else "60 x 40"}


def test_masks_whose_palette_shows_the_background_bright(tmp_path: Path) -> None:
    def palettes(*colours: int) -> None:
        for i, name in enumerate(NAMES):
            mask = np.zeros(SIZE, np.uint8)
            mask[5 : 20 + i, 5:30] = 1
            image = Image.fromarray(mask)
            image.putpalette(colours)
            (pictures(tmp_path) / "masks").mkdir(exist_ok=True)
            image.save(tmp_path / "masks" / f"{name}.png")

    palettes(255, 255, 255, 0, 0, 0)
    assert told(tmp_path)["mask-upside-down"][0] == "warning"
    for colours in ((0, 0, 0, 255, 255, 255), (0, 0, 0, 255, 0, 0), (255, 255, 255, 255, 0, 0)):
        palettes(*colours)
        assert "mask-upside-down" not in told(tmp_path)


def test_a_field_of_view_and_objects_as_jpeg(tmp_path: Path) -> None:
    disc = np.zeros(SIZE, np.uint8)
    disc[np.hypot(*(np.indices(SIZE) - np.array(SIZE)[:, None, None] / 2)) < 12] = 255
    for name in NAMES:
        save(pictures(tmp_path) / "masks" / f"{name}.png", disc // 255)
        save(tmp_path / "fov" / f"{name}.jpg", disc)
    assert "JPEG" in told(tmp_path)["shape-mismatch"][1]
    for name in NAMES:
        save(tmp_path / "fov" / f"{name}.jpg", np.full(SIZE, 255, np.uint8))  # nothing was changed
    assert "shape-mismatch" not in told(tmp_path)
    assert read_fov(tmp_path / "fov" / "a.jpg", None, None, SIZE).all()
    for name in NAMES:
        save(pictures(tmp_path / "single") / "masks" / name / "0.jpg", disc)
    assert "JPEG" in told(tmp_path / "single")["mask-unreadable"][1]
