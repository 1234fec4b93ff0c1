"""Faults of datasets, one test per kind: found, named with file and remedy, and all in one list."""

from __future__ import annotations

import os
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Problem
from reunet.datasets.scan import open_dataset
from reunet.datasets.splits import make_splits
from reunet.errors import DataError, ImageReadError, LabelError, TooLargeError
from reunet.io.annotations.tools.cellpose import read_masks
from reunet.io.images import read_image
from reunet.io.lazy import lazy_header
from reunet.io.masks import encode_mask
from reunet.io.render import to_display

from ..datasets.examined import find_problems

SIZE = (12, 16)
CLASSES = '{"classes": [{"id": 0, "name": "background"}, {"id": 1, "name": "cell"}]}'


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)


def pair(root: Path, name: str, seed: int, split: str = "train") -> None:
    rng = np.random.default_rng(seed)
    save(root / split / "images" / f"{name}.png", rng.integers(0, 255, SIZE).astype(np.uint8))
    save(root / split / "masks" / f"{name}.png", rng.integers(0, 2, SIZE).astype(np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A sound dataset of 4 + 2 images."""
    data = tmp_path / "data"
    for i in range(4):
        pair(data, f"a{i}", i)
    for i in range(2):
        pair(data, f"t{i}", 100 + i, "test")
    (data / "dataset.json").write_text(CLASSES)
    return data


def only(root: Path, options: DataOptions | None = None) -> Problem:
    problems, _ = find_problems(root, options)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_sound_dataset_has_no_problem(root: Path) -> None:
    assert find_problems(root) == ([], {"train": 4, "test": 2})


@pytest.mark.fault(
    "an empty or wrong folder", "an error that names what was expected and what is there instead"
)
def test_an_empty_or_wrong_folder(tmp_path: Path, root: Path) -> None:
    with pytest.raises(DataError, match="does not exist") as caught:
        find_problems(tmp_path / "dat")
    assert "data" in str(caught.value)  # the folder that was meant
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images folder"):
        find_problems(tmp_path / "empty")
    wrong = tmp_path / "wrong"
    for i in range(9):
        (wrong / "images").mkdir(parents=True, exist_ok=True)
        (wrong / "images" / f"{i}.txt").write_text("x")
    with pytest.raises(DataError, match=r"\.png") as caught:
        find_problems(wrong)
    assert "0.txt, 1.txt, 2.txt, 3.txt, 4.txt" in str(caught.value)


@pytest.mark.fault(
    "an image without mask, a mask without image, a name used twice", "one error that lists every case"
)
def test_missing_partners_and_doubled_stems(root: Path) -> None:
    (root / "train/masks/a0.png").unlink()
    (root / "train/images/a1.png").unlink()
    save(root / "test/images/t0.bmp", np.zeros(SIZE, np.uint8))
    problems, _ = find_problems(root)
    assert {(one.code, one.file) for one in problems if one.severity == "error"} == {
        ("image-without-mask", "train/images/a0.png"),
        ("mask-without-image", "train/masks/a1.png"),
        ("same-stem", "test/images/t0.bmp"),
    }
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    for name in ("a0.png", "a1.png", "t0.bmp"):
        assert name in str(caught.value)


@pytest.mark.fault(
    "image and mask have different sizes", "an error with the file and both sizes; nothing is resized"
)
def test_a_mask_of_another_size(root: Path) -> None:
    save(root / "train/masks/a2.png", np.zeros((16, 12), np.uint8))
    problem = only(root)
    assert (problem.code, problem.file) == ("shape-mismatch", "train/masks/a2.png")
    assert "12 x 16" in problem.expected
    assert "16 x 12" in problem.received


@pytest.mark.fault(
    "spacing, origin or direction differ", "an error unless `--allow-geometry-mismatch`, then a warning"
)
def test_a_mask_of_another_pixel_size(root: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 2, SIZE).astype(np.uint8)
    for folder, resolution in (("images", 2.0), ("masks", 3.0)):
        (root / f"train/{folder}/a0.png").unlink()
        facts = {"imagej": True, "metadata": {"unit": "um"}, "resolution": (resolution, resolution)}
        tifffile.imwrite(root / f"train/{folder}/a0.tif", pixels, **facts)
    problem = only(root)
    assert (problem.severity, problem.code) == ("error", "spacing-mismatch")
    assert "0.5 x 0.5" in problem.expected
    assert "--allow-geometry-mismatch" in problem.fix
    assert only(root, DataOptions(allow_geometry_mismatch=True)).severity == "warning"


@pytest.mark.fault(
    "NaN, infinity or numbers beyond float32 among the pixels",
    "`check` names the file and counts them; training refuses",
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_pixels_that_are_not_finite(root: Path, value: float) -> None:
    pixels = np.random.default_rng(0).random(SIZE)
    pixels[2, 3] = pixels[4, 5] = value
    (root / "train/images/a0.png").unlink()
    save(root / "train/images/a0.tif", pixels)
    errors = [one for one in find_problems(root)[0] if one.severity == "error"]
    assert [(one.code, one.file) for one in errors] == [("not-finite", "train/images/a0.tif")]
    assert errors[0].received.startswith("2 ")


@pytest.mark.fault(
    "mask values that are no class: 255, -1, 70,000",
    "an error that lists values and pixels, before any framework is loaded",
)
@pytest.mark.parametrize("value", [255, 2, -1, 70_000])
def test_mask_values_that_are_no_class(root: Path, value: int) -> None:
    mask = np.zeros(SIZE, np.int32)
    mask[0, :3] = value
    (root / "train/masks/a3.png").unlink()
    save(root / "train/masks/a3.tif", mask)
    problem = only(root)
    assert (problem.code, problem.file) == ("mask-values", "train/masks/a3.tif")
    assert f"{value} (3 pixels)" in problem.received
    assert "0 background, 1 cell" in problem.expected
    assert "--classes" in problem.fix


@pytest.mark.fault("gaps in the mask values, and no class list", "an error that asks for the class list")
def test_a_gap_in_the_mask_values_without_a_class_list(root: Path) -> None:
    (root / "dataset.json").unlink()
    mask = np.zeros(SIZE, np.uint8)
    mask[0] = 5
    save(root / "train/masks/a0.png", mask)
    with pytest.raises(LabelError, match="--classes FILE"):
        open_dataset(root)
    assert [one.code for one in find_problems(root)[0]] == ["class-list"]


@pytest.mark.fault(
    "masks as JPEG, RGB, palette, float or 0 and 255",
    "read where they are clear, else an error that says how to export or map them",
)
def test_masks_as_jpeg_rgb_palette_float_and_0_255(root: Path) -> None:
    mask = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(np.uint8)
    (root / "dataset.json").unlink()
    folder = root / "train/masks"

    def opened(write: object) -> LabelMap:
        for file in [*folder.iterdir(), *(root / "train/images").iterdir()]:
            file.unlink()
        for i in range(2):
            save(
                root / f"train/images/{i}.png",
                np.random.default_rng(i).integers(0, 9, (64, 64)).astype(np.uint8),
            )
            write(i)  # type: ignore[operator]
        return open_dataset(root).labels

    assert opened(lambda i: save(folder / f"{i}.png", mask * np.uint8(255))).encoding == "binary_255"
    assert opened(lambda i: save(folder / f"{i}.png", mask)).encoding == "index"
    assert opened(lambda i: save(folder / f"{i}.tif", mask.astype(np.float32))).encoding == "index"
    palette = Image.fromarray(mask)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert opened(lambda i: palette.save(folder / f"{i}.png")).classes[1].color == (255, 0, 0)
    with pytest.raises(LabelError, match="--colors"):
        opened(lambda i: save(folder / f"{i}.png", np.stack([mask * 200, mask, mask], -1)))
    with pytest.raises(LabelError, match="JPEG"):
        opened(lambda i: save(folder / f"{i}.jpg", mask * np.uint8(255)))
    with pytest.raises(DataError, match="no mask could be read"):
        opened(lambda i: save(folder / f"{i}.tif", mask * np.float32(0.3)))


def test_masks_that_contradict_the_class_list(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a0", "a1", "a2"):
        (root / f"train/masks/{name}.png").unlink()
    save(root / "train/masks/a0.jpg", (rng.random(SIZE) > 0.5).astype(np.uint8) * np.uint8(255))
    save(root / "train/masks/a1.png", rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8))
    save(root / "train/masks/a2.tif", rng.random(SIZE).astype(np.float32))
    found = {one.file.rpartition("/")[2]: one for one in find_problems(root)[0]}
    assert {name: one.code for name, one in found.items()} == {
        "a0.jpg": "mask-lossy", "a1.png": "mask-colours", "a2.tif": "mask-fractional",
    }  # fmt: skip
    assert all(one.fix for one in found.values())


@pytest.mark.fault(
    "a class that a split lacks; masks of background only", "a warning; the score is undefined, not 0 or 1"
)
def test_an_absent_class_and_masks_of_background_only(root: Path) -> None:
    for path in (root / "test/masks").iterdir():
        save(path, np.zeros(SIZE, np.uint8))
    problem = only(root)
    assert (problem.severity, problem.code, problem.file) == ("warning", "no-foreground", "test")
    (root / "dataset.json").write_text(CLASSES.replace("]}", ', {"id": 2, "name": "rare"}]}'))
    problems = [one for one in find_problems(root)[0] if one.file == "train"]
    assert [(one.severity, one.code, one.received) for one in problems] == [
        ("warning", "class-absent", "rare")
    ]


@pytest.mark.fault(
    "constant, 16-bit, float and huge-range images",
    "finite input; how intensities are normalised stands in the plan",
)
def test_constant_16_bit_float_and_huge_range_images(root: Path) -> None:
    rng = np.random.default_rng(0)
    contents = {
        "a0": np.full(SIZE, 7, np.uint8),
        "a1": rng.integers(0, 65535, SIZE).astype(np.uint16),
        "a2": rng.random(SIZE).astype(np.float32) * 300,
        "a3": np.where(rng.random(SIZE) > 0.5, 1.6e38, -1.6e38).astype(np.float32),
    }
    for name, pixels in contents.items():
        (root / f"train/images/{name}.png").unlink()
        save(root / f"train/images/{name}.tif", pixels)
        assert np.isfinite(read_image(root / f"train/images/{name}.tif")).all()
        assert to_display(pixels).dtype == np.uint8
    problems, _ = find_problems(root)
    assert {(one.severity, one.code) for one in problems} == {
        ("warning", "constant-image"), ("warning", "mixed-sample-types"),
    }  # fmt: skip


@pytest.mark.fault(
    "truncated or corrupt files in a dataset, text named .png", "each is named, the others are read"
)
def test_damaged_files_are_named_and_the_others_still_read(root: Path) -> None:
    content = (root / "train/images/a0.png").read_bytes()
    (root / "train/images/a0.png").write_bytes(content[: len(content) // 2])
    (root / "train/images/a1.png").write_text("hello, I am a text")
    (root / "train/masks/a2.png").write_bytes(b"")
    save(root / "train/masks/a3.png", np.full(SIZE, 9, np.uint8))
    problems, counts = find_problems(root)
    assert {(one.code, one.file) for one in problems if one.severity == "error"} == {
        ("image-unreadable", "train/images/a0.png"),
        ("image-unreadable", "train/images/a1.png"),
        ("mask-unreadable", "train/masks/a2.png"),
        ("mask-values", "train/masks/a3.png"),
    }
    assert counts == {"train": 4, "test": 2}


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that announces width x height pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.fault(
    "an image that announces more pixels than memory holds", "refused by its header, nothing is decoded"
)
def test_an_image_bomb_is_not_decoded(root: Path) -> None:
    (root / "train/images/a0.png").write_bytes(bomb(60_000, 60_000))
    with pytest.raises(TooLargeError, match="60000 x 60000"):
        read_image(root / "train/images/a0.png")
    assert [one.code for one in find_problems(root)[0]] == ["image-too-large"]
    tiff = root / "bomb.tif"
    tifffile.imwrite(tiff, np.zeros((4, 4), np.uint8), compression="zlib")
    with tifffile.TiffFile(tiff, mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages.first.tags[tag].overwrite(60_000)
    with pytest.raises(TooLargeError):
        read_image(tiff)
    sparse = root / "sparse.tif"  # a strip of no bytes stands for zeros
    tifffile.imwrite(sparse, np.zeros((4, 4, 32), np.uint8), planarconfig="contig", photometric="minisblack")
    with tifffile.TiffFile(sparse, mode="r+") as file:
        for tag, value in (("ImageWidth", 9_000), ("ImageLength", 9_000), ("RowsPerStrip", 9_000)):
            file.pages.first.tags[tag].overwrite(value)
        file.pages.first.tags["StripByteCounts"].overwrite(0)
    with pytest.raises(TooLargeError, match="too small for all the pixels"):
        read_image(sparse)


@pytest.mark.fault(
    "a box of JPEG 2000, a chunk of PNG or a header of .npy that announces gigabytes",
    "refused; no memory is taken for it",
)
@pytest.mark.parametrize("kind", ["jp2", "png", "npy", "seg.npy"])
def test_a_part_that_announces_gigabytes(kind: str, root: Path) -> None:
    """Python takes the memory that is asked for before it reads."""
    path = root / f"a.{kind}"
    if kind == "jp2":
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
        whole = path.read_bytes()
        at = whole.index(b"jp2h") - 4
        path.write_bytes(whole[:at] + struct.pack(">I", 2**30) + whole[at + 4 :])
    elif kind == "png":
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
        whole = path.read_bytes()
        path.write_bytes(whole[:-12] + struct.pack(">I", 2**30) + b"eXIf")
    else:
        path.write_bytes(np.lib.format.magic(2, 0) + struct.pack("<I", 2**30) + b"{'descr': '<f4'}")
    reading: dict[str, Callable[[], object]] = {
        "jp2": lambda: read_image(path),
        "png": lambda: read_image(path),
        "npy": lambda: lazy_header(path, rank=2),
        "seg.npy": lambda: read_masks(path),
    }
    tracemalloc.start()
    try:
        with pytest.raises((ImageReadError, LabelError)):
            reading[kind]()
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "name", ["Zürich 1", "日本語 スライド", "a" * 200, "quote'\"", "dot.in.name", "per%cent #1"]
)
def test_difficult_names(root: Path, name: str) -> None:
    if sys.platform == "win32" and '"' in name:
        pytest.skip("Windows allows no quotation mark in a name")
    pair(root, name, 50)
    assert find_problems(root) == ([], {"train": 5, "test": 2})
    assert name in {case.id for case in open_dataset(root).cases}


def test_a_read_only_dataset_and_names_that_differ_only_in_case(root: Path) -> None:
    pair(root, "A0", 51)
    if len(list((root / "train/images").iterdir())) == 5:  # not on a file system that ignores case
        problem = only(root)
        assert (problem.severity, problem.code) == ("warning", "case-collision")
    os.chmod(root / "train/images", 0o555)
    try:
        find_problems(root)
    finally:
        os.chmod(root / "train/images", 0o755)


@pytest.mark.fault("no case can be held out", "an error that says how many are needed")
def test_no_case_can_be_held_out(root: Path) -> None:
    for i in range(1, 4):
        for folder in ("images", "masks"):
            (root / f"train/{folder}/a{i}.png").unlink()
    problem = only(root)
    assert (problem.severity, problem.code) == ("error", "too-few-cases")
    with pytest.raises(DataError, match="held out"):
        make_splits(open_dataset(root))


@pytest.mark.fault("the same image in two splits", "an error")
def test_an_identical_image_in_two_splits(root: Path) -> None:
    with Image.open(root / "train/images/a0.png") as image:
        image.save(root / "test/images/t0.png", compress_level=0)  # other bytes, the same pixels
    problem = only(root)
    assert (problem.severity, problem.code) == ("error", "identical-image")
    assert problem.file == "train/images/a0.png"
    assert "test/images/t0.png" in problem.received
    save(root / "test/images/t0.png", np.array(Image.open(root / "test/images/t1.png")))
    problem = only(root)
    assert (problem.severity, problem.code) == ("warning", "duplicate-image")


@pytest.mark.fault(
    "one patient in two given splits", "a warning, repeated in the report; splits of our own never share one"
)
def test_a_group_in_two_splits_is_a_warning(root: Path) -> None:
    (root / "train/items.csv").write_text("stem,patient\n" + "".join(f"a{i},p{i}\n" for i in range(4)))
    (root / "test/items.csv").write_text("stem,patient\nt0,p1\nt1,q\n")
    problem = only(root, DataOptions(group="patient"))
    assert (problem.severity, problem.code) == ("warning", "shared-group")
    assert "(p1)" in problem.message


def test_all_problems_come_at_once(root: Path) -> None:
    """One look gives every kind of problem, errors first."""
    (root / "train/masks/a0.png").unlink()
    (root / "train/images/a1.png").write_text("text")
    save(root / "train/masks/a2.png", np.full(SIZE, 3, np.uint8))
    save(root / "test/images/t0.png", np.full(SIZE, 3, np.uint8))
    problems, _ = find_problems(root)
    assert [one.severity for one in problems] == ["error"] * 3 + ["warning"] * (len(problems) - 3)
    assert {one.code for one in problems} >= {
        "image-without-mask",
        "image-unreadable",
        "mask-values",
        "constant-image",
    }


def test_error_texts_say_what_where_expected_received_fix() -> None:
    labels = LabelMap(classes=default_classes([0, 1]))
    with pytest.raises(LabelError) as caught:
        encode_mask(np.array([[4]], np.uint8), labels, "masks/a.png")
    for part in (
        "where:    masks/a.png",
        "expected: 0 background, 1 foreground",
        "received: 4 (1 pixels)",
        "fix:",
    ):
        assert part in str(caught.value)
    with pytest.raises(ImageReadError, match="where:"):
        read_image(Path("nowhere.png"))
