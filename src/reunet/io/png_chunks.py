"""The chunks of a PNG: whether its pixels are all there, and a file of them that no decoder can refuse."""

import os
import struct
import zlib
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import BinaryIO

from reunet.errors import ImageReadError

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a pixel, by the type of colour: grey, RGB, a number in the palette, and the first two with alpha."""

_BITS = {0: (1, 2, 4, 8, 16), 3: (1, 2, 4, 8)}
"""Of a sample, by the type of colour; 8 or 16 of the others."""

_LONGEST = 1_000_000
"""Pixels of a side that libpng reads."""

_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Of the passes of an interlaced image: first row, first column, and from one to the next."""


def check_pixels(path: Path, file: BinaryIO) -> None:
    """Raise ImageReadError where pixels of a PNG go on beyond its end: Pillow asks for that much memory."""
    size = file.seek(0, os.SEEK_END)
    for kind, start, length in _places(file, size):
        if kind in (b"IDAT", b"fdAT") and start + length > size:
            raise ImageReadError(
                "the file ends within its pixels",
                where=path,
                expected=f"{start + length:,} bytes or more",
                received=f"{size:,} bytes",
                fix="it is truncated or damaged: copy or export it again",
            )


def first_chunk(file: BinaryIO, wanted: bytes) -> bytes:
    """Content of the first chunk of that name, as far as there is any. The file is left where it was."""
    before, size, found = file.tell(), file.seek(0, os.SEEK_END), b""
    for kind, start, length in _places(file, size):
        if kind in (wanted, b"IEND"):
            file.seek(start)
            found = file.read(min(length, size - start)) if kind == wanted else b""
            break
    file.seek(before)
    return found


def _places(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Names of the chunks, where their contents start and how long they say these are."""
    place = len(SIGNATURE)
    while place + 8 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        yield kind, place + 8, length
        place += 12 + length


def sound(path: Path, content: bytes) -> bytes:
    """A PNG of the same pixels and nothing else. Raises ImageReadError where libpng would refuse it.

    imagecodecs (2026.3.6) keeps the memory of each PNG that libpng refuses, and counts None once too often:
    Python ends after some 8,000 of them.
    """
    chunks = list(_chunks(content))
    header = next((data for kind, data in chunks if kind == b"IHDR"), b"")
    colours = [data for kind, data in chunks if kind == b"PLTE"][:1]
    packed = b"".join(data for kind, data in chunks if kind == b"IDAT")
    try:
        width, height, bits, colour, *methods, interlaced = struct.unpack(">IIBBBBB", header)
        if bits not in _BITS.get(colour, (8, 16)) or colour not in _SAMPLES or any(methods) or interlaced > 1:
            raise ValueError("its header is that of no image")
        if not 0 < min(width, height) <= max(width, height) <= _LONGEST:
            raise ValueError(f"{width} x {height} pixels")
        if colour == 3 and not any(0 < len(one) <= 3 << bits and len(one) % 3 == 0 for one in colours):
            raise ValueError("no palette")
        bits *= _SAMPLES[colour]
        _check_rows(packed, _rows(width, height, bits, interlaced=bool(interlaced)))
    except (ValueError, struct.error, zlib.error) as cause:
        raise ImageReadError(
            "the pixels of the file are damaged",
            where=path,
            received=str(cause),
            fix="copy or export it again",
        ) from cause
    parts = [(b"IHDR", header), *((b"PLTE", one) for one in colours if colour == 3), (b"IDAT", packed)]
    return SIGNATURE + b"".join(_chunk(*part) for part in (*parts, (b"IEND", b"")))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents, to the end of the file; their checksums are not looked at."""
    place = len(SIGNATURE)
    while place + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        yield kind, content[place + 8 : place + 8 + length]
        place += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _rows(width: int, height: int, bits: int, *, interlaced: bool) -> list[tuple[int, int]]:
    """Of each pass: how many rows, and the bytes of one, with the number of its filter before its pixels.

    bits: of a pixel.
    """
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [(ceil((height - y) / down), ceil((width - x) / right)) for y, x, down, right in passes]
    return [(rows, 1 + ceil(columns * bits / 8)) for rows, columns in sizes if rows > 0 and columns > 0]


def _check_rows(packed: bytes, rows: list[tuple[int, int]]) -> None:
    """Raise ValueError or zlib.error where the rows are not all there, or filtered in an unknown way."""
    total, unpacking = sum(count * length for count, length in rows), zlib.decompressobj()
    pixels = unpacking.decompress(packed, total + 1)
    if len(pixels) != total or not unpacking.eof:
        raise ValueError(f"its rows are not the {total:,} bytes that the header says")
    place = 0
    for count, length in rows:
        if max(pixels[place : place + count * length : length]) > 4:
            raise ValueError("a row with an unknown filter")
        place += count * length
