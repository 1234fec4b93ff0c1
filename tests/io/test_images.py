"""Images of every format come back as stored; what cannot be read says why."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import reunet.io.header
from reunet.errors import ImageReadError, ReunetError, TooLargeError
from reunet.io.images import read_header, read_image


@pytest.fixture
def noise() -> np.ndarray:
    """(20, 30, 3) uint16 over the whole range."""
    return np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_8_bit_files_round_trip(tmp_path: Path, noise: np.ndarray, suffix: str, channels: int) -> None:
    pixels = (noise >> 8).astype(np.uint8)[..., :channels]
    path = tmp_path / f"image{suffix}"
    Image.fromarray(pixels.squeeze()).save(path)
    np.testing.assert_array_equal(read_image(path), pixels)
    header = read_header(path)
    assert (header.size, header.channels, header.dtype, header.lossy) == ((20, 30), channels, "uint8", False)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_png_keeps_all_bits(tmp_path: Path, noise: np.ndarray, channels: int) -> None:
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), noise[..., ::-1] if channels == 3 else noise[..., 0])
    image = read_image(path)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, noise[..., :channels])
    assert read_header(path).dtype == "uint16"


def test_bilevel_becomes_0_and_255(tmp_path: Path, noise: np.ndarray) -> None:
    bits = noise[..., 0] > 30000
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.png")[..., 0], bits * np.uint8(255))


def test_palette_image_gets_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.save(tmp_path / "palette.png")
    expected = np.array([[[10, 20, 30], [200, 100, 0]], [[200, 100, 0], [10, 20, 30]]], np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), expected)
    assert read_header(tmp_path / "palette.png").palette


def test_photo_is_turned_as_its_tag_says(tmp_path: Path) -> None:
    pixels = np.zeros((16, 48, 3), np.uint8)
    pixels[:, :16] = 250  # left third bright
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: left becomes top
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "photo.jpg")
    assert image.shape == (48, 16, 3)
    assert read_header(tmp_path / "photo.jpg").size == (48, 16)
    assert image[:12].min() > 200 > 50 > image[20:].max()


def test_opaque_alpha_is_dropped_and_any_other_refused(tmp_path: Path, noise: np.ndarray) -> None:
    pixels = np.full((20, 30, 4), 255, np.uint8)
    pixels[..., :3] = noise >> 8
    Image.fromarray(pixels).save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.png"), pixels[..., :3])
    pixels[3, 4, 3] = 254
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    with pytest.raises(ImageReadError, match="alpha") as caught:
        read_image(tmp_path / "clear.png")
    assert "without the alpha" in str(caught.value)


def test_channels_of_a_microscope_are_no_alpha(tmp_path: Path) -> None:
    """The file names its axes; a saturated last channel is one all the same."""
    pixels = np.random.default_rng(0).integers(0, 255, (4, 20, 30)).astype(np.uint8)
    pixels[3] = 255
    for count in (2, 4):
        tifffile.imwrite(tmp_path / "a.tif", pixels[:count], imagej=True, metadata={"axes": "CYX"})
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), pixels[:count].transpose(1, 2, 0))
        assert read_header(tmp_path / "a.tif").channels == count
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", page=2, axes="ZYX")[..., 0], pixels[2])


def test_animated_gif_is_explained(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((20, 30), value, np.uint8)) for value in (0, 100, 200)]
    frames[0].save(tmp_path / "still.gif")
    assert read_image(tmp_path / "still.gif").shape == (20, 30, 1)
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    for read in (read_header, read_image):
        with pytest.raises(ImageReadError, match="animated GIF") as caught:
            read(tmp_path / "film.gif")
        assert "single images" in str(caught.value)
        assert "--axes" not in str(caught.value)


def test_jpeg_is_lossy_whatever_its_suffix(tmp_path: Path, noise: np.ndarray) -> None:
    Image.fromarray((noise >> 8).astype(np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "b.png")
    assert read_header(tmp_path / "b.png").lossy
    assert read_image(tmp_path / "b.png").shape == (20, 30, 3)


@pytest.mark.parametrize("name", ["deep.png", "grey.png", "photo.jpg", "plain.bmp"])
def test_truncated_files_are_named(tmp_path: Path, noise: np.ndarray, name: str) -> None:
    path = tmp_path / name
    pixels = noise if name == "deep.png" else (noise >> 8).astype(np.uint8)
    cv2.imwrite(str(path), pixels[..., 0] if name == "grey.png" else pixels)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ImageReadError, match=name):
        read_image(path)


def test_size_limit_holds_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(np.zeros((100, 100), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:60])  # a header and hardly any pixels: decoding would fail otherwise
    monkeypatch.setattr(reunet.io.header, "MAX_PIXELS", 9_999)
    with pytest.raises(TooLargeError, match="100 x 100"):
        read_image(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_raise_only_our_errors(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes of valid files, some of them changed, and plain garbage."""
    good = tmp_path / "good.png"
    kind = data.draw(st.sampled_from([".png", ".jpg", ".bmp", ".gif", ".tif"]))
    good = tmp_path / f"good{kind}"
    if not good.exists():
        Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)).save(good)
    content = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    bad = tmp_path / f"bad{kind}"
    bad.write_bytes(bytes(content))
    try:
        image = read_image(bad)
    except ReunetError:
        return
    assert image.ndim == 3
    assert image.shape[2] in (1, 3)


def test_a_chunk_that_announces_more_than_the_file_is_refused(tmp_path: Path) -> None:
    """Pillow asks for the memory that it announces, here 2 GB."""
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(72, dtype=np.uint8).reshape(6, 12)).save(path)
    data = path.read_bytes()
    at = data.index(b"IDAT") - 4
    path.write_bytes(data[:at] + (2**31).to_bytes(4, "big") + data[at + 4 :])
    for read in (read_header, read_image):
        with pytest.raises(ImageReadError, match="ends within its pixels"):
            read(path)
