"""WebP, JPEG 2000, JPEG XL and AVIF: all bits, upright, and refused before decoding where too large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

import reunet.io.header
from reunet.errors import ImageReadError, TooLargeError
from reunet.io.images import read_header, read_image
from reunet.io.masks import read_raw_mask

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(kind: str, pixels: np.ndarray, bits: int = 8) -> bytes:
    """Without loss."""
    if kind == "webp":
        return bytes(imagecodecs.webp_encode(pixels, lossless=True))
    if kind == "jxl":
        return bytes(imagecodecs.jpegxl_encode(pixels, lossless=True))
    if kind == "avif":
        return bytes(imagecodecs.avif_encode(pixels, level=100, bitspersample=bits))
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat=kind, bitspersample=bits))


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["webp", "jxl", "avif", "jp2", "j2k"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_masks(tmp_path: Path, kind: str, channels: int) -> None:
    if (kind, channels) == ("webp", 1):
        pytest.skip("WebP holds colours only")
    path = save(tmp_path / f"a.{kind}", encoded(kind, RGB[..., :channels].squeeze()))
    header = read_header(path)
    assert (header.size, header.channels, header.dtype) == ((20, 30), channels, "uint8")
    assert header.lossy == (kind == "avif")
    np.testing.assert_array_equal(read_image(path), RGB[..., :channels])
    np.testing.assert_array_equal(read_raw_mask(path), RGB[..., :channels].squeeze())


@pytest.mark.parametrize(
    ("kind", "bits"), [("jxl", 16), ("avif", 10), ("avif", 12), ("jp2", 16), ("j2k", 12)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_more_than_8_bits_are_kept(tmp_path: Path, kind: str, bits: int, channels: int) -> None:
    deep = RNG.integers(0, 2**bits, (20, 30, channels)).astype(np.uint16)
    path = save(tmp_path / f"a.{kind}", encoded(kind, deep.squeeze(), bits))
    assert read_header(path).dtype == "uint16"
    np.testing.assert_array_equal(read_image(path), deep)


def test_signed_jpeg_2000(tmp_path: Path) -> None:
    signed = RNG.integers(-3000, 3000, (20, 30)).astype(np.int16)
    path = save(tmp_path / "a.jp2", bytes(imagecodecs.jpeg2k_encode(signed, level=0)))
    np.testing.assert_array_equal(read_image(path)[..., 0], signed)


@pytest.mark.parametrize("kind", ["webp", "jxl", "jp2"])
def test_alpha_is_opaque_or_refused(tmp_path: Path, kind: str) -> None:
    pixels = np.concatenate([RGB, np.full_like(RGB[..., :1], 255)], axis=-1)
    np.testing.assert_array_equal(read_image(save(tmp_path / f"a.{kind}", encoded(kind, pixels))), RGB)
    pixels[2:9, :, 3] = 9
    path = save(tmp_path / f"b.{kind}", encoded(kind, pixels))
    with pytest.raises(ImageReadError, match="alpha"):
        read_image(path)


def test_avif_is_turned_as_it_says(tmp_path: Path) -> None:
    exif, path = Image.Exif(), tmp_path / "a.avif"
    exif[0x0112] = 6
    Image.fromarray(RGB).save(path, exif=exif, quality=100)
    assert read_header(path).size == (30, 20) == read_image(path).shape[:2]


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.avif"])
def test_animations_are_refused(tmp_path: Path, name: str) -> None:
    frames = [Image.fromarray(np.roll(RGB, shift, 0)) for shift in range(3)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageReadError, match="animated"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("kind", ["webp", "jxl", "avif", "jp2", "j2k"])
def test_size_limit_and_truncation(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(kind, RGB)
    path = save(tmp_path / f"a.{kind}", content)
    short = save(tmp_path / f"b.{kind}", content[: len(content) // 2])
    with pytest.raises(ImageReadError, match=r"b\."):
        read_image(short)
    monkeypatch.setattr(reunet.io.header, "MAX_PIXELS", 500)
    with pytest.raises(TooLargeError, match="20 x 30"):
        read_image(path)


def test_jfif_is_jpeg(tmp_path: Path) -> None:
    options: dict[str, Any] = {"format": "JPEG", "quality": 100}
    Image.fromarray(RGB).save(tmp_path / "a.jfif", **options)
    assert read_header(tmp_path / "a.jfif").lossy
