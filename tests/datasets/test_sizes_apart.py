"""Of images and masks whose headers state different sizes, large ones are not decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.datasets import cache
from reunet.datasets.problems import examine_dataset
from reunet.io import header, images
from reunet.io.images import read_image, read_palette

SMALL, LARGE = (9, 7), (300, 200)


@pytest.fixture
def decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose pixels are decoded; more than 20,000 bytes of them count as large."""
    monkeypatch.setattr(header, "FREE", 20_000)
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "cache")
    found: list[str] = []
    real = images.read_raster

    def counting(path: Path, *arguments: Any, **options: Any) -> np.ndarray:
        found.append(f"{path.parent.name}/{path.name}")
        return real(path, *arguments, **options)

    monkeypatch.setattr(images, "read_raster", counting)
    return found


def save(path: Path, size: tuple[int, int], seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 2, size, np.uint8)).save(path)


def dataset(root: Path, kind: str, image: tuple[int, int], drawn: tuple[int, int]) -> None:
    """Two cases, the first of which has an image and what annotates it of these sizes."""
    for name, of_image, of_mask in (("a", image, drawn), ("b", SMALL, SMALL)):
        save(root / f"train/images/{name}.gif", of_image, ord(name))
        for folder in {kind, "masks"} - {"objects"} if kind == "fov" else {kind}:
            save(root / f"train/{folder}/{name}.png", of_mask if folder == kind else of_image)


@pytest.mark.parametrize("kind", ["masks", "instances", "fov"])
@pytest.mark.parametrize(("image", "drawn", "left"), [(LARGE, SMALL, "a.gif"), (SMALL, LARGE, "a.png")])
def test_large_files_of_another_size_are_not_decoded(
    tmp_path: Path, decoded: list[str], kind: str, image: Any, drawn: Any, left: str
) -> None:
    dataset(tmp_path / "data", kind, image, drawn)
    problems = [
        one for one in examine_dataset(tmp_path / "data", DataOptions())[2] if one.severity == "error"
    ]
    assert [(one.code, one.file) for one in problems] == [("shape-mismatch", f"train/{kind}/a.png")]
    assert (f"images/{left}" if left == "a.gif" else f"{kind}/{left}") not in decoded
    assert "images/b.gif" in decoded


def test_a_large_image_whose_mask_fits_is_decoded(tmp_path: Path, decoded: list[str]) -> None:
    dataset(tmp_path / "data", "masks", LARGE, LARGE)
    assert not [
        one for one in examine_dataset(tmp_path / "data", DataOptions())[2] if one.severity == "error"
    ]
    assert {"images/a.gif", "masks/a.png"} <= set(decoded)


@pytest.mark.parametrize("suffix", ["gif", "png", "bmp"])
def test_colours_of_a_palette_are_known_before_pixels_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path, colours = tmp_path / f"a.{suffix}", np.random.default_rng(0).integers(0, 256, (5, 3), np.uint8)
    image = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5) % 5)
    image.putpalette(colours.tobytes())
    image.save(path)
    expected = read_image(path)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    table = read_palette(path)
    assert table is not None
    np.testing.assert_array_equal(table[:5], colours)
    np.testing.assert_array_equal(expected, colours[np.arange(20).reshape(4, 5) % 5])
