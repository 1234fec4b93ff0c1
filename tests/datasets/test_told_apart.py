"""Images and masks are told apart by names, in any language, and by content; never taken for classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.datasets.scan import open_dataset, scan_dataset
from reunet.datasets.vocabulary import understand
from reunet.errors import DataError
from reunet.io.images import read_header

from .examined import find_problems
from .layout_folders import save

SIZE = (24, 32)


def photo(path: Path, size: tuple[int, int] = SIZE) -> Path:
    seed = np.random.default_rng([ord(letter) for letter in path.name + path.parent.name])
    return save(path, seed.integers(0, 256, (*size, 3), dtype=np.uint8))


def mask(path: Path) -> Path:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[4:14, len(path.name) % 7 : 20] = 255
    return save(path, pixels)


def pairs(images: Path, masks: Path, of: str = "{}.png", to: str = "{}.png", missing: int = 0) -> None:
    for i in range(4):
        photo(images / of.format(i))
        if i >= missing:
            mask(masks / to.format(i))


FOLDERS = [
    ("Bilder", "Masken"), ("Aufnahmen", "Segmentierungen"), ("Images", "Masques"), ("images", "Étiquettes"),
    ("imágenes", "máscaras"), ("imagens", "Rótulos"), ("immagini", "maschere"), ("图像", "掩码"),
    ("图片", "标注"), ("原图", "掩膜"), ("画像", "マスク"), ("写真", "ラベル"), ("raw", "Ground Truth"),
    ("Original", "GT"), ("cells", "cells_masks"), ("tiles images", "tiles labels"),
]  # fmt: skip


@pytest.mark.parametrize(("images", "masks"), FOLDERS)
@pytest.mark.parametrize("missing", [0, 1])
def test_folders_in_any_language(tmp_path: Path, images: str, masks: str, missing: int) -> None:
    pairs(tmp_path / images, tmp_path / masks, missing=missing)
    problems, counts = find_problems(tmp_path)
    assert [problem.code for problem in problems] == ["image-without-mask"] * missing
    assert counts == {"train": 4 - missing}
    case = scan_dataset(tmp_path, DataOptions()).cases[0]
    assert case.kinds == {"masks"}
    assert (case.image.parent.name, case.files.mask and case.files.mask.parent.name) == (images, masks)


NAMES = [
    ("{}.tif", "Mask of {}.tif"), ("{}.jpg", "{}_mask.png"), ("img_{}.png", "gt_{}.png"),
    ("{}.png", "{}-seg.png"),
    ("img{}.png", "mask{}.png"), ("zelle {}.png", "Maske von zelle {}.png"), ("{}.png", "masque_{}.png"),
    ("{}.png", "Máscara de {}.png"), ("{}_raw.png", "{}_GroundTruth.png"), ("{}.png", "{}的掩码.png"),
    ("{}.png", "{}_标注.png"), ("{}.png", "{}のマスク.png"), ("image-{}.png", "{}-labels.png"),
    ("{}.png", "{}_cp_masks.png"), ("de_{}.png", "de_{}_mask.png"),
]  # fmt: skip


@pytest.mark.parametrize(("image", "name"), NAMES)
@pytest.mark.parametrize("folder", ["", "images", "train", "benign"])
def test_one_folder_with_both(tmp_path: Path, image: str, name: str, folder: str) -> None:
    pairs(tmp_path / folder, tmp_path / folder, image, name, missing=1)
    if folder == "benign":  # a folder per class with images and masks
        pairs(tmp_path / "normal", tmp_path / "normal", image, name)
    problems, counts = find_problems(tmp_path)
    assert [problem.code for problem in problems if problem.code != "duplicate-image"] == [
        "image-without-mask"
    ]
    assert counts == {"train": 7 if folder == "benign" else 3}
    scan = scan_dataset(tmp_path, DataOptions())
    assert "told apart by their names" in scan.layout
    for case in scan.cases:
        assert case.files.mask is not None
        assert read_header(case.files.mask).channels == 1
        assert read_header(case.image).channels == 3


@pytest.mark.parametrize("images", ["train", "train_images"])
def test_folders_of_splits_in_pairs(tmp_path: Path, images: str) -> None:
    for split in ("train", "val"):
        folder = tmp_path / images.replace("train", split)
        pairs(folder, tmp_path / f"{split}_masks", "{}.jpg", "{}_mask.png")
    photo(tmp_path / images.replace("train", "test") / "a.png")
    assert find_problems(tmp_path)[1] == {"train": 4, "val": 4, "test": 1}
    assert open_dataset(tmp_path).given_splits == {"train", "val", "test"}


def lossy_colour(path: Path) -> Path:
    with Image.open(mask(path)) as grey:
        pixels = grey.convert("RGB")
    return save(path.with_suffix(".jpeg"), np.asarray(pixels))


def transparent(path: Path) -> Path:
    with Image.open(mask(path)) as grey:
        pixels = grey.convert("RGBA")
    return save(path, np.asarray(pixels))


def object_ids(path: Path) -> Path:
    ids = np.kron(np.arange(1, 25, dtype=np.uint16).reshape(4, 6), np.ones((6, 6), np.uint16))
    return save(path, ids)


def lossy(path: Path) -> Path:
    return mask(path.with_suffix(".jpg"))


@pytest.mark.parametrize("write", [mask, object_ids, lossy, lossy_colour, transparent])
@pytest.mark.parametrize("stem", ["{}", "other{}"])
def test_what_looks_like_masks_is_no_class(tmp_path: Path, write: Callable[[Path], Path], stem: str) -> None:
    for i in range(5):
        photo(tmp_path / "A" / f"{i}.png")
        if i:
            write(tmp_path / "B" / f"{stem.format(i)}.png")
    with pytest.raises(DataError, match=r"B looks like masks(.|\n)*--images DIR --masks DIR"):
        open_dataset(tmp_path)


def test_folders_of_the_same_names_and_sizes_are_no_classes(tmp_path: Path) -> None:
    for name, count in (("a", 5), ("b", 4)):
        for i in range(count):
            photo(tmp_path / name / f"{name}_img{i}.png".removeprefix("a_"))
    assert open_dataset(tmp_path).kinds == {"categories"}  # a_0 and b_0 differ
    for path in (tmp_path / "b").iterdir():
        path.rename(path.with_name(path.name.removeprefix("b_")))
    with pytest.raises(DataError, match=r"a and b hold files of the same names and sizes"):
        open_dataset(tmp_path)
    entries = [{"id": i, "name": name} for i, name in enumerate("ab")]
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": entries}))
    assert open_dataset(tmp_path).kinds == {"categories"}


def test_folders_that_are_classes_after_all(tmp_path: Path) -> None:
    """Numbers that count the photos of each class; words that are no masks; drawings that all look alike."""
    for i in range(5):
        for number, name in enumerate(("cat", "dog")):
            photo(tmp_path / "counted" / name / f"{i + number}.png", (20 + 3 * number + i, 30))
        for name in ("with_mask", "without_mask", "photo"):
            photo(tmp_path / "words" / name / f"{name}{i}.png")
        for name in ("apple", "bat"):
            mask(tmp_path / "drawn" / name / f"{name}{i}.png")
    for folder in ("counted", "words", "drawn"):
        assert open_dataset(tmp_path / folder).kinds == {"categories"}


def test_an_unknown_word_beside_masks_is_named_with_the_options(tmp_path: Path) -> None:
    pairs(tmp_path / "Zellen", tmp_path / "Masken")
    with pytest.raises(DataError, match="--images Zellen --masks Masken"):
        open_dataset(tmp_path)
    for one in (tmp_path / "Masken").iterdir():
        one.rename(one.with_name(f"other{one.name}"))
    (tmp_path / "Masken").rename(tmp_path / "unknown")
    (tmp_path / "Zellen").rename(tmp_path / "images")
    with pytest.raises(DataError, match="--images images --masks unknown"):
        open_dataset(tmp_path)


def test_two_folders_that_could_hold_the_masks(tmp_path: Path) -> None:
    """As in DRIVE, where mask/ holds fields of view."""
    pairs(tmp_path / "images", tmp_path / "mask")
    pairs(tmp_path / "images", tmp_path / "1st_manual")
    with pytest.raises(DataError, match=r"mask, 1st_manual(.|\n)*--masks DIR"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path, DataOptions(masks=Path("1st_manual"))).cases) == 4


@pytest.mark.parametrize(
    ("name", "role", "rest"),
    [
        ("Mask of a", "masks", "a"),
        ("a", None, "a"),
        ("IMG_2034", "images", "2034"),
        ("cellMask12", "masks", "cell 12"),
        ("p1/vérité terrain-3", "masks", "p 1 3"),
        ("3号图像的掩码", "masks", "3 号"),
        ("with_mask", "masks", "with"),
        ("masked", None, "masked"),
        ("label", "masks", ""),
        ("la_mask", "masks", "la"),
        ("masque de la souris 2", "masks", "souris 2"),
    ],
)
def test_words(name: str, role: str | None, rest: str) -> None:
    told = understand(name)
    assert (told.role, " ".join(told.rest)) == (role, rest)


def test_images_and_masks_in_class_folders_without_words(tmp_path: Path) -> None:
    for name in ("benign", "normal"):
        for i in range(4):
            photo(tmp_path / name / f"{name}{i}.png")
            mask(tmp_path / name / f"{name}{i}b.png")
    with pytest.raises(DataError, match="in each folder some files look like masks"):
        open_dataset(tmp_path)


def test_one_folder_named_for_both(tmp_path: Path) -> None:
    pairs(tmp_path / "a", tmp_path / "a", "{}.png", "{}_mask.png")
    named = DataOptions(images=Path("a"), masks=Path("a"))
    assert [case.id for case in open_dataset(tmp_path, named).cases] == ["0", "1", "2", "3"]
    for path in (tmp_path / "a").glob("*_mask.png"):
        path.unlink()
    with pytest.raises(DataError, match="images and masks are one folder"):
        open_dataset(tmp_path, named)


def test_folders_that_nobody_reads_are_told(tmp_path: Path) -> None:
    """A split of another name, masks of another observer; not what is used, nor folders without images."""
    for split in ("train", "dev", "train/second"):
        pairs(tmp_path / split / "images", tmp_path / split / "masks")
    (tmp_path / "notes").mkdir()
    problems, counts = find_problems(tmp_path)
    assert counts == {"train": 4}
    told = [(one.code, one.file, one.message) for one in problems if one.code != "duplicate-image"]
    assert told == [
        ("folder-unused", "dev", "the folder holds 8 image(s) that are not used"),
        ("folder-unused", "train/second", "the folder holds 8 image(s) that are not used"),
    ]
