"""Folders are understood, or the error names the option that helps."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.datasets.scan import open_dataset
from reunet.errors import DataError, UsageError

from .examined import find_problems


def picture(path: Path, value: int = 0, kind: str = "image") -> None:
    """A 6 x 8 file: noise for an image, the values 0 and 255 for a mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(value)
    pixels = rng.integers(0, 255, (6, 8)) if kind == "image" else rng.integers(0, 2, (6, 8)) * 255
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def pairs(folder: Path, count: int = 3, images: str = "images", masks: str = "masks") -> Path:
    for i in range(count):
        picture(folder / images / f"{i}.png", i)
        picture(folder / masks / f"{i}.png", i, "mask")
    return folder


def test_flat_folders_are_one_training_set(tmp_path: Path) -> None:
    dataset = open_dataset(pairs(tmp_path / "cells"))
    assert dataset.name == "cells"
    assert [case.id for case in dataset.split("train")] == ["0", "1", "2"]
    assert dataset.given_splits == frozenset()
    assert dataset.labels.encoding == "binary_255"


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_split_folders(tmp_path: Path, val: str) -> None:
    for split in ("train", val, "test"):
        pairs(tmp_path / split, 2)
    dataset = open_dataset(tmp_path)
    assert dataset.given_splits == {"train", "val", "test"}
    assert all(len(dataset.split(name)) == 2 for name in ("train", "val", "test"))


def test_splits_inside_the_images_folder_are_not_mixed(tmp_path: Path) -> None:
    for split in ("train", "test"):
        pairs(tmp_path, 2, f"images/{split}", f"masks/{split}")
    dataset = open_dataset(tmp_path)
    assert dataset.given_splits == {"train", "test"}
    assert [case.id for case in dataset.split("train")] == ["0", "1"]
    picture(tmp_path / "images" / "loose.png")
    with pytest.raises(DataError, match="split folders and other images"):
        open_dataset(tmp_path)


def test_named_folders(tmp_path: Path) -> None:
    pairs(tmp_path, 2, "a", "b")
    with pytest.raises(DataError, match="--images DIR --masks DIR"):
        open_dataset(tmp_path)
    for root, base in ((tmp_path, Path()), (None, tmp_path)):
        dataset = open_dataset(root, DataOptions(images=base / "a", masks=base / "b"))
        assert [case.id for case in dataset.cases] == ["0", "1"]


def test_look_alikes_only_when_unambiguous(tmp_path: Path) -> None:
    pairs(tmp_path, 2, "imgs", "labels")
    assert len(open_dataset(tmp_path).cases) == 2
    (tmp_path / "gt").mkdir()
    with pytest.raises(DataError, match="--masks DIR"):
        open_dataset(tmp_path)


def test_stems_match_through_endings_folders_suffixes_and_unicode(tmp_path: Path) -> None:
    for name in ("a", "sub folder/b", "Zürich 1"):
        picture(tmp_path / "images" / f"{unicodedata.normalize('NFC', name)}.png")
        picture(tmp_path / "masks" / f"{unicodedata.normalize('NFD', name)}_mask.bmp", 0, "mask")
    picture(tmp_path / "images" / ".hidden.png")
    cases = open_dataset(tmp_path).cases
    assert [case.id for case in cases] == ["Zürich 1", "a", "sub folder/b"]
    assert all(case.files.mask is not None and case.files.mask.exists() for case in cases)


def test_field_of_view_is_beside_the_images(tmp_path: Path) -> None:
    pairs(tmp_path)
    for i in range(3):
        picture(tmp_path / "fov" / f"{i}.png", i, "mask")
    assert all(case.files.fov == tmp_path / "fov" / f"{case.id}.png" for case in open_dataset(tmp_path).cases)
    (tmp_path / "fov" / "1.png").unlink()
    with pytest.raises(DataError, match=r"images/1\.png: the image has no field-of-view file"):
        open_dataset(tmp_path)


def test_test_split_may_lack_masks_but_train_may_not(tmp_path: Path) -> None:
    pairs(tmp_path / "train")
    picture(tmp_path / "test" / "images" / "x.png")
    assert open_dataset(tmp_path).split("test")[0].files.mask is None
    (tmp_path / "train" / "masks").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no masks folder"):
        open_dataset(tmp_path)


def test_stack_pages_become_ordered_cases(tmp_path: Path) -> None:
    for name, top in (("images", 255), ("masks", 2)):
        (tmp_path / name).mkdir()
        pixels = np.random.default_rng(0).integers(0, top, (4, 6, 8)).astype(np.uint8)
        tifffile.imwrite(tmp_path / name / "s.tif", pixels, photometric="minisblack")
    with pytest.raises(DataError, match="--axes"):
        open_dataset(tmp_path)
    cases = open_dataset(tmp_path, DataOptions(axes="zyx")).cases
    assert [(case.id, case.page, case.sequence.name, case.sequence.axis) for case in cases] == [
        (f"s#{page:04d}", page, "s", "Z") for page in range(4)
    ]


