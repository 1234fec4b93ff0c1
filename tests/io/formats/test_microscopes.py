"""CZI, LIF, ND2 and OIB: pixels, axes, channels and sizes as they were written; damage is told."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from reunet import check
from reunet.datasets.reading import decode
from reunet.datasets.scan import open_dataset
from reunet.errors import ImageReadError, ReunetError, TooLargeError
from reunet.io.formats.table import images_in, sha256_image
from reunet.io.images import read_header, read_image
from reunet.io.lazy import open_lazily

from .microscope_files import czi_facts, write_czi, write_lif, write_nd2, write_oib

RNG = np.random.default_rng(5)


def noise(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return RNG.integers(0, 250, shape).astype(dtype)


def pages_of(path: Path) -> np.ndarray:
    return np.stack([read_image(path, page=page) for page in range(read_header(path).pages)])


@pytest.mark.parametrize("compression", [0, 5, 6])
def test_czi_channels_time_and_depth(tmp_path: Path, compression: int) -> None:
    pixels, path = noise(2, 3, 2, 9, 7), tmp_path / "a.czi"
    tiles = [({"C": c, "Z": z, "T": t}, (-4, 11), pixels[t, z, c]) for t, z, c in np.ndindex(2, 3, 2)]
    write_czi(path, tiles, compression=compression, facts=czi_facts(["DAPI", "GFP"]))
    header = read_header(path)
    assert (header.size, header.channels, header.pages, header.axes) == ((9, 7), 2, 6, "TZCYX")
    assert header.spacing == pytest.approx((0.5, 0.5))
    assert header.channel_names == ("DAPI", "GFP")
    np.testing.assert_array_equal(pages_of(path), pixels.transpose(0, 1, 3, 4, 2).reshape(6, 9, 7, 2))


def test_czi_scenes_and_mosaics(tmp_path: Path) -> None:
    """Of tiles that overlap, that of the higher number lies on top; what no tile covers is 0."""
    first, second, other, path = noise(6, 8), noise(6, 8), noise(5, 5), tmp_path / "a.czi"
    tiles = [
        ({"S": 0, "M": 1}, (12, 105), second),
        ({"S": 0, "M": 0}, (10, 100), first),
        ({"S": 1}, (90, 0), other),
    ]
    write_czi(path, tiles, facts=czi_facts(["DAPI"], ["well A/1", "well A/1"]))
    expected = np.zeros((8, 13), np.uint16)
    expected[:6, :8] = first
    expected[2:, 5:] = second
    assert [one.name for one in images_in(path)] == ["well A_1", "well A_1_1"]
    np.testing.assert_array_equal(read_image(path / "well A_1")[..., 0], expected)
    np.testing.assert_array_equal(read_image(path / "well A_1_1")[..., 0], other)
    with open_lazily(path / "well A_1", rank=2) as image:
        part = (slice(1, 5), slice(3, 12))
        np.testing.assert_array_equal(image.read(part)[..., 0], expected[part])
    with pytest.raises(ImageReadError, match="holds 2 images"):
        read_header(path)
    with pytest.raises(ImageReadError, match="no image 'well B'"):
        read_header(path / "well B")
    assert len({sha256_image(one) for one in images_in(path)}) == 2


def test_czi_colours_and_pyramid(tmp_path: Path) -> None:
    pixels, path = noise(4, 5, 3, dtype="uint8"), tmp_path / "a.czi"
    write_czi(path, [({"C": 0}, (0, 0), pixels)])
    np.testing.assert_array_equal(read_image(path), pixels)
    write_czi(path, [({"C": 0}, (0, 0), pixels)], zoom=2)
    with pytest.raises(ImageReadError, match="holds no image"):
        read_header(path)


def test_czi_without_a_plane(tmp_path: Path) -> None:
    path = tmp_path / "a.czi"
    write_czi(path, [({"C": 0, "T": 0}, (0, 0), noise(4, 4)), ({"C": 0, "T": 2}, (0, 0), noise(4, 4))])
    with pytest.raises(ImageReadError, match="a plane of the CZI is missing"):
        read_image(path, page=1)


def test_lif_images_with_axes_of_their_own(tmp_path: Path) -> None:
    stack, deep, path = noise(3, 2, 6, 5, dtype="uint8"), noise(2, 2, 4, 6), tmp_path / "a.lif"
    write_lif(path, {"T series": ("TCYX", stack), "xz": ("YCZX", deep)}, ["Green", "Red"])
    one, other = images_in(path)
    assert (one.name, other.name) == ("T series", "xz")
    np.testing.assert_array_equal(pages_of(one), stack.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(pages_of(other), deep.transpose(0, 2, 3, 1))
    header = read_header(other)
    assert (header.axes, header.channel_names) == ("ZCYX", ("Green", "Red"))
    assert header.spacing == pytest.approx((0.2, 0.2))


def test_lif_fields_of_a_tile_scan(tmp_path: Path) -> None:
    fields, path = noise(2, 6, 5, dtype="uint8"), tmp_path / "a.lif"
    write_lif(path, {"scan": ("MYX", fields)}, ["Gray"])
    assert [one.name for one in images_in(path)] == ["scan_0", "scan_1"]
    np.testing.assert_array_equal(read_image(path / "scan_1")[..., 0], fields[1])


def test_nd2_positions(tmp_path: Path) -> None:
    frames, path = noise(6, 5, 4, 2), tmp_path / "a.nd2"
    write_nd2(path, frames, ["DAPI", "GFP"], [("T", 3), ("P", 2)])
    assert [one.name for one in images_in(path)] == ["well 0", "well 1"]
    header = read_header(path / "well 1")
    assert (header.size, header.channels, header.pages, header.axes) == ((5, 4), 2, 3, "TCYX")
    assert (header.spacing, header.channel_names) == ((0.25, 0.25), ("DAPI", "GFP"))
    np.testing.assert_array_equal(pages_of(path / "well 1"), frames[1::2])


def test_oib_planes(tmp_path: Path) -> None:
    pixels, path = noise(3, 2, 6, 5), tmp_path / "a.oib"
    planes = {f"s_C{c + 1:03}Z{z + 1:03}.tif": pixels[z, c] for z, c in np.ndindex(3, 2)}
    write_oib(path, planes, "XYCZ", ["Alexa 488", "None"])
    header = read_header(path)
    assert (header.pages, header.axes, header.channel_names) == (3, "ZCYX", ("Alexa 488", "CH2"))
    assert header.spacing == (0.5, 0.5)
    np.testing.assert_array_equal(pages_of(path), pixels.transpose(0, 2, 3, 1))
    assert read_header(path, "ZYX") == header
    with pytest.raises(ImageReadError, match="--axes does not fit"):
        read_header(path, "TYX")
    del planes["s_C002Z003.tif"]
    write_oib(path, planes, "XYCZ", ["Alexa 488", "None"])
    with pytest.raises(ImageReadError, match="1 planes are missing"):
        read_header(path)


def write_one(path: Path) -> None:
    pixels = noise(64, 64)
    if path.suffix == ".czi":
        write_czi(path, [({"C": 0}, (0, 0), pixels)], facts=czi_facts(["DAPI"]))
    elif path.suffix == ".lif":
        write_lif(path, {"one": ("YX", pixels)}, ["Gray"])
    elif path.suffix == ".nd2":
        write_nd2(path, pixels[None, ..., None], ["DAPI"], [("T", 1)])
    else:
        write_oib(path, {"s_C001.tif": pixels}, "XYC", ["DAPI"])


@pytest.mark.parametrize("suffix", [".czi", ".lif", ".nd2", ".oib"])
@pytest.mark.fault(
    "a microscope's file that is truncated or damaged", "an error, never pixels nobody measured"
)
def test_damaged_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_one(path)
    whole = path.read_bytes()
    expected = read_image(path)
    for share in (0.02, 0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ImageReadError):
            read_image(path)
    for seed in range(30):
        damaged = bytearray(whole)
        random = np.random.default_rng(seed)
        for place in random.integers(0, len(whole), 20):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            image = read_image(path)
        except ReunetError:
            continue
        assert image.shape == expected.shape or image.size < 1e6


def test_czi_that_announces_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.czi"
    write_czi(path, [({"C": 0}, (0, 0), noise(4, 4)), ({"C": 0}, (2_000_000, 2_000_000), noise(4, 4))])
    with pytest.raises(TooLargeError, match="too small for all the pixels"):
        read_header(path)


def test_content_tells_the_format(tmp_path: Path) -> None:
    write_one(tmp_path / "a.czi")
    renamed = (tmp_path / "a.czi").rename(tmp_path / "a.png")
    assert read_header(renamed).size == (64, 64)
    (tmp_path / "b.lif").write_bytes(b"no image at all")
    with pytest.raises(ImageReadError, match="not an image file"):
        read_header(tmp_path / "b.lif")


def test_a_folder_of_scenes_as_it_is(tmp_path: Path) -> None:
    """Scenes are cases of their own, time is a sequence, and what is read is what was written."""
    first, second = noise(3, 16, 12), noise(16, 16)
    tiles = [({"S": 0, "T": t, "C": 0}, (0, 0), first[t]) for t in range(3)]
    (tmp_path / "images").mkdir()
    write_czi(
        tmp_path / "images" / "a.czi",
        [*tiles, ({"S": 1, "T": 0, "C": 0}, (99, 0), second)],
        facts=czi_facts(["DAPI"], ["film", "still"]),
    )
    (tmp_path / "masks" / "a").mkdir(parents=True)
    tifffile.imwrite(
        tmp_path / "masks" / "a" / "film.tif",
        (first > 99).astype(np.uint8),
        photometric="minisblack",
        metadata={"axes": "TYX"},
    )
    tifffile.imwrite(tmp_path / "masks" / "a" / "still.tif", (second > 99).astype(np.uint8))
    dataset = open_dataset(tmp_path)
    assert [case.id for case in dataset.cases] == ["a/film#0000", "a/film#0001", "a/film#0002", "a/still"]
    assert {case.sequence and case.sequence.axis for case in dataset.cases[:3]} == {"T"}
    for case, expected in zip(dataset.cases, [*first, second], strict=True):
        arrays = decode(case, tmp_path, None).arrays
        np.testing.assert_array_equal(arrays["image"][..., 0], expected)
        np.testing.assert_array_equal(arrays["mask"].squeeze(), expected > 99)
    assert not [problem for problem in check(tmp_path).problems if problem.severity == "error"]


def test_the_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_one(tmp_path / "a.lif")
    monkeypatch.setitem(sys.modules, "liffile", None)
    with pytest.raises(ReunetError, match=r"liffile is not installed[\s\S]*microscopy"):
        read_header(tmp_path / "a.lif")
