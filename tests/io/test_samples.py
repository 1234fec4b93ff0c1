"""What a file says of its samples holds for header, whole image and part, for images and masks alike."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, TiffImagePlugin

from reunet.errors import ImageReadError, ReunetError
from reunet.io.annotations.instances import read_instances
from reunet.io.images import read_header, read_image
from reunet.io.lazy import open_lazily
from reunet.io.masks import read_fov, read_mask_file, read_raw_mask

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
PART = (slice(3, 11), slice(7, 19))


def raw_tiff(path: Path, content: bytes, tags: dict[int, Any], *, order: str = "<") -> Path:
    """A TIFF of one strip with just these tags; a value is a number, or several of 16 bits."""
    count = len(tags) + 2
    after = 8 + 2 + 12 * count + 4
    extra = b""
    entries = []
    for code, value in sorted({**tags, 273: None, 279: len(content)}.items()):
        if isinstance(value, tuple) and len(value) > 2:
            entries.append(struct.pack(order + "HHII", code, 3, len(value), after + len(extra)))
            extra += struct.pack(f"{order}{len(value)}H", *value)
        elif isinstance(value, tuple):
            entries.append(struct.pack(order + "HHI2H", code, 3, 2, *value))
        else:
            entries.append((code, value))
    block = b"".join(
        one
        if isinstance(one, bytes)
        else struct.pack(order + "HHII", one[0], 4, 1, after + len(extra) if one[1] is None else one[1])
        for one in entries
    )
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, count)
    path.write_bytes(start + block + bytes(4) + extra + content)
    return path


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """As Pillow turns it."""
    image = Image.fromarray(pixels)
    ways = Image.Transpose
    way = {
        2: ways.FLIP_LEFT_RIGHT,
        3: ways.ROTATE_180,
        4: ways.FLIP_TOP_BOTTOM,
        5: ways.TRANSPOSE,
        6: ways.ROTATE_270,
        7: ways.TRANSVERSE,
        8: ways.ROTATE_90,
    }.get(orientation)
    return np.asarray(image if way is None else image.transpose(way))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "options", [{}, {"tile": (16, 16)}, {"compression": "lzw", "rowsperstrip": 7}], ids=str
)
def test_tiff_is_turned_whole_and_in_parts(tmp_path: Path, orientation: int, options: dict[str, Any]) -> None:
    path, expected = tmp_path / "a.tif", turned(RGB, orientation)
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(
        path, RGB, photometric="rgb", extratags=[tag], resolution=(1000, 500), resolutionunit=3, **options
    )
    header = read_header(path)
    assert header.size == expected.shape[:2]
    assert header.spacing == ((20.0, 10.0) if orientation < 5 else (10.0, 20.0))
    np.testing.assert_array_equal(read_image(path), expected)
    with open_lazily(path, rank=2) as lazy:
        assert lazy.header == header
        np.testing.assert_array_equal(lazy.read(PART), expected[PART])


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_images_and_masks_of_all_formats_are_turned(tmp_path: Path, name: str, orientation: int) -> None:
    pixels = np.zeros((32, 48), np.uint8)
    pixels[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if name == "a.webp" else {}
    if name == "a.tif":
        options["tiffinfo"] = TiffImagePlugin.ImageFileDirectory_v2()
        options["tiffinfo"][274] = orientation
    else:
        options["exif"] = exif
    Image.fromarray(pixels).save(tmp_path / name, **options)
    expected = turned(pixels, orientation)
    assert read_header(tmp_path / name).size == expected.shape
    np.testing.assert_array_equal(read_image(tmp_path / name)[..., 0] > 127, expected > 127)
    np.testing.assert_array_equal(read_raw_mask(tmp_path / name) > 127, expected > 127)


def test_the_orientation_of_a_png_may_stand_behind_its_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(RGB).quantize(16)
    image.save(tmp_path / "a.png", exif=exif)
    content = (tmp_path / "a.png").read_bytes()
    place = content.index(b"eXIf") - 4
    chunk = content[place : place + 12 + int.from_bytes(content[place : place + 4], "big")]
    end = content.index(b"IEND") - 4
    (tmp_path / "b.png").write_bytes(
        content[:place] + content[place + len(chunk) : end] + chunk + content[end:]
    )
    for name in ("a.png", "b.png"):
        assert read_header(tmp_path / name).size == (30, 20)
        np.testing.assert_array_equal(read_raw_mask(tmp_path / name), turned(np.asarray(image), 6))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16])
@pytest.mark.parametrize("imagej", [False, True])
def test_white_is_zero_is_brightness_of_images_and_nothing_of_masks(
    tmp_path: Path, dtype: type, imagej: bool
) -> None:
    """ImageJ saves masks so with an inverting lookup table, whose values are ids and classes."""
    stored = RNG.integers(0, 2 if dtype is bool else 200, (20, 30)).astype(dtype)
    path = tmp_path / "a.tif"
    if imagej and dtype is not bool:
        tifffile.imwrite(path, stored, imagej=True)
        with tifffile.TiffFile(path) as file:
            place, order = file.pages.first.tags[262].valueoffset, file.byteorder
        content = bytearray(path.read_bytes())
        content[place : place + 2] = struct.pack(order + "H", 0)
        path.write_bytes(content)
    else:
        tifffile.imwrite(path, stored, photometric="miniswhite")
    numbers = stored * np.uint8(255) if dtype is bool else stored
    np.testing.assert_array_equal(read_raw_mask(path), numbers)
    np.testing.assert_array_equal(read_instances(path), numbers)
    np.testing.assert_array_equal(read_fov(path, None, None, (20, 30)), stored != 0)
    doubts = [doubt.what for doubt in read_mask_file(path, None, None)[0].doubts]
    assert doubts == ["the bilevel mask says that its 0 is white"] * (dtype is bool)
    most = 255 if dtype is bool else np.iinfo(dtype).max
    np.testing.assert_array_equal(read_image(path)[..., 0], most - numbers)
    with open_lazily(path, rank=2) as lazy:
        np.testing.assert_array_equal(lazy.read(PART)[..., 0], (most - numbers)[PART])


@pytest.mark.parametrize("missing", [(259,), (262,), (259, 262), (277, 278)])
def test_tags_with_a_default_may_be_missing(tmp_path: Path, missing: tuple[int, ...]) -> None:
    pixels = RNG.integers(0, 256, (5, 6), dtype=np.uint8)
    tags = {256: 6, 257: 5, 258: 8, 259: 1, 262: 1, 277: 1, 278: 5}
    kept = {code: value for code, value in tags.items() if code not in missing}
    path = raw_tiff(tmp_path / "a.tif", pixels.tobytes(), kept)
    np.testing.assert_array_equal(read_image(path)[..., 0], pixels)
    np.testing.assert_array_equal(read_raw_mask(path), pixels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [2, 4, 6, 10, 12, 14, 20, 32])
def test_any_number_of_bits_is_read_as_stored(tmp_path: Path, bits: int, order: str) -> None:
    numbers = RNG.integers(0, 2**bits, (4, 8))
    if bits in (32,):
        content = numbers.astype(f"{order}u4").tobytes()
    else:
        packed = "".join(f"{value:0{bits}b}" for value in numbers.ravel())
        content = int(packed, 2).to_bytes(len(packed) // 8, "big")
    tags = {256: 8, 257: 4, 258: bits, 259: 1, 277: 1, 278: 4}
    path = raw_tiff(tmp_path / "a.tif", content, tags | {262: 1}, order=order)
    np.testing.assert_array_equal(read_raw_mask(path), numbers)
    image = read_image(path)
    np.testing.assert_array_equal(image[..., 0], numbers.astype(image.dtype))
    path = raw_tiff(tmp_path / "b.tif", content, tags | {262: 0}, order=order)
    np.testing.assert_array_equal(read_raw_mask(path), numbers)
    image = read_image(path)
    np.testing.assert_array_equal(image[..., 0], (2**bits - 1 - numbers).astype(image.dtype))


def test_floats_of_16_and_24_bits(tmp_path: Path) -> None:
    numbers = np.array([[0, 1, -2.5, 0.375], [1024, -0.5, 3, 7]], np.float32)
    tifffile.imwrite(tmp_path / "a.tif", numbers.astype(np.float16))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], numbers)
    sign, (mantissa, exponent) = np.signbit(numbers), np.frexp(np.abs(numbers))
    packed = [
        (int(s) << 23) | ((int(e) + 62) << 16) | int((m * 2 - 1) * 2**16) if m else 0
        for s, m, e in zip(sign.ravel(), mantissa.ravel(), exponent.ravel(), strict=True)
    ]
    content = b"".join(value.to_bytes(3, "little") for value in packed)
    tags = {256: 4, 257: 2, 258: 24, 259: 1, 262: 1, 277: 1, 278: 2, 339: 3}
    np.testing.assert_array_equal(read_image(raw_tiff(tmp_path / "b.tif", content, tags))[..., 0], numbers)


def cielab(rgb: np.ndarray) -> np.ndarray:
    """sRGB as TIFF stores L*a*b* in 8 bits; sRGB's primaries under D50."""
    linear = np.where(rgb > 10.31475, ((rgb / 255 + 0.055) / 1.055) ** 2.4, rgb / 255 / 12.92)
    primaries = [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169]]
    x, y, z = np.moveaxis(linear @ np.array([*primaries, [0.0139322, 0.0971045, 0.7141733]]).T, -1, 0)
    f = [np.cbrt(value / white) for value, white in ((x, 0.96422), (y, 1.0), (z, 0.82521))]
    lab = np.stack([(116 * f[1] - 16) * 2.55, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])], axis=-1)
    return np.round(lab).astype(np.int64).astype(np.uint8)


