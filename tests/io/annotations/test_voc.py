"""Pascal VOC files: boxes by hand, and whatever is wrong listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.findings import Findings
from reunet.io.annotations import voc
from reunet.io.annotations.annotated_image import Annotations
from reunet.io.annotations.pictures import Pictures
from reunet.io.annotations.sheet import together
from reunet.io.annotations.voc import begins_at_zero

HEAD = "<filename>a.jpg</filename><size><width>20</width><height>10</height><depth>3</depth></size>"


def thing(name: str = "cat", box: str = "3,4,7,8", extra: str = "") -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box.split(","), strict=False)
    inner = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
    return f"<object><name>{name}</name>{extra}<bndbox>{inner}</bndbox></object>"


def read(tmp_path: Path, *texts: str) -> tuple[Annotations, list[tuple[str, str]]]:
    paths = {f"{i}": tmp_path / f"{i}.xml" for i in range(len(texts))}
    for path, text in zip(paths.values(), texts, strict=True):
        path.write_text(text, encoding="utf-8")
    for name in paths:
        Image.new("L", (20, 10)).save(tmp_path / f"{name}.png")
    problems = Findings(tmp_path)
    return told(paths, problems), [(problem.severity, problem.code) for problem in problems]


def told(paths: dict[str, Path], problems: Findings) -> Annotations:
    pictures = Pictures((name, path.with_suffix(".png")) for name, path in paths.items())
    classes, images = together(voc.read([*paths.values()], pictures, problems), problems, None)
    return Annotations(classes, tuple(images.values()))


def annotation(*things: str, head: str = HEAD) -> str:
    return f"<annotation>{head}{''.join(things)}</annotation>"


def test_boxes_by_hand(tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    hard = thing("dog", "1,1,20,10", "<difficult>1</difficult>")
    second = annotation(thing("bird", "1.0,1.0,1.0,3.0"), head=HEAD.replace("a.jpg", "C:\\x\\b.png"))
    found, problems = read(tmp_path, annotation(thing(extra=part), hard), second)
    assert not problems
    assert found.classes == ("bird", "cat", "dog")
    first, other = found.images
    assert (first.file, first.size) == ("0.png", (10, 20))
    assert first.boxes.corners.tolist() == [[3, 2, 8, 7]]
    assert first.boxes.classes.tolist() == [1]
    known = first.known()
    assert known is not None
    assert not known.any()
    assert other.file == "1.png"
    assert other.boxes.corners.tolist() == [[0, 0, 3, 1]]
    np.testing.assert_array_equal(other.boxes.classes, [0])
    assert other.objects() is None


ENTITIES = '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]>' + annotation(thing("&c;"))
EXTERNAL = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + annotation(thing("&b;"))
ERROR, WARNING = "error", "warning"


@pytest.mark.parametrize(
    ("text", "expected", "remaining"),
    [
        (annotation(thing(box="0,0,0,0")), [(WARNING, "box-empty")], 0),
        (annotation(thing(box="7,4,3,8")), [(ERROR, "box-reversed")], 0),
        (annotation(thing(box="30,4,40,8")), [(ERROR, "box-outside")], 0),
        (annotation(thing(box="3,4,30,8")), [(WARNING, "box-cut")], 1),
        (annotation(thing(box="0,0,20,10")), [(WARNING, "voc-from-zero")], 1),
        (annotation(thing(box="5,0.0,20,10")), [(WARNING, "voc-from-zero")], 1),
        (annotation(thing(box="-1,3,7,8")), [(WARNING, "box-cut")], 1),
        (annotation(thing(box="3,4,7")), [(ERROR, "annotation")], 0),
        (annotation(thing(box="3,4,7,nan")), [(ERROR, "annotation")], 0),
        (annotation(thing(box="3,4,7,inf")), [(ERROR, "annotation")], 0),
        (annotation(thing(box="3,4,7,x")), [(ERROR, "annotation")], 0),
        (annotation(thing(name="")), [(ERROR, "unknown-class")], 0),
        (annotation(thing(), head=HEAD.replace("20", "-2")), [(ERROR, "image-size")], 1),
        ("<html></html>", [(ERROR, "annotations-unreadable")], 0),
        ("<annotation>", [(ERROR, "annotations-unreadable")], 0),
        ("", [(ERROR, "annotations-unreadable")], 0),
        ('<?xml version="1.0" encoding="foo"?>' + annotation(), [(ERROR, "annotations-unreadable")], 0),
        (ENTITIES, [(ERROR, "annotations-unreadable")], 0),
        (EXTERNAL, [(ERROR, "annotations-unreadable")], 0),
    ],
)
def test_what_is_wrong_is_listed(
    tmp_path: Path, text: str, expected: list[tuple[str, str]], remaining: int
) -> None:
    found, problems = read(tmp_path, text)
    assert problems == expected
    assert sum(len(image.boxes) for image in found.images) == remaining


def test_a_file_that_is_missing_is_listed(tmp_path: Path) -> None:
    problems = Findings(tmp_path)
    Image.new("L", (20, 10)).save(tmp_path / "none.png")
    assert told({"none": tmp_path / "none.xml"}, problems).images == ()
    assert [problem.code for problem in problems] == ["annotations-unreadable"]


def test_a_box_that_begins_at_0_tells_how_all_files_count(tmp_path: Path) -> None:
    """Numbers from 0 are edges of pixels, as torchvision, FiftyOne and MMDetection take them."""
    texts = [annotation(thing(box=box)) for box in ("3,4,7,8", "0,4,7,8", "3,4,20,10")]
    found, problems = read(tmp_path, *texts)
    assert problems == [("warning", "voc-from-zero")]
    corners = [image.boxes.corners.tolist() for image in found.images]
    assert corners == [[[4, 3, 8, 7]], [[4, 0, 8, 7]], [[4, 3, 10, 20]]]
    (tmp_path / "1.xml").write_text(annotation(thing(box="1,4,7,8"), thing(box="0,0,0,0")))
    for name in ("0", "2"):
        (tmp_path / f"{name}.xml").write_bytes(texts[int(name)].encode())
    assert begins_at_zero(tmp_path, ()) is None  # what programs write for no box tells nothing
    (tmp_path / "val").mkdir()
    text = f'<?xml version="1.0" encoding="utf-16"?>{texts[1]}'
    (tmp_path / "val" / "9.XML").write_bytes(text.encode("utf-16"))
    zero = tmp_path / "val" / "9.XML"
    assert begins_at_zero(tmp_path, ()) == (zero, (4, 0, 8, 7))
    (tmp_path / "other").mkdir()
    assert begins_at_zero(tmp_path / "other", [zero]) == (zero, (4, 0, 8, 7))


def test_a_file_that_names_another_image_of_the_dataset(tmp_path: Path) -> None:
    for named, codes in (("1.jpg", [("warning", "other-image")]), ("x.jpg", []), ("0", []), ("", [])):
        head = HEAD.replace("a.jpg", named)
        assert read(tmp_path, annotation(thing(), head=head), annotation(thing()))[1] == codes


@pytest.mark.parametrize("head", ["", "<size/>", "<size><width>0</width><height>0</height></size>"])
def test_the_size_is_that_of_the_image(tmp_path: Path, head: str) -> None:
    (tmp_path / "a.xml").write_text(annotation(thing(), head=head))
    Image.new("L", (20, 10)).save(tmp_path / "a.png")
    problems = Findings(tmp_path)
    found = told({"a": tmp_path / "a.xml"}, problems)
    assert not problems
    assert found.images[0].size == (10, 20)
    assert found.images[0].boxes.corners.tolist() == [[3, 2, 8, 7]]


@pytest.mark.parametrize("form", ["<x{i}>{x}</x{i}><y{i}>{y}</y{i}>", "<pt><x>{x}</x><y>{y}</y></pt>"])
def test_a_polygon_is_held_against_its_box(tmp_path: Path, form: str) -> None:
    for right, codes in ((7, []), (12, [("warning", "box-outline")])):
        points = enumerate([(3, 4), (right, 4), (right, 8), (3, 8)])
        inside = "".join(form.format(i=i, x=x, y=y) for i, (x, y) in points)
        _, problems = read(tmp_path, annotation(thing(extra=f"<polygon>{inside}</polygon>")))
        assert problems == codes
