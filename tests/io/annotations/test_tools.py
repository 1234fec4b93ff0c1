"""What is wrong with files of annotation programs is told, one problem for each, with what would be right."""

from __future__ import annotations

import base64
import json
import zlib
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.findings import Findings
from reunet.contracts.results import Problem
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.annotations.pictures import Pictures
from reunet.io.annotations.sheet import together
from reunet.io.annotations.tools import cellpose, napari
from reunet.io.annotations.tools.label_studio import unpack

SQUARE = [[2, 2], [8, 2], [8, 8], [2, 8]]
FILES = {
    "yolo": "a.txt", "labelme": "a.json", "cvat": "all.xml", "label_studio": "all.json", "via": "all.json",
    "supervisely": "a.png.json",
}  # fmt: skip


def read(tmp_path: Path, room: str, told: Any) -> tuple[list[AnnotatedImage], list[Problem]]:
    """What a program's file tells of an image a.png of 10 x 20 pixels."""
    Image.new("L", (20, 10)).save(tmp_path / "a.png")
    path = tmp_path / FILES[room]
    path.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
    problems = Findings(tmp_path)
    pictures = Pictures([("a", tmp_path / "a.png")])
    found = import_module(f"reunet.io.annotations.tools.{room}").read([path], pictures, problems)
    return [*together(found, problems, None)[1].values()], problems


def shape(kind: str = "polygon", points: Any = SQUARE, **more: Any) -> dict[str, Any]:
    sides = {"imageHeight": 10, "imageWidth": 20}
    return {"shapes": [{"label": "a", "shape_type": kind, "points": points, **more}], **sides}


def image(inside: str, **sides: int) -> str:
    told = "".join(f' {side}="{number}"' for side, number in ({"width": 20, "height": 10} | sides).items())
    return f'<annotations><image id="0" name="a.png"{told}>{inside}</image></annotations>'


def task(kind: str, value: dict[str, Any], file: str = "a.png", **more: Any) -> list[dict[str, Any]]:
    one = {"type": kind, "value": {kind: ["a"], **value}, "original_width": 20, "original_height": 10, **more}
    return [{"data": {"image": file}, "annotations": [{"completed_by": 1, "result": [one]}]}]


def brush(*rle: Any) -> list[dict[str, Any]]:
    return task("brushlabels", {"format": "rle", "rle": list(rle)})


def region(told: dict[str, Any]) -> dict[str, Any]:
    return {"a": {"filename": "a.png", "regions": [{"shape_attributes": told, "region_attributes": {}}]}}


def figure(kind: str, **told: Any) -> dict[str, Any]:
    return {
        "size": {"height": 10, "width": 20},
        "objects": [{"classTitle": "a", "geometryType": kind, **told}],
    }


BOMB = base64.b64encode(zlib.compress(b"\0" * 4096)).decode()
WRONG = [
    ("yolo", "3 .5 .5 .2 .2", "class is out of range", "2"),
    ("yolo", "-1 .5 .5 .2 .2", "class is out of range", ""),
    ("yolo", "0 .5 .5 .2", "no box and no polygon", "width height"),
    ("yolo", "0 12 5 20 2", "coordinates are no shares", "0 to 1"),
    ("yolo", "0 nan .5 .2 .2", "coordinates are no shares", ""),
    ("labelme", shape("point", [[1, 1]]), "no area", "polygon"),
    ("labelme", shape("mask", [[2, 2], [40, 8]], mask="iVBORw0"), "no PNG", ""),
    ("labelme", shape(points=[[1, 2], [3, "x"]]), "no list of numbers", ""),
    ("labelme", {"shapes": 3}, "none of LabelMe", ""),
    ("cvat", image('<mask label="a" left="0" top="0" width="4" height="4" rle="0,15"/>'), "not fill", "16"),
    ("cvat", image('<mask label="a" left="0" top="0" width="90" height="90" rle="8100"/>'), "not lie in", ""),
    ("cvat", image('<mask label="a" left="18" top="0" width="4" height="1" rle="0,4"/>'), "not lie in", ""),
    ("cvat", image('<polyline label="a" points="1,1;2,2"/>'), "no area", "polygon"),
    ("cvat", image("").replace("a.png", "b.png"), "no image of this name", ""),
    ("cvat", "<annotations><track id='0'/></annotations>", "tracks of a video", ""),
    ("cvat", '<!DOCTYPE a [<!ENTITY b "b">]><annotations>&b;</annotations>', "entities", ""),
    ("label_studio", brush(0, 0, 0, 9, 0, 0, 0, 0), "another size", "200 pixels"),
    ("label_studio", brush(0, 0, 3, 32, 56, 0, 0, 0), "end early", ""),
    ("label_studio", brush("x"), "damaged", ""),
    ("label_studio", task("polygonlabels", {"points": [[1, None]]}), "no list of numbers", ""),
    ("label_studio", task("polygonlabels", {"points": SQUARE}, image_rotation=90), "turned image", ""),
    ("label_studio", [{"image": "a.png"}], "no annotations", ""),
    ("via", region({"name": "point", "cx": 1, "cy": 2}), "no area", "polygon"),
    ("via", region({"name": "polygon", "all_points_x": [1], "all_points_y": [1, 2]}), "not understood", ""),
    ("supervisely", figure("point", points={"exterior": [[1, 1]]}), "no area", "polygon"),
    ("supervisely", figure("bitmap", bitmap={"data": BOMB, "origin": [0, 0]}), "no PNG", ""),
    ("supervisely", figure("bitmap", bitmap={"data": "AAAA", "origin": [0, 0]}), "no PNG", ""),
]  # fmt: skip


