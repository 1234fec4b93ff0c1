"""Masks: what a value stands for, what is refused, and files that carry ids and colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reunet.contracts.labels import IGNORE, LabelMap, default_classes
from reunet.errors import LabelError
from reunet.io.masks import encode_mask, read_mask, read_raw_mask, write_mask

BINARY = LabelMap(classes=default_classes([0, 1]), encoding="binary_255")
INDEX = LabelMap(classes=default_classes([0, 3, 7]), ignore=11)
COLOURS = INDEX.model_copy(update={"encoding": "rgb", "ignore": None, "ignore_color": (9, 9, 9)})


def test_index_binary_and_ignore() -> None:
    np.testing.assert_array_equal(encode_mask(np.array([[0, 255]], np.uint8), BINARY, "m"), [[0, 1]])
    np.testing.assert_array_equal(
        encode_mask(np.array([[7, 3, 0, 11]], np.uint8), INDEX, "m"), [[2, 1, 0, IGNORE]]
    )


@given(
    st.lists(st.integers(-3, 70_000), min_size=1, max_size=30), st.sampled_from(["int32", "int64", "float"])
)
@settings(max_examples=100, deadline=None)
def test_agrees_with_the_plain_definition(values: list[int], dtype: str) -> None:
    """Any integers, dense or far apart: the class of each value, or an error naming each stranger once."""
    labels = LabelMap(classes=default_classes([0, 2, 60_000]), ignore=65_535)
    table = {0: 0, 2: 1, 60_000: 2, 65_535: IGNORE}
    raw = np.array([values], "int64" if dtype == "float" else dtype)
    strangers = {value for value in values if value not in table}
    if strangers:
        with pytest.raises(LabelError, match=rf"{len(strangers)} value\(s\)"):
            encode_mask(raw, labels, "m")
    else:
        np.testing.assert_array_equal(encode_mask(raw, labels, "m"), [[table[value] for value in values]])


def test_unexpected_values_are_counted() -> None:
    raw = np.array([[0, 5, 5, 7, 9]], np.uint8)
    with pytest.raises(LabelError) as caught:
        encode_mask(raw, INDEX, "masks/a.png")
    text = str(caught.value)
    assert "5 (2 pixels), 9 (1 pixels)" in text
    assert "masks/a.png" in text
    assert "7 class_7" in text
    assert "--classes" in text


def test_rgb_masks_by_colour(tmp_path: Path) -> None:
    indices = np.array([[0, 1], [2, 1]])
    rgb = COLOURS.colors()[indices]
    Image.fromarray(rgb).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", COLOURS), indices)
    rgb[0, 0] = (9, 9, 9)
    assert encode_mask(rgb, COLOURS, "m")[0, 0] == IGNORE
    rgb[0, 0] = (1, 2, 3)
    with pytest.raises(LabelError, match=r"\(1, 2, 3\) \(1 pixels\)"):
        encode_mask(rgb, COLOURS, "m")
    with pytest.raises(LabelError, match="--colors"):
        encode_mask(rgb, INDEX, "m")


def test_grey_saved_as_rgb_counts_as_grey(tmp_path: Path) -> None:
    grey = np.array([[0, 255], [255, 0]], np.uint8)
    Image.fromarray(np.repeat(grey[..., None], 3, -1)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", BINARY), grey // 255)


def test_palette_file_gives_indices_not_colours(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 3], [7, 0]], np.uint8))
    image.putpalette([255, 0, 0] * 8)
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_raw_mask(tmp_path / "m.png"), [[0, 3], [7, 0]])


def test_float_masks(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "whole.tif", np.array([[0.0, 3.0]], np.float32))
    np.testing.assert_array_equal(read_mask(tmp_path / "whole.tif", INDEX), [[0, 1]])
    tifffile.imwrite(tmp_path / "part.tif", np.array([[0.0, 0.5]], np.float32))
    with pytest.raises(LabelError, match="not whole numbers"):
        read_mask(tmp_path / "part.tif", INDEX)


def test_jpeg_mask_is_explained(tmp_path: Path) -> None:
    mask = (np.random.default_rng(0).random((32, 32)) > 0.5).astype(np.uint8) * 255
    Image.fromarray(mask).save(tmp_path / "m.jpg", quality=60)
    with pytest.raises(LabelError, match="JPEG"):
        read_mask(tmp_path / "m.jpg", BINARY)


def test_png_carries_ids_and_colours(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 2], [2, IGNORE, 0]], np.uint8)
    write_mask(tmp_path / "m.png", indices, INDEX)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", INDEX), indices)
    with Image.open(tmp_path / "m.png") as file:
        assert file.mode == "P"
        np.testing.assert_array_equal(np.asarray(file)[0], [0, 3, 7])
        assert file.convert("RGB").getpixel((2, 0)) == INDEX.classes[2].color


def test_large_ids_and_stacks_go_to_tiff(tmp_path: Path) -> None:
    large = LabelMap(classes=default_classes([0, 300]))
    indices = np.array([[0, 1], [1, 0]], np.uint8)
    with pytest.raises(LabelError, match=r"\.tif"):
        write_mask(tmp_path / "m.png", indices, large)
    write_mask(tmp_path / "m.tif", indices, large)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", large), indices)
    stack = np.stack([indices, 1 - indices, indices])
    write_mask(tmp_path / "s.tif", stack, INDEX)
    for page in range(3):
        np.testing.assert_array_equal(read_mask(tmp_path / "s.tif", INDEX, page, "ZYX"), stack[page])


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", np.zeros((2, 2), np.uint8), INDEX)
    before = (tmp_path / "m.png").read_bytes()
    with pytest.raises(LabelError):
        write_mask(tmp_path / "m.png", np.zeros((3, 2, 2), np.uint8), INDEX)
    assert (tmp_path / "m.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]
