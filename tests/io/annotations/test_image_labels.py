"""One class per image, from tables and from folders."""

from __future__ import annotations

import csv
import io
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from reunet.contracts.findings import Findings
from reunet.io.annotations.image_labels import ImageLabels, class_folders, has_labels, read_labels


def read(tmp_path: Path, text: str, **options: object) -> tuple[ImageLabels, list[tuple[str, str]]]:
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode("utf-8"))
    problems = Findings(tmp_path)
    found = read_labels(path, options.pop("folders", ()), problems, **options)  # type: ignore[arg-type]
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
        ("what,kind\na.png,red\n", "label-table"),
        ("file,class,species\na.png,red,red\n", "label-table"),
        ("file,label\n", "label-table"),
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


@pytest.mark.parametrize(
    ("labels", "codes"),
    [
        (["0.13", "0.54", ".7", "-1.5e3"], [("warning", "label-decimals")]),
        (["0.13", "0.54", "0.7", "none"], [("warning", "label-decimals")]),
        (["1.5", "2.5", "1.5", "2.5", "1.5", "2.5", "3.5"], []),
        (["1.0", "2.0", "3.0", "4.0"], []),
        (["1", "2", "3", "4"], []),
        (["v1.5", "a.b", "3.1.2", "x"], []),
    ],
)
def test_numbers_to_predict_are_no_classes(
    tmp_path: Path, labels: list[str], codes: list[tuple[str, str]]
) -> None:
    text = "file,label\n" + "".join(f"{i}.png,{label}\n" for i, label in enumerate(labels))
    assert read(tmp_path, text)[1] == codes
    assert not read(tmp_path, text, classes=labels)[1]


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"file,label\na.png,\0\n")
    for name in ("bytes.csv", "none.csv"):
        problems = Findings(tmp_path)
        assert read_labels(tmp_path / name, (), problems) == ImageLabels((), {})
        assert [problem.code for problem in problems] == ["annotations-unreadable"]


ROWS = [("a.png", "Bär"), ("b.png", "dog, big"), ("c.png", "Bär")]


HEADINGS = ("file,label", "File,Label", "image_id,class", "Image Name,target", "filename,Category")


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_tables_as_people_have_them(tmp_path: Path, heading: str, encoding: str) -> None:
    path = tmp_path / "labels.csv"
    for delimiter, quoting, end in product(",;\t|", (csv.QUOTE_ALL, csv.QUOTE_MINIMAL), ("\n", "\r\n", "\r")):
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
        writer.writerows([heading.split(","), *ROWS[:2], [], [" ", ""], ROWS[2]])
        path.write_bytes(text.getvalue().encode(encoding))
        problems = Findings(tmp_path)
        found = read_labels(path, (), problems)
        assert has_labels(path)
        assert [problem.code for problem in problems] == ["table-encoding"] * (encoding == "latin-1")
        assert found.classes == ("Bär", "dog, big")
        assert found.images == {"a.png": 0, "b.png": 1, "c.png": 0}


def test_images_are_named_without_suffix_from_other_folders_and_twice(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "B\u00e4r.jpg", "c.d.png"):
        Image.new("L", (2, 2)).save(tmp_path / "images" / name)
    rows = "a,red\nimages/a.png,red\nBa\u0308r.jpg,blue\n./c.d,red\n"
    found, problems = read(tmp_path, f"image_id,label\n{rows}", folders=[tmp_path / "images", tmp_path])
    assert problems == [("warning", "doubled-file")]
    assert found.images == {"a.png": 1, "B\u00e4r.jpg": 0, "c.d.png": 1}


def test_excel_says_how_cells_are_parted(tmp_path: Path) -> None:
    found, problems = read(tmp_path, "sep=;\r\nfile;label\r\na,b.png;red\r\n")
    assert not problems
    assert found.images == {"a,b.png": 0}


def test_which_tables_tell_classes_of_images(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    for content, told in ((b"file,patient\na,1\n", False), (b"file,LABEL\n", True), (b"\0\0", True)):
        path.write_bytes(content)
        assert has_labels(path) is told
    assert not has_labels(tmp_path / "none.csv")


def test_files_are_looked_for(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (2, 2)).save(tmp_path / name)
    _, problems = read(tmp_path, "file,label\na.png,red\nc.png,blue\n", folders=[tmp_path])
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
    found = read_labels(folder / "labels.csv", [folder / "images"], problems)
    assert not problems
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {found.classes[i]: str(i) for i in found.images.values()} == {
        row["label"]: row["label_id"] for row in rows
    }
    assert {row["file"]: int(row["label_id"]) for row in rows} == found.images