@pytest.mark.parametrize(("room", "told", "message", "expected"), WRONG)
def test_what_is_wrong_is_told(tmp_path: Path, room: str, told: Any, message: str, expected: str) -> None:
    (tmp_path / "data.yaml").write_text("names: [a, b, c]")
    found, problems = read(tmp_path, room, told)
    (problem,) = problems
    assert (problem.severity, message in problem.message) == ("error", True), problem
    assert expected in problem.expected
    assert not any(len(one.boxes) for one in found)


def png_text(height: int, width: int, *, packed: bool = False) -> str:
    """An empty PNG with a palette and transparency, in base64."""
    file = BytesIO()
    Image.new("P", (width, height)).save(file, "PNG", transparency=0)
    return base64.b64encode(zlib.compress(file.getvalue()) if packed else file.getvalue()).decode()


@pytest.mark.parametrize(
    ("room", "told", "message"),
    [
        ("labelme", shape("mask", [[0, 0], [1, 1]], mask=png_text(3000, 3000)), "not lie in its image"),
        (
            "labelme",
            shape("mask", [[0, 0], [1, 1]], mask=png_text(3000, 3000))
            | {"imageHeight": 4000, "imageWidth": 4000},
            "larger than its image",
        ),
        (
            "supervisely",
            figure("bitmap", bitmap={"data": png_text(3000, 3000, packed=True), "origin": [0, 0]}),
            "not lie in its image",
        ),
        (
            "supervisely",
            figure("bitmap", bitmap={"data": png_text(3000, 3000, packed=True), "origin": [0, 0]})
            | {"size": {"height": 4000, "width": 4000}},
            "larger than its image",
        ),
    ],
)
def test_masks_larger_than_their_image_are_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: str, told: Any, message: str
) -> None:
    decoded: list[object] = []
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", decoded.append)
    (problem,) = read(tmp_path, room, told)[1]
    assert message in problem.message
    assert "3000 x 3000" in problem.received
    assert not decoded


def test_bitmaps_are_unpacked_as_far_as_their_image_can_fill_them(tmp_path: Path) -> None:
    bomb = base64.b64encode(zlib.compress(b"\0" * (2 << 20))).decode()
    told = figure("bitmap", bitmap={"data": bomb, "origin": [0, 0]})
    (problem,) = read(tmp_path, "supervisely", told | {"size": {"height": 20_000, "width": 20_000}})[1]
    assert "larger than its image" in problem.message
    assert f"{16 * 200 + (1 << 20):,} bytes" in problem.expected


@pytest.mark.parametrize(
    ("room", "told", "corners"),
    [
        ("yolo", "0 .5 .5 .2 .2", [4, 8, 6, 12]),
        ("labelme", shape("rectangle", [[8, 8], [2, 2]]), [2, 2, 8, 8]),
        ("labelme", shape("circle", [[10, 5], [10, 9]]), [1, 6, 9, 14]),
        ("cvat", image('<box label="a" xtl="2" ytl="3" xbr="9" ybr="7"/>'), [3, 2, 7, 9]),
        ("cvat", image('<box label="a" xtl="7" ytl="1" xbr="13" ybr="9" rotation="90"/>'), [2, 6, 8, 14]),
        ("cvat", image('<ellipse label="a" cx="10" cy="5" rx="8" ry="4"/>'), [1, 2, 9, 18]),
        (
            "label_studio",
            task("rectanglelabels", {"x": 10, "y": 20, "width": 50, "height": 40}),
            [2, 2, 6, 12],
        ),
        ("via", region({"name": "rect", "x": 2, "y": 3, "width": 7, "height": 4}), [3, 2, 7, 9]),
        ("supervisely", figure("rectangle", points={"exterior": [[2, 3], [9, 7]]}), [3, 2, 7, 9]),
    ],
)
def test_boxes_and_round_shapes(tmp_path: Path, room: str, told: Any, corners: list[int]) -> None:
    (found,), problems = read(tmp_path, room, told)
    assert not problems
    np.testing.assert_allclose(found.boxes.corners, [corners], atol=0.01)


