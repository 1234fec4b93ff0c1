"""TIFF files that announce too much, or point to themselves, are named before any work starts."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from reunet.errors import ImageReadError, ReunetError
from reunet.io import tiff_tags
from reunet.io.images import read_header, read_image
from reunet.io.samples import MAX_CHANNELS

LENGTH = 2 + 9 * 12 + 4


Changed = dict[int, tuple[int, int]]
"""Count and value of tags."""


def directory(following: int, *, width: int = 2, changed: Changed | None = None) -> bytes:
    """A directory of an image of 2 rows whose pixels are at byte 8."""
    tags = {256: width, 257: 2, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: 2 * width}
    told = {code: (1, value) for code, value in tags.items()} | (changed or {})
    entries = [struct.pack("<HHII", code, 4, *told[code]) for code in sorted(told)]
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)


def write(path: Path, *directories: bytes, start: int = 40) -> Path:
    path.write_bytes((b"II*\0" + struct.pack("<I", start)).ljust(start, b"\1") + b"".join(directories))
    return path


def places(count: int) -> list[int]:
    return [40 + LENGTH * number for number in range(count)]


@pytest.mark.parametrize("back", [0, 1, 2])
def test_a_directory_that_points_back(tmp_path: Path, back: int) -> None:
    at = places(3)
    path = write(tmp_path / "a.tif", *map(directory, (*at[1:], at[back])))
    with pytest.raises(ImageReadError, match=f"page 4 of the TIFF is page {back + 1} again"):
        read_header(path)


def test_a_directory_beyond_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", directory(10_000))
    with pytest.raises(ImageReadError, match="truncated"):
        read_header(path)


@pytest.mark.parametrize("width", [2, 3])
def test_chains_of_pages_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Many pages of one kind are a stack, many of different kinds are nothing that is read."""
    monkeypatch.setattr(tiff_tags, "MAX_PAGES", 40)
    monkeypatch.setattr(tiff_tags, "MAX_ODD_PAGES", 10)
    for count, most in ((8, True), (41, False)):
        at = [*places(count), 0]
        chain = [directory(at[i + 1], width=width if i % 2 else 2) for i in range(count)]
        path = write(tmp_path / "a.tif", *chain)
        if most and width == 2:
            assert read_header(path).pages == count
        else:
            with pytest.raises(ImageReadError, match="several images" if most else "more pages"):
                read_header(path)


def test_directories_below_others_have_an_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", directory(0, changed={330: (1, 40)}))
    assert read_image(path).shape == (2, 2, 1)
    path = write(tmp_path / "b.tif", directory(0, changed={330: (3000, 40)}), bytes(20_000))
    with pytest.raises(ImageReadError, match="more pages"):
        read_header(path)


@pytest.mark.parametrize("code", [256, 258, 273, 279, 320, 338, 339, 700, 33432, 65000])
def test_tags_of_huge_counts(tmp_path: Path, code: int) -> None:
    path = write(tmp_path / "a.tif", directory(0, changed={code: (2**31 - 1, 8)}))
    with pytest.raises(ImageReadError, match=r"beyond the end|more pages or tags"):
        read_image(path)


@pytest.mark.parametrize("planes", ["contig", "separate", "pages"])
def test_too_many_channels(tmp_path: Path, planes: str) -> None:
    for count in (MAX_CHANNELS, MAX_CHANNELS + 1, 500):
        pixels = np.zeros((count, 4, 5), np.uint8)
        options = {"planarconfig": planes} if planes != "pages" else {"metadata": {"axes": "CYX"}}
        stored = pixels.transpose(1, 2, 0) if planes == "contig" else pixels
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", **options)
        if count == MAX_CHANNELS:
            assert read_image(tmp_path / "a.tif").shape == (4, 5, count)
        else:
            with pytest.raises(ImageReadError, match=f"{count} channels"):
                read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [1, 4, 5, 7, 8, 34712, 50000, 50001])
@pytest.mark.parametrize(("height", "width"), [(2**31 - 1, 2**31 - 1), (20_000, 20_000), (1, 2**32 - 1)])
def test_huge_sides_in_small_files(tmp_path: Path, compression: int, height: int, width: int) -> None:
    sides = {256: (1, width), 257: (1, height), 278: (1, height), 259: (1, compression)}
    with pytest.raises(ReunetError, match=r"too large|too small|truncated"):
        read_image(write(tmp_path / "a.tif", directory(0, changed=sides)))
    tile = {322: (1, 2**31), 323: (1, 2**31), 324: (1, 8), 325: (1, 4), 259: (1, compression)}
    with pytest.raises(ImageReadError, match="too small"):
        read_image(write(tmp_path / "b.tif", directory(0, changed=tile)))


@pytest.mark.fault("a TIFF with a negative side, for which tifffile looks for ever", "refused at once")
@pytest.mark.parametrize("kind", [6, 8, 9, 11, 12, 5, 2])
@pytest.mark.parametrize("code", [256, 257, 277])
def test_a_side_is_a_positive_whole_number(code: int, kind: int, tmp_path: Path) -> None:
    """It says what shape the program that wrote it had in mind, which is then never reached."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 12), np.uint8))
    content = bytearray((tmp_path / "a.tif").read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    places = [first + 2 + 12 * number for number in range(count)]
    (place,) = (at for at in places if struct.unpack_from("<H", content, at)[0] == code)
    for told_kind, value in ((kind, 0xFFFF), (4, 0)):
        struct.pack_into("<HII", content, place + 2, told_kind, 1, value)
        (tmp_path / "b.tif").write_bytes(content)
        with pytest.raises(ImageReadError, match="positive whole number"):
            read_header(tmp_path / "b.tif")
