"""One class per image, from tables and from folders."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from reunet.contracts.findings import Findings
from reunet.io.annotations.image_labels import ImageLabels, class_folders, read_labels


def read(tmp_path: Path, text: str, **options: object) -> tuple[ImageLabels, list[tuple[str, str]]]:
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode("utf-8"))
    problems = Findings(tmp_path)
    found = read_labels(path, options.pop("folder", None), problems, **options)  # type: ignore[arg-type]
    return found, [(problem.severity, problem.code) for problem in problems]


def test_labels_in_order_of_their_ids_or_names(tmp_path: Path) -> None:
    found, problems = read(
        tmp_path, "file,label,label_id,age\na.png,red,2,3\nb\\c.png,blue,7,\nd.png,red,2,1\n"
    )
    assert not problems
    assert found == ImageLabels(("red", "blue"), {"a.png": 0, "b/c.png": 1, "d.png": 0})
    found, problems = read(tmp_path, "\ufefffile_name,label\r\na.png,red\r\nb.png,blue\r\n")
    assert not problems
    assert found == ImageLabels(("blue", "red"), {"a.png": 1, "b.png": 0})
    found, _ = read(tmp_path, "file,label\na.png,red\n", classes=["green", "red"])
    assert found.images == {"a.png": 1}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name,class\na.png,red\n", "label-table"),
        ("", "label-table"),
        ("file,label\na.png,\n", "label-row"),
        ("file,label\na.png\n", "label-row"),
        ("file,label\n../a.png,red\n", "label-row"),
        ("file,label\na.png,red\na.png,blue\n", "doubled-file"),
        ("file,label\na.png,green\n", "unknown-class"),
        ("file,label,label_id\na.png,red,1\nb.png,blue,1\n", "label-id"),
        ("file,label,label_id\na.png,red,1\nb.png,red,2\n", "label-id"),
        ("file,label,label_id\na.png,red,1.5\n", "label-id"),
    ],
)
def test_what_is_wrong_is_listed(tmp_path: Path, text: str, code: str) -> None:
    _, problems = read(tmp_path, text, classes=["red", "blue"])
    assert problems == [("error", code)]


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"file,label\n\xff\xfe,1\n")
    for name in ("bytes.csv", "none.csv"):
        problems = Findings(tmp_path)
        assert read_labels(tmp_path / name, None, problems) == ImageLabels((), {})
        assert [problem.code for problem in problems] == ["annotations-unreadable"]


def test_files_are_looked_for(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (2, 2)).save(tmp_path / name)
    _, problems = read(tmp_path, "file,label\na.png,red\nc.png,blue\n", folder=tmp_path)
    assert problems == [("error", "image-missing"), ("warning", "image-not-listed")]


def test_a_folder_per_class(tmp_path: Path) -> None:
    for name in ("b/1.png", "b/deep/2.png", "a/1.png", "stray.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / name)
    (tmp_path / "c").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a" / "notes.txt").touch()
    problems = Findings(tmp_path)
    found = class_folders(tmp_path, problems)
    assert found == ImageLabels(("a", "b", "c"), {"a/1.png": 0, "b/1.png": 1, "b/deep/2.png": 1})
    assert [(one.code, one.file) for one in problems] == [("class-empty", "c"), ("label-row", "stray.png")]
    problems.clear()
    found = class_folders(tmp_path, problems, ["c", "b"])
    assert found.images == {"b/1.png": 1, "b/deep/2.png": 1}
    assert [one.code for one in problems] == ["unknown-class", "class-empty", "label-row"]


@pytest.mark.parametrize("name", ["glas", "traffic_light_state"])
def test_real_tables(shared_data: Path, name: str) -> None:
    folder = shared_data / name / "train"
    problems = Findings(folder)
    found = read_labels(folder / "labels.csv", folder / "images", problems)
    assert not problems
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {found.classes[i]: str(i) for i in found.images.values()} == {
        row["label"]: row["label_id"] for row in rows
    }
    assert {row["file"]: int(row["label_id"]) for row in rows} == found.images
