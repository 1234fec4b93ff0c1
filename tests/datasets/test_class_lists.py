"""Classes that several files of a dataset list: where these disagree, none is believed silently."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.problems import examine_dataset
from reunet.datasets.scan import scan_dataset

from .layout_folders import save


def yolo(root: Path, **files: str) -> list[Problem]:
    """What is wrong with two images, of a class 0 and of a class 1, beside files that list classes."""
    for number, name in enumerate("ab"):
        save(root / "images" / f"{name}.png", np.full((20, 30), number, np.uint8))
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{name}.txt").write_text(f"{number} .5 .5 .4 .4\n")
    for file, text in files.items():
        (root / file.replace("__", "/").replace("_", ".")).write_text(text)
    return list(examine_dataset(root, DataOptions())[2])


def described(*names: str) -> str:
    return json.dumps({"classes": [{"id": i, "name": name} for i, name in enumerate(names)]})


BOTH = "names: [cell, dot]\n"


@pytest.mark.parametrize(
    ("files", "first", "second"),
    [
        ({"data_yaml": BOTH, "classes_txt": "dot\ncell\n"}, "data.yaml: cell, dot", "classes.txt: dot, cell"),
        ({"data_yaml": BOTH, "labels__classes_txt": "dot\ncell\n"}, "data.yaml", "labels/classes.txt: dot"),
        ({"data_yaml": BOTH, "classes_txt": "cell\n"}, "data.yaml: cell, dot", "classes.txt: cell"),
        ({"data_yaml": BOTH, "labels_txt": "dot\ncell\n"}, "data.yaml: cell, dot", "labels.txt: dot, cell"),
        ({"classes_txt": "cell\ndot\n", "obj_names": "dot\ncell\n"}, "classes.txt: cell", "obj.names: dot"),
        ({"data_yaml": BOTH, "dataset_yaml": "names: [dot, cell]\n"}, "data.yaml", "dataset.yaml: dot"),
        ({"data_yaml": BOTH, "dataset_json": described("dot", "cell")}, "data.yaml", "dataset.json: dot"),
        ({"data_yaml": BOTH, "dataset_json": described("cell", "spot")}, "data.yaml", "dataset.json: cell"),
        ({"data_yaml": f"nc: 5\n{BOTH}"}, "nc: 5", "names: cell, dot (2)"),
    ],
)  # fmt: skip
def test_lists_that_disagree(tmp_path: Path, files: dict[str, str], first: str, second: str) -> None:
    told = [one for one in yolo(tmp_path, **files) if one.code == "class-list"]
    (problem,) = told
    assert problem.severity == "error"
    assert first in problem.expected
    assert second in problem.received
    assert problem.fix


@pytest.mark.parametrize(
    "files",
    [
        {"data_yaml": f"nc: 2\n{BOTH}", "classes_txt": "cell\ndot\n", "labels__classes_txt": "cell\n\ndot"},
        {"data_yaml": BOTH, "dataset_yaml": "names: {0: cell, 1: dot}\n", "hyp_yaml": "lr0: 0.1\n"},
        {"data_yaml": BOTH, "other_yaml": "names: none\n", "more_yaml": "names: [\n"},
        {"data_yaml": BOTH, "dataset_json": described("background", "cell", "wall", "dot")},
        {"data_yaml": "names: [background, dot]\n", "dataset_json": described("background", "dot")},
        {"data_yaml": BOTH, "labels_txt": "a.png 1\nb.png 0\n"},
    ],
)
def test_lists_that_agree(tmp_path: Path, files: dict[str, str]) -> None:
    told = yolo(tmp_path, **files)
    assert [one for one in told if one.severity == "error" and one.code == "class-list"] == []


def test_two_classes_of_one_name_are_one_and_that_is_told(tmp_path: Path) -> None:
    told = yolo(tmp_path, data_yaml="names: [cell, cell]\n")
    assert [(one.severity, one.code, one.file) for one in told if one.code != "duplicate-image"][:1] == [
        ("warning", "doubled-id", "data.yaml")
    ]
    labels = scan_dataset(tmp_path, DataOptions()).labels
    assert labels is not None
    assert labels.names.count("cell") == 1


def test_classes_of_masks_that_disagree(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / "images" / "train" / f"{name}.png", np.full((9, 9), ord(name), np.uint8))
        save(tmp_path / "masks" / "train" / f"{name}.png", np.eye(9, dtype=np.uint8))
    (tmp_path / "data.yaml").write_text("masks_dir: masks\nnc: 3\nnames: [sky, road]\n")
    told = [one for one in examine_dataset(tmp_path, DataOptions())[2] if one.code == "class-list"]
    assert [(one.severity, one.expected) for one in told] == [("error", "nc: 3")]


@pytest.mark.parametrize("escape", ["\\ud800", "\\U0000DFFF"])
def test_half_a_character_in_data_yaml_is_a_problem(tmp_path: Path, escape: str) -> None:
    told = yolo(tmp_path, data_yaml=f'names: ["{escape}", b]\n')
    assert [(one.severity, one.file) for one in told if one.code == "class-list"] == [("error", ".")]
    (tmp_path / "data.yaml").write_text('names: ["\\u00e9", b]\n')
    labels = scan_dataset(tmp_path, DataOptions()).labels
    assert labels is not None
    assert "é" in labels.names


@pytest.mark.parametrize("option", ["classes", "colors"])
def test_a_list_of_classes_that_is_not_utf_8_is_told(tmp_path: Path, option: str) -> None:
    for name in "ab":
        save(tmp_path / "images" / f"{name}.png", np.full((9, 9), ord(name), np.uint8))
        mask = np.eye(9, dtype=np.uint8)
        save(tmp_path / "masks" / f"{name}.png", mask if option == "classes" else np.stack([mask] * 3, -1))
    (file := tmp_path / "list.csv").write_bytes(
        "0,bg\n1,Zellkörper\n".encode("latin-1")
        if option == "classes"
        else "bg,0,0,0\nZellkörper,1,1,1\n".encode("latin-1")
    )
    options = DataOptions(classes=file) if option == "classes" else DataOptions(colors=file)
    scan, _, problems = examine_dataset(tmp_path, options)
    assert [one.severity for one in problems if one.code == "table-encoding"] == ["warning"]
    assert scan.labels is not None
    assert scan.labels.names[1] == "Zellkörper"
