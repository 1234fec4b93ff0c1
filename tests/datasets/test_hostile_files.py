"""Whatever stands in a file of annotations or settings, that is a problem of the dataset and no crash."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.datasets.problems import examine_dataset
from reunet.errors import ReunetError

HUGE, DEEP = int("9" * 4000), json.loads("[" * 400 + "]" * 400)
NASTY: list[Any] = [
    None, True, -1, 0, 1.5, HUGE, -HUGE, 1e308, float("nan"), float("inf"), "", "x", "x" * 300, "/", "..",
    "\0", "é\n", [], [[]], {}, {"a": 1}, [None], [1, 2], DEEP, "1", {"id": 1},
]  # fmt: skip
TEXTS = [
    "",
    "x",
    "x" * 300,
    "-1",
    "1.5",
    "9" * 5000,
    "1e999",
    "nan",
    "\0",
    '"',
    "/",
    "..",
    "é",
    ";",
    "true",
    "[]",
    "\ud800",
]

CLASSES = [{"id": 0, "name": "ground", "color": [0, 0, 0]}, {"id": 1, "name": "cell", "color": [9, 9, 9]}]
COCO = {
    "images": [{"id": 1, "file_name": "0.png", "height": 6, "width": 8}],
    "categories": [{"id": 1, "name": "cell"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 3], "area": 12, "iscrowd": 0,
         "score": 0.5, "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]]},
        {"id": 2, "image_id": 1, "category_id": 1, "segmentation": {"size": [6, 8], "counts": [1, 2, 45]}},
    ],
}  # fmt: skip
SEQUENCES = [{"split": "train", "sequence": "a", "axis": "T", "frames": ["0", "1"]}]
VOC = (
    "<annotation><size><width>8</width><height>6</height></size><object><name>cell</name><difficult>0</difficult>"
    "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>3</ymax></bndbox>"
    "<polygon><x1>1</x1><y1>1</y1><x2>4</x2><y2>1</y2><x3>4</x3><y3>3</y3></polygon></object></annotation>"
)
JSON_FILES: dict[str, tuple[str, Any]] = {
    "coco": ("boxes.json", COCO),
    "dataset": ("dataset.json", {
        "name": "d", "classes": CLASSES, "ignore_index": 255, "ignore_color": [1, 2, 3],
        "annotated": {"0*": ["cell"], "*": ["ground"]}, "channel_names": {"0": "CT"}}),
    "regions": ("dataset.json", {"classes": CLASSES, "regions": [
        {"name": "whole", "classes": ["cell", 0], "color": [1, 2, 3], "paints": "cell"}]}),
    "layers": ("dataset.json", {"regions": ["whole", "core"]}),
    "nnunet": ("dataset.json", {"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3},
                                "regions_class_order": [1, 2], "modality": {"0": "CT"}}),
    "sequences": ("sequences.json", SEQUENCES),
    "--classes": ("classes.json", {"classes": CLASSES, "ignore_index": 7}),
    "--colors": ("colors.json", {"ground": [0, 0, 0], "cell": [9, 9, 9]}),
}  # fmt: skip
TABLES: dict[str, tuple[str, str]] = {
    "labels": ("labels.csv", "file,label,label_id\n0.png,cat,1\n1.png,dog,2\n"),
    "items": ("items.csv", "file,patient\n0.png,a\n1.png,b\n"),
    "--classes": ("classes.csv", "id,name\n0,ground\n1,cell\n255,ignore\n"),
    "--colors": ("colors.csv", "name,red,green,blue\nground,0,0,0\ncell,9,9,9\n"),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two images with masks."""
    for i in range(2):
        for name in ("images", "masks"):
            (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(np.arange(i, i + 48, dtype=np.uint8).reshape(6, 8)).save(
            tmp_path / "images" / f"{i}.png"
        )
        Image.fromarray(np.eye(6, 8, dtype=np.uint8)).save(tmp_path / "masks" / f"{i}.png")
    return tmp_path


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in JSON, the whole first."""
    yield here
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*here, key))


def with_value(data: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(data)
    inside = changed
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return changed


def variants(kind: str) -> list[bytes]:
    """A file of this kind with each of its values replaced by each nasty one, and not whole."""
    if kind in JSON_FILES:
        content = JSON_FILES[kind][1]
        found = [json.dumps(with_value(content, place, bad)) for place in places(content) for bad in NASTY]
        text = json.dumps(content)
        found += [
            "",
            "[" * 100_000,
            '{"a": ' * 100_000,
            "9" * 5000,
            text[:-2],
            text.replace('"id": 1', '"id": ' + "9" * 5000),
        ]
        found += [re.sub('"([a-z0-9.]+)"', '"\\\\ud800"', text, count=n) for n in (1, 3, 5)]
        found += [text.replace(",", ",,", 1), text + text, "\ufeff" + text]
    else:
        text = VOC if kind == "voc" else TABLES[kind.removesuffix(" table")][1]
        cells = list(re.finditer(r"(?<=>)[^<>]+(?=<)" if kind == "voc" else r"[^,\n]+", text))
        found = [text[: one.start()] + bad + text[one.end() :] for one in cells for bad in TEXTS]
        found += [
            "",
            "\n",
            text[:20],
            text * 2,
            text.split("\n")[0] + "\n",
            "<" * 9,
            "<annotation/>",
            "," * 99_999,
        ]
        found += ["<a>" * 50_000, text.replace("<annotation>", '<!DOCTYPE a [<!ENTITY a "aa">]><annotation>')]
    return [one.encode("utf-8", "surrogatepass") for one in found] + [
        b"\xff\xfe",
        b"\0" * 64,
        b"\x1f\x8b" * 9,
    ]


def check(root: Path, name: str, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    options = DataOptions(
        classes=file if name == "--classes" else None,
        colors=file if name == "--colors" else None,
        group="patient" if name == "items" else None,
    )
    try:
        problems = examine_dataset(root, options)[-1]
    except ReunetError:
        return
    assert all(len(f"{one.message}{one.expected}{one.received}") < 2000 for one in problems)
    json.dumps([vars(one) for one in problems], ensure_ascii=False).encode()


KINDS = [*JSON_FILES, *(f"{name} table" for name in TABLES), "voc"]


def test_files_that_made_it_crash(data: Path) -> None:
    regions = {
        "labels": {"background": 0, "whole": [1, 2], "core": "images/a.png"},
        "regions_class_order": False,
    }
    classes = {"classes": [{"id": [[]], "name": "background", "color": [0, 0, 0]}], "ignore_index": 7}
    for facts in (regions, classes, [], {"regions": ["/"]}, {"regions": [".."]}, {"annotated": {"*": [[]]}}):
        check(data, "dataset", data / "dataset.json", json.dumps(facts).encode())
    (data / "dataset.json").unlink()
    check(data, "items", data / "items.csv", "file,patient\n0.png,1\n1.png,2\n/,2,\ufeff\n".encode())
    check(data, "labels", data / "labels.csv", b"file_name,label\ni00\xff.png,a,nan\ni001.png,b")
    (data / "dataset.json").mkdir()
    with pytest.raises(ReunetError, match="dataset"):
        examine_dataset(data, DataOptions())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [pytest.param(None, marks=pytest.mark.slow), 6])
def test_whatever_stands_in_a_file_is_a_problem(data: Path, kind: str, part: int | None) -> None:
    name = kind.removesuffix(" table")
    known = JSON_FILES[name][0] if kind in JSON_FILES else TABLES.get(name, ("annotations/0.xml", ""))[0]
    file, contents = data / known, variants(kind)
    file.parent.mkdir(exist_ok=True)
    if name in ("voc", "coco", "labels"):
        for mask in (data / "masks").iterdir():
            mask.unlink()
        (data / "masks").rmdir()
    rng = np.random.default_rng(0)
    chosen = (
        contents if part is None else [contents[i] for i in rng.choice(len(contents), part, replace=False)]
    )
    for content in chosen:
        check(data, name, file, content)


@pytest.mark.parametrize("name", ['0.\x01png"', '0.\\qpng"', '0.\\u00zz"', '0\\"'])
def test_a_file_name_that_no_json_may_hold(data: Path, name: str) -> None:
    """Names are looked for in the beginning of a COCO file before it is read as JSON."""
    for mask in (data / "masks").iterdir():
        mask.unlink()
    (data / "masks").rmdir()
    content = json.dumps(COCO).replace('0.png"', name).encode()
    (data / "annotations").mkdir(exist_ok=True)
    check(data, "coco", data / "annotations" / "instances_train.json", content)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    """All that a file lists is longer than a name can be: said, as that nothing of it is there."""
    name = "x" * 300 + ".png"
    for folder in ("coco", "yolo"):
        (tmp_path / folder / "images").mkdir(parents=True)
        Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / folder / "images" / "0.png")
    told = COCO | {"images": [COCO["images"][0] | {"file_name": name}]}
    (tmp_path / "coco" / "boxes.json").write_text(json.dumps(told))
    (tmp_path / "yolo" / "data.yaml").write_text(f"train: {name}.txt\nnames: [cell]\n")
    for folder in ("coco", "yolo"):
        try:
            found = list(examine_dataset(tmp_path / folder, DataOptions())[2])
        except ReunetError:
            continue
        assert [one for one in found if one.severity == "error"], found