def test_sequences_are_named_and_ordered(tmp_path: Path) -> None:
    pairs(tmp_path / "train")
    entry = {"split": "train", "sequence": "walk", "axis": "T", "rate_hz": 2, "frames": ["2", "0", "1"]}
    (tmp_path / "sequences.json").write_text(json.dumps([entry]))
    cases = open_dataset(tmp_path).cases
    assert [(case.id, case.sequence.name, case.sequence.axis) for case in cases] == [
        (i, "walk", "T") for i in ("2", "0", "1")
    ]
    (tmp_path / "sequences.json").write_text('{"frames": 3}')
    with pytest.raises(DataError, match=r"sequences\.json"):
        open_dataset(tmp_path)


def test_frames_without_image_are_listed(tmp_path: Path) -> None:
    pairs(tmp_path / "train")
    (tmp_path / "train/masks/1.png").unlink()  # an error of its own: the name is right
    picture(tmp_path / "train/images/ö.png", 5)
    picture(tmp_path / "train/masks/ö.png", 5, "mask")
    frames = ["0", "1", unicodedata.normalize("NFD", "ö"), "7.png"]
    entry = {"sequence": "walk", "frames": frames}
    (tmp_path / "sequences.json").write_text(json.dumps([entry, {**entry, "split": "test", "frames": ["2"]}]))
    problems = {problem.code: problem for problem in find_problems(tmp_path)[0]}
    assert set(problems) == {"image-without-mask", "unknown-frame"}
    warning = problems["unknown-frame"]
    assert (warning.severity, warning.file) == ("warning", "sequences.json")
    assert warning.received == "train: 7.png, test: 2"


def stack(path: Path, pages: int) -> None:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(pages).integers(0, 2, (pages, 6, 8)).astype(np.uint8)
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "ZYX"})


@pytest.mark.parametrize(("mask", "fov", "blamed"), [(4, 3, "field of view"), (3, 1, "mask"), (1, 4, "mask")])
def test_page_counts_blame_the_right_file(tmp_path: Path, mask: int, fov: int, blamed: str) -> None:
    for name, pages in (("images", 4), ("masks", mask), ("fov", fov)):
        stack(tmp_path / name / "s.tif", pages)
    (problem,) = find_problems(tmp_path)[0]
    assert problem.code == "page-count"
    assert problem.message == f"image and {blamed} have different numbers of pages"
    assert problem.received.endswith(f" in the {blamed}")


def test_messages_count_pages_from_1(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        stack(tmp_path / name / "s.tif", 4)
    masks = tifffile.imread(tmp_path / "masks/s.tif")
    masks[2, 0, 0] = 9
    tifffile.imwrite(tmp_path / "masks/s.tif", masks, photometric="minisblack", metadata={"axes": "ZYX"})
    classes = [{"id": 0, "name": "ground"}, {"id": 1, "name": "cell"}]
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": classes}))
    assert [one.file for one in find_problems(tmp_path)[0]] == ["masks/s.tif, page 3"]


def test_without_any_pair_only_the_names_are_wrong(tmp_path: Path) -> None:
    for i in range(3):
        picture(tmp_path / "images" / f"{i}.png", i)
        picture(tmp_path / "masks" / f"{i}_other.png", i, "mask")
    assert {one.code for one in find_problems(tmp_path)[0]} == {"image-without-mask", "mask-without-image"}


def test_the_folder_one_stands_in_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cells").mkdir()
    pairs(tmp_path / "cells")
    deep = np.random.default_rng(0).integers(0, 65535, (6, 8)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "cells/images/0.png")
    monkeypatch.chdir(tmp_path / "cells")
    (problem,) = find_problems(Path())[0]
    assert (problem.code, problem.file) == ("mixed-sample-types", "cells")


def test_groups_from_either_table(tmp_path: Path) -> None:
    pairs(tmp_path / "train")
    (tmp_path / "train" / "labels.csv").write_text("file,patient\n0.png,A\n1.png,B\n2.png,A\n")
    dataset = open_dataset(tmp_path, DataOptions(group="patient"))
    assert [case.group for case in dataset.cases] == ["A", "B", "A"]
    with pytest.raises(UsageError, match="did you mean 'patient'"):
        open_dataset(tmp_path, DataOptions(group="patients"))
    (tmp_path / "train" / "labels.csv").write_text("file,patient\n0.png,A\n1.png,B\n")
    with pytest.raises(DataError, match=r"2\.png: the table states no patient"):
        open_dataset(tmp_path, DataOptions(group="patient"))


def test_opening_reads_no_test_mask(tmp_path: Path) -> None:
    """The class list comes from train and val: whatever is in test cannot change a training."""
    pairs(tmp_path / "train")
    picture(tmp_path / "test" / "images" / "x.png")
    (tmp_path / "test" / "masks").mkdir()
    (tmp_path / "test" / "masks" / "x.png").write_text("damaged")
    assert open_dataset(tmp_path).labels.encoding == "binary_255"