def test_colour_spaces_become_rgb(tmp_path: Path) -> None:
    """References: Pillow for YCbCr and CMYK, the definition for L*a*b*."""
    tags = {256: 30, 257: 20, 258: (8, 8, 8), 259: 1, 277: 3, 278: 20}
    ycc = Image.fromarray(RGB).convert("YCbCr")
    path = raw_tiff(tmp_path / "y.tif", ycc.tobytes(), tags | {262: 6, 530: (1, 1)})
    np.testing.assert_array_equal(read_image(path), np.asarray(ycc.convert("RGB")))
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "c.tif")
    np.testing.assert_array_equal(
        read_image(tmp_path / "c.tif"), np.asarray(Image.open(tmp_path / "c.tif").convert("RGB"))
    )
    rgb = RNG.integers(80, 200, (20, 30, 3))
    path = raw_tiff(tmp_path / "l.tif", cielab(rgb).tobytes(), tags | {262: 8})
    np.testing.assert_allclose(read_image(path).astype(int), rgb, atol=10)
    assert read_header(path).channels == read_header(tmp_path / "c.tif").channels == 3


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("CFA", {262: 32803}),
        ("LOGLUV", {262: 32845}),
        ("ICCLAB", {262: 9}),
        ("4711", {262: 4711}),
        ("cielab", {262: 8, 258: (16, 16, 16)}),
        ("YCbCr", {262: 6, 530: (2, 2)}),
        ("inks", {262: 5, 277: 4, 258: (8, 8, 8, 8), 332: 2}),
        ("rgb", {262: 2, 277: 1, 258: 8}),
        ("COMPLEX", {339: (6, 6, 6), 258: (64, 64, 64)}),
        ("bits", {258: (8, 9, 8)}),
        ("24 bits", {258: (24, 24, 24)}),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, name: str, changed: dict[int, Any]) -> None:
    tags = {256: 4, 257: 4, 258: (8, 8, 8), 259: 1, 262: 2, 277: 3, 278: 4} | changed
    path = raw_tiff(tmp_path / "a.tif", bytes(1000), tags)
    for read in (read_header, read_image, read_raw_mask):
        with pytest.raises(ImageReadError, match=name):
            read(path)


