"""TIFF in the variants that microscopes and programs write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from reunet.errors import ImageReadError, TooLargeError, UsageError
from reunet.io.images import read_channel_files, read_header, read_image
from reunet.io.masks import read_mask_file

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("uint8", "uint8"),
        ("uint16", "uint16"),
        ("float32", "float32"),
        ("float64", "float32"),
        ("int16", "uint16"),
    ],
)
@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib", "predictor": True}, {"byteorder": ">"}, {"tile": (16, 16)}]
)
def test_sample_types_and_storage(tmp_path: Path, dtype: str, expected: str, options: dict[str, Any]) -> None:
    pixels = (RNG.random((20, 30)) * 250 + (1000 if "16" in dtype else 0)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    image = read_image(tmp_path / "a.tif")
    assert image.dtype == expected
    np.testing.assert_array_equal(image[..., 0], pixels.astype(expected))


def test_negative_values_become_float(tmp_path: Path) -> None:
    pixels = np.array([[-5, 300], [7, 0]], np.int16)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    image = read_image(tmp_path / "a.tif")
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image[..., 0], pixels)


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (1, 1)])
def test_thin_images_keep_their_shape(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = RNG.integers(0, 9, shape).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], pixels)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_rgb(tmp_path: Path, planar: str, compression: str | None) -> None:
    pixels = RNG.integers(0, 255, (20, 30, 3)).astype(np.uint8)
    stored = pixels if planar == "contig" else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, compression=compression
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), pixels)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_stack_needs_named_axes_and_gives_its_pages(tmp_path: Path, compression: str | None) -> None:
    pixels = RNG.integers(0, 255, (5, 20, 30)).astype(np.uint8)
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, pixels, compression=compression, photometric="minisblack")
    with pytest.raises(ImageReadError, match="--axes"):
        read_image(path)
    assert read_header(path, "ZYX").pages == 5
    for page in range(5):
        np.testing.assert_array_equal(read_image(path, page=page, axes="ZYX")[..., 0], pixels[page])
    with pytest.raises(ImageReadError, match="no such page") as caught:
        read_image(path, page=5, axes="ZYX")
    assert "page 1 to 5" in str(caught.value)  # people count from 1
    assert "page 6" in str(caught.value)
    with pytest.raises(UsageError, match="--axes"):
        read_image(path, page=0, axes="ZQX")
    with pytest.raises(ImageReadError, match="--axes does not fit"):
        read_image(path, page=0, axes="TZYX")


def test_imagej_hyperstack_with_channels(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 255, (5, 3, 20, 30)).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "ZCYX", "unit": "um"}, resolution=(2, 4))
    header = read_header(path)
    assert (header.pages, header.channels, header.spacing) == (5, 3, (0.25, 0.5))
    np.testing.assert_array_equal(read_image(path, page=3), pixels[3].transpose(1, 2, 0))


def test_ome_axes_and_spacing(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 255, (4, 20, 30)).astype(np.uint16)
    path = tmp_path / "a.ome.tif"
    sizes = {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 250.0, "PhysicalSizeYUnit": "nm"}
    tifffile.imwrite(path, pixels, metadata=sizes)
    header = read_header(path)
    assert (header.pages, header.axes, header.spacing) == (4, "TYX", (0.25, 0.5))
    np.testing.assert_array_equal(read_image(path, page=2)[..., 0], pixels[2])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_truncated(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RNG.integers(0, 255, (64, 64)).astype(np.uint8), **options)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ImageReadError, match=r"a\.tif"):
        read_image(path)


def test_a_volume_in_one_page_that_says_it_is_longer_than_its_file(tmp_path: Path) -> None:
    """What a page says of its pieces is believed before memory is asked for them."""
    path = tmp_path / "a.tif"
    volume = RNG.integers(0, 255, (4, 32, 32)).astype(np.uint8)
    kind = {"compression": "zlib", "photometric": "minisblack"}
    tifffile.imwrite(path, volume, volumetric=True, tile=(2, 16, 16), bigtiff=True, **kind)
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["TileByteCounts"]
        place, size = tag.valueoffset, tag.valuebytecount // tag.count
    content = bytearray(path.read_bytes())
    content[place : place + size] = b"\xff" * (size - 1) + b"\x7f"
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match="truncated"):
        read_image(path, page=0, axes="ZYX")


def test_many_channels_count_as_pixels_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reunet.io.header.MAX_PIXELS", 1000)
    pixels = RNG.integers(0, 255, (17, 30, 30)).astype(np.uint8)
    told = {"metadata": {"axes": "CYX"}, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", pixels[:16], **told)
    assert read_image(tmp_path / "a.tif").shape == (30, 30, 16)
    tifffile.imwrite(tmp_path / "b.tif", np.repeat(pixels, 2, axis=0), **told)
    with pytest.raises(TooLargeError, match="too many channels"):
        read_image(tmp_path / "b.tif")


def test_white_is_zero_is_inverted(tmp_path: Path) -> None:
    pixels = np.array([[0, 10], [255, 3]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", 255 - pixels, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], pixels)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int16])
def test_white_is_zero_says_nothing_of_numbers_without_a_white(tmp_path: Path, dtype: Any) -> None:
    pixels = np.array([[0, 10], [-100, 3]], dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    header, image = read_channel_files([tmp_path / "a.tif"])
    np.testing.assert_array_equal(image[..., 0], pixels)
    assert [(one.used, one.grave) for one in header.doubts] == [("the values as they are stored", False)]
    header, raw = read_mask_file(tmp_path / "a.tif")
    np.testing.assert_array_equal(raw, pixels)
    assert not header.doubts


def test_a_file_of_a_set_is_its_own_plane(tmp_path: Path) -> None:
    """Its OME-XML describes the planes of all files of the set."""
    planes = RNG.integers(0, 256, (3, 20, 30), dtype=np.uint8)
    ids = [f"urn:uuid:{number}-1111" for number in "abc"]
    data = "".join(
        f'<TiffData FirstC="{c}" PlaneCount="1"><UUID FileName="{c}.ome.tif">{ids[c]}</UUID></TiffData>'
        for c in range(3)
    )
    channels = "".join(f'<Channel ID="Channel:0:{c}" SamplesPerPixel="1"/>' for c in range(3))
    for c, plane in enumerate(planes):
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{ids[c]}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="30"'
            f' SizeY="20" SizeZ="1" SizeC="3" SizeT="1">{channels}{data}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / f"{c}.ome.tif", plane, description=xml, metadata=None)
    for c, plane in enumerate(planes):
        np.testing.assert_array_equal(read_image(tmp_path / f"{c}.ome.tif")[..., 0], plane)
    (tmp_path / "0.ome.tif").unlink()
    np.testing.assert_array_equal(read_image(tmp_path / "1.ome.tif")[..., 0], planes[1])


@pytest.mark.parametrize(
    ("stated", "false", "what"),
    [
        ("SizeX", 20, "the OME-XML does not fit the pages of the TIFF"),
        ("SizeY", 30, "the OME-XML does not fit the pages of the TIFF"),
        ("SizeC", 1, "the OME-XML leaves out 1 page(s) of the TIFF"),
        ("SizeC", 2, None),
    ],
)
def test_sizes_of_ome_xml_are_held_against_the_pages(
    tmp_path: Path, stated: str, false: int, what: str | None
) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.zeros((2, 20, 30), np.uint8), metadata={"axes": "CYX"})
    true = {"SizeX": 30, "SizeY": 20, "SizeC": 2}[stated]
    told = path.read_bytes()
    assert f'{stated}="{true}"'.encode() in told
    path.write_bytes(told.replace(f'{stated}="{true}"'.encode(), f'{stated}="{false}"'.encode()))
    doubts = read_header(path).doubts
    assert [(doubt.what, doubt.grave) for doubt in doubts] == ([] if what is None else [(what, True)])
    assert all(f"{stated} {false}" in doubt.used + doubt.other for doubt in doubts)


def test_a_stack_that_is_written_again_is_read_anew(tmp_path: Path) -> None:
    """What is known of a stack is kept for its next page."""
    path = tmp_path / "a.tif"
    for value in range(3):
        stack = np.full((2, 20, 30), value, np.uint8)
        tifffile.imwrite(path, stack, compression="zlib", metadata={"axes": "ZYX"})
        assert [read_image(path, page=page).max() for page in (0, 1)] == [value, value]
