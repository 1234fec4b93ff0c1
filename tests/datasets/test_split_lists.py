"""Splits that lists or tables tell where there are no folders for them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.options.records import DataOptions
from reunet.datasets.problems import examine_dataset
from reunet.datasets.scan import scan_dataset

from .layout_folders import save

ALL = [f"{i}" for i in range(6)]


def masked(root: Path) -> Path:
    for name in ALL:
        image = np.random.default_rng(int(name)).integers(0, 255, (20, 30)).astype(np.uint8)
        save(root / "images" / f"{name}.png", image)
        save(root / "masks" / f"{name}.png", (image > 99).astype(np.uint8))
    return root


def lists(root: Path, form: str, **told: str) -> None:
    for name, stems in told.items():
        (root / f"{name}.txt").write_text("".join(form.format(stem) + "\n" for stem in stems))


def splits(root: Path) -> dict[str, str]:
    scan = scan_dataset(root, DataOptions())
    assert not [one for one in scan.problems if one.severity == "error"], scan.problems
    assert scan.dataset().given_splits == {case.split for case in scan.cases}
    return {case.id: case.split for case in scan.cases}


@pytest.mark.parametrize("form", ["{}", "{}.png", "images/{}.png", "/home/me/data/images/{}.png", "{} 1"])
def test_lists_of_images_beside_the_folders(form: str, tmp_path: Path) -> None:
    lists(masked(tmp_path), form, train="012", valid="3", test="45")
    expected = dict(zip(ALL, ["train"] * 3 + ["val"] + ["test"] * 2, strict=True))
    assert splits(tmp_path) == expected


def test_without_a_list_for_training_the_others_are_for_it(tmp_path: Path) -> None:
    lists(masked(tmp_path), "{}", test="05")
    assert Counter(splits(tmp_path).values()) == {"train": 4, "test": 2}


def test_lists_that_data_yaml_names(tmp_path: Path) -> None:
    for name in ALL:
        save(tmp_path / "images" / f"{name}.png", np.full((20, 30), int(name), np.uint8))
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{name}.txt").write_text(f"0 .5 .5 .2 .{int(name) + 1}\n")
    lists(tmp_path, "./images/{}.png", autosplit_train="0123", autosplit_val="45")
    (tmp_path / "data.yaml").write_text(
        "path: .\ntrain: autosplit_train.txt\nval: autosplit_val.txt\nnames: [cell]\n"
    )
    assert Counter(splits(tmp_path).values()) == {"train": 4, "val": 2}
    _, found, problems = examine_dataset(tmp_path, DataOptions())
    assert [one for one in problems if one.severity == "error"] == []
    assert len(found) == 6


@pytest.mark.parametrize("column", ["split", "subset", "set"])
def test_a_column_of_a_table(column: str, tmp_path: Path) -> None:
    masked(tmp_path)
    rows = [f"{name},{'Train' if i < 4 else 'TEST'}" for i, name in enumerate(ALL)]
    (tmp_path / "items.csv").write_text("\n".join([f"stem,{column}", *rows]))
    assert Counter(splits(tmp_path).values()) == {"train": 4, "test": 2}
    (tmp_path / "items.csv").write_text("\n".join([f"stem,{column}", *(f"{name},a" for name in ALL)]))
    assert scan_dataset(tmp_path, DataOptions()).given == frozenset()  # these are no splits


def test_classes_of_images_with_a_column(tmp_path: Path) -> None:
    for name in ALL:
        save(tmp_path / "images" / f"{name}.png", np.full((20, 30), int(name), np.uint8))
    rows = [f"{name}.png,{'ab'[i % 2]},{'train' if i < 4 else 'val'}" for i, name in enumerate(ALL)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows]))
    scan = scan_dataset(tmp_path, DataOptions())
    assert [(case.id, case.split, case.category) for case in scan.cases] == [
        (name, "train" if i < 4 else "val", i % 2) for i, name in enumerate(ALL)
    ]
    assert list(scan.problems) == []


def test_what_is_wrong_with_lists_is_told(tmp_path: Path) -> None:
    lists(masked(tmp_path), "{}", train=["0", "1", "gone"], test=["1", "2"])  # type: ignore[arg-type]
    problems = {(one.severity, one.code, one.file) for one in scan_dataset(tmp_path, DataOptions()).problems}
    assert problems == {
        ("warning", "image-missing", "train.txt"),
        ("error", "image-in-two-splits", "images/1.png"),
        ("warning", "image-in-no-split", "images"),
    }


def test_texts_that_list_no_images_and_folders_of_splits_count_first(tmp_path: Path) -> None:
    (masked(tmp_path) / "test.txt").write_text("this is a test\n")
    assert set(splits_of(tmp_path)) == {"train"}
    for split in ("train", "val"):
        masked(tmp_path / "other" / split)
    lists(tmp_path / "other", "{}", test="012345")
    assert Counter(splits_of(tmp_path / "other")) == {"train": 6, "val": 6}


def splits_of(root: Path) -> list[str]:
    return [case.split for case in scan_dataset(root, DataOptions()).cases]
