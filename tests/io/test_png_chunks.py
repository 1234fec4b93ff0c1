"""PNG of 16 bits: read exactly, and refused before the library that decodes it would have to."""

from __future__ import annotations

import struct
import sys
import tracemalloc
import zlib
from pathlib import Path
from random import Random

import numpy as np
import pytest

from reunet.errors import ImageReadError
from reunet.io.images import read_image
from reunet.io.png_chunks import sound

from .test_samples import raw_tiff

RNG = np.random.default_rng(0)
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, *, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """Of (H, W, C) uint8 or uint16, its rows filtered by their differences (1) or not at all, in two IDAT."""
    height, width, channels = pixels.shape
    item, rows = pixels.dtype.itemsize, b""
    for y0, x0, dy, dx in PASSES if interlaced else [(0, 0, 1, 1)]:
        part = pixels[y0::dy, x0::dx]
        for number, row in enumerate(part if part.size else ()):
            stored = np.frombuffer(row.astype(f">u{item}").tobytes(), np.uint8)
            if number % 2:
                before = np.r_[np.zeros(channels * item, np.uint8), stored][: len(stored)]
                stored = stored - before
            rows += bytes([number % 2]) + stored.tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8 * item, COLOURS[channels], 0, 0, int(interlaced))
    packed = zlib.compress(rows)
    data = chunk(b"IDAT", packed[:20]) + chunk(b"IDAT", packed[20:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 9), (17, 13)])
def test_all_bits_are_read(size: tuple[int, int], channels: int, interlaced: bool, tmp_path: Path) -> None:
    pixels = RNG.integers(0, 65536, (*size, channels)).astype(np.uint16)
    if channels in (2, 4):
        pixels[..., -1] = 65535
    (tmp_path / "a.png").write_bytes(png(pixels, interlaced=interlaced, extra=chunk(b"teXt", b"k\0v")))
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read, pixels[..., : channels - 1 + channels % 2])


@pytest.mark.parametrize("pixels", [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 1), np.uint16)])
def test_a_tile_of_a_tiff_may_be_a_png(pixels: np.ndarray, tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, pixels.shape).astype(pixels.dtype)
    bits: object = 8 * pixels.itemsize if pixels.shape[2] == 1 else (8,) * 3
    tags = {256: 5, 257: 4, 258: bits, 259: 34933, 262: 1 + (pixels.shape[2] > 1),
            277: pixels.shape[2], 278: 4}  # fmt: skip
    path = raw_tiff(tmp_path / "a.tif", png(pixels), tags)
    np.testing.assert_array_equal(read_image(path), pixels)


def damages(whole: bytes) -> list[bytes]:
    """Each in another way, with checksums that are right, so that the decoder would come as far as that."""
    header, packed = whole[16:29], b""
    place = 33
    while place < len(whole):
        length, kind = struct.unpack(">I4s", whole[place : place + 8])
        packed += whole[place + 8 : place + 8 + length] if kind == b"IDAT" else b""
        place += 12 + length
    rows = zlib.decompress(packed)

    def made(header: bytes, packed: bytes) -> bytes:
        return whole[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")

    wrong_headers = [
        header[:at] + bytes([value]) + header[at + 1 :]
        for at, value in ((8, 3), (9, 5), (9, 3), (10, 1), (11, 1), (12, 2), (2, 0), (1, 16))
    ]
    return [
        *(made(one, packed) for one in wrong_headers),
        made(header, packed[:-6]),
        made(header, b"y" + packed[1:]),
        made(header, zlib.compress(rows[:-1])),
        made(header, zlib.compress(rows + b"\0")),
        made(header, zlib.compress(b"\7" + rows[1:])),
        made(header, packed[:-1] + bytes([packed[-1] ^ 1])),
        whole[:33],
    ]


@pytest.mark.fault(
    "a damaged PNG of 16 bits, thousands of times", "refused each time; nothing is left of it in memory"
)
def test_the_library_that_decodes_is_never_given_what_it_would_refuse(tmp_path: Path) -> None:
    """imagecodecs would keep the pixels, and end Python after some thousands."""
    path, whole = tmp_path / "a.png", png(RNG.integers(0, 65536, (300, 256, 3)).astype(np.uint16))
    broken = damages(whole)
    random = Random(0)
    for _ in range(200):
        changed = bytearray(whole)
        changed[random.randrange(8, len(whole))] ^= 1 << random.randrange(8)
        broken.append(bytes(changed))
    refused = 0
    tracemalloc.start()
    before = sys.getrefcount(None)
    for content in broken:
        path.write_bytes(content)
        try:
            read_image(path)
        except ImageReadError:
            refused += 1
    kept, counted = tracemalloc.get_traced_memory()[0], sys.getrefcount(None) - before
    tracemalloc.stop()
    assert refused > 190
    assert kept < 2_000_000
    assert abs(counted) < 50
    for content in damages(whole):
        with pytest.raises(ImageReadError, match="damaged"):
            sound(path, content)
