"""The container of Zeiss' CZI files (ZISRAW): its directory of blocks of pixels, and one block decoded.

The package czifile decodes Zstandard, which ZEN compresses with, from Python 3.12 on only; this needs none.
"""

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np

from reunet.errors import ImageReadError
from reunet.io.header import check_packing, check_size
from reunet.slices import Slices, placed

_SEGMENT = struct.Struct("<16sqq")
_FILE = struct.Struct("<iiii16s16siqqiq")
_ENTRY = struct.Struct("<2siqiiB5si")
_DIMENSION = struct.Struct("<4siifi")
_MOST_DIMENSIONS = 32

_TYPES: dict[int, tuple[str, int]] = {
    0: ("u1", 1),
    1: ("<u2", 1),
    2: ("<f4", 1),
    3: ("u1", 3),
    4: ("<u2", 3),
    8: ("<f4", 3),
    9: ("u1", 4),
    12: ("<i4", 1),
    13: ("<f8", 1),
}
"""Sample type and samples per pixel by the number of the pixel type. Colours are stored blue first."""

_RAW, _JPEG, _LZW, _JPEG_XR, _ZSTD, _ZSTD_PACKED = 0, 1, 2, 4, 5, 6


@dataclass(frozen=True)
class Block:
    """Pixels of one plane at full resolution.

    at: its place along each axis, and M, its number in a mosaic. part: rows and columns of the document.
    offset: of its segment in the file.
    """

    at: dict[str, int]
    part: Slices
    offset: int
    compression: int
    dtype: np.dtype
    samples: int


def read_directory(path: Path, file: BinaryIO) -> tuple[list[Block], ElementTree.Element]:
    """The blocks at full resolution, and the metadata. Raises ImageReadError, struct.error."""
    head = _FILE.unpack(_segment(file, 0, b"ZISRAWFILE")[: _FILE.size])
    directory, metadata = head[7], head[8]
    content = _segment(file, directory, b"ZISRAWDIRECTORY")
    (count,) = struct.unpack_from("<i", content)
    blocks, at = [], 128
    for _ in range(count):
        block, at = _entry(path, content, at)
        if block is not None:
            blocks.append(block)
    told = _segment(file, metadata, b"ZISRAWMETADATA")
    (length,) = struct.unpack_from("<i", told)
    return blocks, ElementTree.fromstring(told[256 : 256 + length])  # noqa: S314  (expat bounds entities)


def _segment(file: BinaryIO, offset: int, sign: bytes) -> bytes:
    """What a segment holds, as far as the file goes."""
    file.seek(offset)
    found, allocated, used = _SEGMENT.unpack(file.read(_SEGMENT.size))
    if found.rstrip(b"\0") != sign:
        raise ValueError(f"no segment {sign.decode()} at byte {offset}")
    left = file.seek(0, 2) - offset - _SEGMENT.size
    file.seek(offset + _SEGMENT.size)
    return file.read(max(0, min(used or allocated, left)))


def _entry(path: Path, content: bytes, at: int) -> tuple[Block | None, int]:
    """The block of an entry of the directory, None at a lower resolution; and where the next entry is."""
    schema, kind, offset, part, compression, _, _, count = _ENTRY.unpack_from(content, at)
    if schema != b"DV" or not 0 < count <= _MOST_DIMENSIONS:
        raise ValueError("an entry of the directory is damaged")
    at += _ENTRY.size
    told = [_DIMENSION.unpack_from(content, at + i * _DIMENSION.size) for i in range(count)]
    at += count * _DIMENSION.size
    sides = {name.rstrip(b"\0").decode(): (start, size, stored) for name, start, size, _, stored in told}
    (top, height, stored_height), (left, width, stored_width) = sides["Y"], sides["X"]
    if (stored_height or height, stored_width or width) != (height, width):
        return None, at
    if part:
        raise ImageReadError("the pixels lie in other files", where=path, fix="save it as one file in ZEN")
    if kind not in _TYPES:
        raise ImageReadError("unsupported sample type", where=path, received=f"pixel type {kind}")
    check_size(path, height, width)
    dtype, samples = _TYPES[kind]
    places = {axis: start for axis, (start, _, _) in sides.items() if axis not in ("Y", "X")}
    return Block(
        places, placed((top, left), (height, width)), offset, compression, np.dtype(dtype), samples
    ), at


def read_block(path: Path, file: BinaryIO, block: Block) -> np.ndarray:
    """Its pixels, (h, w, samples), red first, without alpha. Raises ImageReadError, whatever decoders do."""
    file.seek(block.offset)
    if not file.read(_SEGMENT.size).startswith(b"ZISRAWSUBBLOCK"):
        raise ValueError(f"no block at byte {block.offset}")
    fixed = file.read(16 + _ENTRY.size)
    metadata, _, length = struct.unpack_from("<iiq", fixed)
    dimensions = _ENTRY.unpack_from(fixed, 16)[-1]
    header = max(256, 16 + _ENTRY.size + dimensions * _DIMENSION.size)
    begin = block.offset + _SEGMENT.size + header + metadata
    shape = (*(side.stop - side.start for side in block.part), block.samples)
    needed = prod(shape) * block.dtype.itemsize
    if min(metadata, length) < 0 or begin + length > file.seek(0, 2):
        raise ImageReadError("the file is truncated", where=path, fix="copy or export it again")
    check_packing(path, needed, length, tight=block.compression == _JPEG)
    file.seek(begin)
    stored = file.read(length)
    pixels = _decoded(path, block, stored, needed).reshape(shape)
    blue_first = block.compression not in (_JPEG, _JPEG_XR)
    return pixels[..., 2::-1] if block.samples > 1 and blue_first else pixels[..., :3]


def _decoded(path: Path, block: Block, stored: bytes, needed: int) -> np.ndarray:
    import imagecodecs

    if block.compression in (_JPEG, _JPEG_XR):
        decode = imagecodecs.jpeg8_decode if block.compression == _JPEG else imagecodecs.jpegxr_decode
        return np.asarray(decode(stored))
    content: bytes | bytearray
    if block.compression == _RAW:
        content = stored[:needed]
    elif block.compression == _LZW:
        content = imagecodecs.lzw_decode(stored, out=needed)
    elif block.compression == _ZSTD:
        content = imagecodecs.zstd_decode(stored, out=needed)
    elif block.compression == _ZSTD_PACKED:
        packed = stored[0] == 3 and stored[2] & 1
        content = imagecodecs.zstd_decode(stored[stored[0] :], out=needed)
        if packed:  # the lower bytes of all samples, then the upper ones
            content = np.frombuffer(content, np.uint8).reshape(2, -1).T.tobytes()
    else:
        raise ImageReadError("unknown compression", where=path, received=block.compression)
    return np.frombuffer(content, block.dtype)