def test_parts_of_a_group_are_one_object(tmp_path: Path) -> None:
    told = shape(group_id=4)
    told["shapes"] += [{**told["shapes"][0], "points": [[12, 2], [14, 2], [14, 4], [12, 4]]}]
    told["shapes"] += [{"label": "__ignore__", "points": [[16, 0], [20, 0], [20, 10]], "group_id": None}]
    (found,), problems = read(tmp_path, "labelme", told)
    assert not problems
    assert found.boxes.corners.tolist() == [[2, 2, 8, 14]]
    assert int((found.objects().ids == 1).sum()) == 6 * 6 + 2 * 2
    assert not found.known()[5, 19]


def test_a_stated_size_counts_and_is_compared_later(tmp_path: Path) -> None:
    (found,), problems = read(tmp_path, "cvat", image("", width=40))
    assert (found.size, [*problems]) == ((10, 40), [])


def test_an_uploaded_file_is_the_image_of_its_name(tmp_path: Path) -> None:
    value = {"x": 10, "y": 20, "width": 50, "height": 40}
    for file in ("/data/upload/1/9f8e7d6c-a.png", "/data/local-files/?d=sets%2Fa.png", "s3://b/x/a.jpg"):
        (found,), problems = read(tmp_path, "label_studio", task("rectanglelabels", value, file))
        assert (len(found.boxes), [*problems]) == (1, [])


def test_brushes_unpack_to_what_was_packed() -> None:
    from tests.datasets.test_tools import pack

    values = np.repeat(np.random.default_rng(0).integers(0, 256, 60), np.arange(60) % 9 + 1).astype(np.uint8)
    np.testing.assert_array_equal(unpack(np.array(pack(values), np.uint8), values.size), values)


class Calls:
    """Calls a function where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("called"),)


def seg(tmp_path: Path, told: Any) -> Problem:
    """What is wrong with a file that Cellpose might have saved."""
    Image.new("L", (20, 10)).save(tmp_path / "a.png")
    np.save(path := tmp_path / "a_seg.npy", told, allow_pickle=True)
    problems = Findings(tmp_path)
    cellpose.read([path], Pictures([("a", tmp_path / "a.png")]), problems)
    (problem,) = problems
    return problem


@pytest.mark.fault("a pickle in place of labels", "is read as data: nothing in it is called")
def test_a_pickle_calls_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "none of Cellpose" in seg(tmp_path, {"masks": Calls()}).message
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.zeros((9, 20), np.uint16), "different sizes"),
        (np.zeros((3, 10, 20), np.uint16), "no numbers of objects"),
        (np.zeros((10, 20), np.float32), "no numbers of objects"),
        (np.full((10, 20), None), "none of Cellpose"),
        ([1, 2], "none of Cellpose"),
    ],
)
def test_masks_of_cellpose_that_cannot_be_used(tmp_path: Path, masks: Any, message: str) -> None:
    problem = seg(tmp_path, {"masks": masks})
    assert message in problem.message
    assert ("Save masks" in problem.fix) == (message != "different sizes")


def test_masks_of_cellpose_in_any_order_of_bytes(tmp_path: Path) -> None:
    masks = np.arange(200).reshape(10, 20) % 7
    for kind in (">u2", "<i8", "u1"):
        for turned in (masks, masks[None], np.asfortranarray(masks)):
            np.save(
                path := tmp_path / "a_seg.npy", {"masks": turned.astype(kind, order="K")}, allow_pickle=True
            )
            np.testing.assert_array_equal(cellpose.read_masks(path), masks)


def test_shapes_of_napari(tmp_path: Path) -> None:
    """Coordinates count the centres of pixels."""
    Image.new("L", (20, 10)).save(tmp_path / "a.png")
    corners = [(1.5, 3.5), (1.5, 11.5), (7.5, 11.5), (7.5, 3.5)]
    y, x = np.mgrid[:10, :20] + 0.5
    inside = ((y - 5) / 3) ** 2 + ((x - 8) / 4) ** 2 < 1
    heading = "index,shape-type,vertex-index,axis-0,axis-1"
    for kind, area in (("rectangle", 48), ("ellipse", int(inside.sum())), ("path", 0)):
        rows = [f"0,{kind},{i},{y},{x}" for i, (y, x) in enumerate(corners)]
        (path := tmp_path / "a.csv").write_text("\n".join([heading, *rows]))
        problems = Findings(tmp_path)
        told = napari.read([path], Pictures([("a", tmp_path / "a.png")]), problems)
        (found,) = together(told, problems, None)[1].values()
        assert [one.message for one in problems] == ([] if area else ["shape 0: it is no area"])
        if area:
            assert found.boxes.corners.round(2).tolist() == [[2, 4, 8, 12]]
            assert int((found.objects().ids == 1).sum()) == area