@pytest.mark.parametrize(("told", "channels"), [((2,), 3), ((1,), 3), ((0,), 4), (None, 4)])
def test_only_what_is_called_alpha_is_alpha(
    tmp_path: Path, told: tuple[int, ...] | None, channels: int
) -> None:
    pixels = np.concatenate([RGB, np.full_like(RGB[..., :1], 255)], axis=-1)
    tags = {256: 30, 257: 20, 258: (8, 8, 8, 8), 259: 1, 262: 2, 277: 4, 278: 20}
    if told is not None:
        tags[338] = told[0]
    path = raw_tiff(tmp_path / "a.tif", pixels.tobytes(), tags)
    assert read_header(path).channels == channels
    np.testing.assert_array_equal(read_image(path), pixels[..., :channels])
    pixels[3, 4, 3] = 200
    path = raw_tiff(tmp_path / "b.tif", pixels.tobytes(), tags)
    if channels == 4:
        np.testing.assert_array_equal(read_image(path), pixels)
    else:
        with pytest.raises(ImageReadError, match="alpha"):
            read_image(path)


def test_palettes_of_any_depth(tmp_path: Path) -> None:
    for bits in (1, 2, 4, 8):
        table = RNG.integers(0, 256, (3, 2**bits))
        numbers = RNG.integers(0, 2**bits, (4, 8))
        packed = "".join(f"{value:0{bits}b}" for value in numbers.ravel())
        tags = {256: 8, 257: 4, 258: bits, 259: 1, 262: 3, 277: 1, 278: 4}
        for scale in (257, 1):  # 1: as some programs write it
            colours = tuple((table * scale).ravel().tolist())
            content = int(packed, 2).to_bytes(len(packed) // 8, "big")
            path = raw_tiff(tmp_path / "a.tif", content, tags | {320: colours})
            np.testing.assert_array_equal(read_image(path), table.T[numbers])
            np.testing.assert_array_equal(read_raw_mask(path), numbers)
            assert read_header(path).palette


def test_pixels_that_contradict_the_header_are_an_error(tmp_path: Path) -> None:
    """The tags say 8 bits, the JPEG 2000 or PNG inside holds 16."""
    import imagecodecs

    deep = RNG.integers(0, 65536, (20, 30)).astype(np.uint16)
    tags = {256: 30, 257: 20, 258: 8, 262: 1, 277: 1, 278: 20}
    for code, content in {
        34712: imagecodecs.jpeg2k_encode(deep),
        34933: imagecodecs.png_encode(deep),
    }.items():
        path = raw_tiff(tmp_path / "a.tif", content, tags | {259: code})
        with pytest.raises(ReunetError, match="contradicts"):
            read_image(path)
        with open_lazily(path, rank=2) as lazy, pytest.raises(ReunetError, match="contradicts"):
            lazy.read(PART)
