"""What the tags of a TIFF say: whether its directories can be followed, and how its samples are meant."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np

from reunet.errors import ImageReadError
from reunet.io.samples import COLOUR_SAMPLES, Samples
from reunet.io.units import micrometres

MAX_PAGES = 30_000
"""Most pages of a stack."""

MAX_ODD_PAGES = 2_000
"""Most pages that differ from each other, and directories below others."""

MAX_TAGS = 1_000_000
"""Most tags of all directories together."""

_SPACES = {0: "inverted", 1: "grey", 2: "rgb", 3: "palette", 4: "grey", 5: "cmyk", 6: "ycbcr", 8: "cielab"}
"""By PhotometricInterpretation; 4 is a mask of transparency, which is a mask."""

_AS_STORED = (34892, 51177)
"""PhotometricInterpretation of measurements: the linear samples of a camera, depths."""

_JPEG = (6, 7, 33007, 34892)
_RGB_CODECS = (50001, 50002, 52546)
"""Compressions (WebP, JPEG XL) that give red, green and blue whatever the tags say."""

_FULL_RANGE = (0, 255, 128, 255, 128, 255)
_BT601 = (0.299, 0.587, 0.114)
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by the type of its tag, where they are more than one."""

_KIND = (256, 257, 258, 259, 277)
"""Tags that are equal in all pages of a stack."""

_NEEDED = frozenset(range(254, 348)) | {529, 530, 531, 532} - {269, 270, 271, 272, 285, 305, 306, 315, 316}
"""Tags without which pixels would be read otherwise; texts are not among them."""


_SIDES = (256, 257, 277, 32997)
"""Width, length, samples, depth: of a negative one tifffile does not come to an end."""

_UNSIGNED = (1, 3, 4, 13, 16, 18)
"""Types of tags that hold whole numbers from 0."""


def check_directories(path: Path, file: BinaryIO) -> None:
    """Follow the directories of a TIFF and read nothing else, so that whatever reads them comes to an end.

    Raises ImageReadError for directories that point back or beyond the end of the file, for more than
    MAX_PAGES, MAX_ODD_PAGES or MAX_TAGS, and for tags that lie outside of the file or over each other.
    """
    end = file.seek(0, 2)
    pages: dict[int, int] = {}
    kinds: set[tuple[bytes, ...]] = set()
    tags = stored = below = 0
    for number, (offset, link, entries) in enumerate(_directories(path, file, end), 1):
        if offset in pages:
            raise _damaged(path, f"page {number} of the TIFF is page {pages[offset]} again")
        pages[offset] = number
        tags += len(entries)
        for code, kind, count, value in entries:
            length = count * _SIZES.get(kind, 1)
            if code == 330:
                below += count
            if code in _SIDES and (kind not in _UNSIGNED or not any(value)):
                raise _damaged(path, f"tag {code} of page {number}, a size, is not a positive whole number")
            if length > len(value):
                stored += length
                if code in _NEEDED and struct.unpack(link, value)[0] + length > end:
                    raise _damaged(path, f"tag {code} of page {number} lies beyond the end of the TIFF")
        kinds.add(tuple([value for code, _, _, value in entries if code in _KIND]))
        odd = below + (number if len(kinds) > 1 else 0)
        if number > MAX_PAGES or odd > MAX_ODD_PAGES or tags > MAX_TAGS or stored > max(2**26, 4 * end):
            raise ImageReadError(
                "the TIFF has more pages or tags than can be read",
                where=path,
                expected=f"at most {MAX_PAGES:,} equal pages, or {MAX_ODD_PAGES:,} others, without overlaps",
                received=f"at least {number:,} pages, {below:,} below them, {tags:,} tags",
                fix="split it into several files; if it should be smaller, it is damaged",
            )


def _directories(
    path: Path, file: BinaryIO, end: int
) -> Iterator[tuple[int, str, list[tuple[int, int, int, bytes]]]]:
    """Offset, format of offsets and tags (code, type, count, value or offset) of each directory."""
    file.seek(0)
    start = file.read(16).ljust(16, b"\0")
    order, big = ("<" if start[:2] == b"II" else ">"), start[2:4] in (b"+\0", b"\0+")
    head, entry, link = (order + code for code in (("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")))
    (offset,) = struct.unpack_from(link, start, 8 if big else 4)
    while offset:
        file.seek(offset)
        begin = file.read(struct.calcsize(head)) if offset < end else b""
        count = struct.unpack(head, begin)[0] if len(begin) == struct.calcsize(head) else 0
        length = count * struct.calcsize(entry) if count <= 4096 else end
        block = file.read(length + struct.calcsize(link)) if length < end else b""
        if len(block) < length or not count:
            raise _damaged(path, "the TIFF is truncated: a page lies beyond its end")
        yield offset, link, list(struct.iter_unpack(entry, block[:length]))
        (offset,) = struct.unpack(link, block[length:].ljust(struct.calcsize(link), b"\0"))


def _damaged(path: Path, what: str) -> ImageReadError:
    return ImageReadError(what, where=path, fix="copy or export the file again")


def samples_of(path: Path, keyframe: Any, *, imagej: bool) -> Samples:
    """How the samples of a page of tifffile's are meant. `imagej`: palettes are for looking at only.

    Raises ImageReadError, which names what it is, for what is not read.
    """
    dtype, count = keyframe.dtype, int(keyframe.samplesperpixel)
    if dtype is None or np.dtype(dtype).kind not in "buif":
        bits, form = keyframe.bitspersample, _name("SAMPLEFORMAT", keyframe.sampleformat)
        raise _unread(path, f"samples of {bits} bits ({form}) in a TIFF are not read")
    if keyframe.bitspersample == 24 and dtype.kind in "ui":
        raise _unread(path, "24 bits per integer are not read, as programs order their bytes differently")
    if int(keyframe.predictor) != 1 and int(keyframe.compression) in (1, 32773):
        raise _unread(path, "a predictor with PackBits or without compression is not read: programs differ")
    space = _space(path, keyframe, count)
    alpha: tuple[int, ...] = ()
    table = None
    if space == "palette" and imagej:
        space = "grey"
    extra = count - COLOUR_SAMPLES[space]
    if extra < 0:
        raise _unread(path, f"{count} sample(s) per pixel are no {space} image")
    if extra:
        meanings = tuple(keyframe.extrasamples or ())[-extra:]
        first = count - len(meanings)
        alpha = tuple(first + i for i, meaning in enumerate(meanings) if int(meaning) in (1, 2))
    if space in ("palette", "ycbcr", "cielab", "cmyk"):
        whole = space == "palette" or dtype == np.uint8
        if extra or not whole or dtype.kind not in "bu":
            raise _unread(path, f"{space} images of {count} samples of {dtype} are not read")
        if space == "cielab" and is_lossy(keyframe):
            raise _unread(path, "cielab images compressed as JPEG are not read")
        table = _table(keyframe) if space == "palette" else None
    bits = keyframe.bitspersample if isinstance(keyframe.bitspersample, int) else 8
    return Samples(
        dtype=np.dtype(dtype).newbyteorder("="),
        count=count,
        space=space,
        bits=bits,
        alpha=alpha,
        table=table,
        orientation=int(_value(keyframe, 274, 1)),
    )


def is_lossy(keyframe: Any) -> bool:
    """Whether the compression of a page may change values."""
    return "JPEG" in _name("COMPRESSION", keyframe.compression)


def is_tight(keyframe: Any) -> bool:
    """Whether the compression of a page needs at least a byte for some thousand bytes of pixels."""
    return int(keyframe.compression) in (1, 5, 8, 32773, 32946, *_JPEG)


def _space(path: Path, keyframe: Any, count: int) -> str:
    """The colour space of a page, one of COLOUR_SAMPLES. Raises ImageReadError for what is not read."""
    photometric, compression = keyframe.photometric, int(keyframe.compression)
    if 262 not in keyframe.tags or photometric in _AS_STORED:
        return "grey"  # or channels without names
    space = _SPACES.get(int(photometric))
    if space is None:
        raise _unread(path, f"TIFF images of the kind {_name('PHOTOMETRIC', photometric)} are not read")
    if space == "ycbcr":
        contiguous = int(keyframe.planarconfig) == 1
        if compression in _RGB_CODECS or (compression in _JPEG and contiguous and not keyframe.extrasamples):
            return "rgb"  # as it is decoded
        if keyframe.is_subsampled or compression not in (*_JPEG, 1, 5, 8, 32773, 32946, 50000, 34925):
            name = _name("COMPRESSION", compression)
            raise _unread(path, f"YCbCr images with colours of less resolution, or {name}, are not read")
        told = [_rationals(keyframe, 532, _FULL_RANGE), _rationals(keyframe, 529, _BT601)]
        if not np.allclose(told[0], _FULL_RANGE) or not np.allclose(told[1], _BT601, atol=0.002):
            raise _unread(
                path, "YCbCr images of another range or other coefficients than JPEG's are not read"
            )
    if space == "cmyk" and int(_value(keyframe, 332, 1)) != 1:
        raise _unread(path, "separated images of other inks than CMYK are not read")
    return space


def _table(keyframe: Any) -> np.ndarray:
    """(entries, 3) uint8; some programs write 8 bits where 16 are meant."""
    told = np.asarray(keyframe.colormap).T
    return (told >> (8 if told.max(initial=0) > 255 else 0)).astype(np.uint8)


def _rationals(keyframe: Any, code: int, default: tuple[float, ...]) -> np.ndarray:
    told = np.asarray(_value(keyframe, code, default), float).reshape(-1)
    return told[::2] / np.maximum(told[1::2], 1e-9) if len(told) == 2 * len(default) else told


def _value(keyframe: Any, code: int, default: Any) -> Any:
    value = keyframe.tags.valueof(code)
    return default if value is None else value


def _name(what: str, value: Any) -> str:
    """What a number is called in TIFF, the number where it has no name."""
    import tifffile

    try:
        return str(getattr(tifffile, what)(value).name)
    except ValueError:
        return str(value)


def _unread(path: Path, what: str) -> ImageReadError:
    return ImageReadError(
        what,
        where=path,
        expected="grey, RGB, palette, YCbCr, CIELab or CMYK; numbers of 1 to 64 bits",
        fix="save it as grey or RGB",
    )


def spacing_of(file: Any, keyframe: Any) -> tuple[float, float] | None:
    """(y, x) pixel size in micrometres; a resolution per inch is meant for printing and does not count."""
    if file.ome_metadata:
        return _ome_spacing(file.ome_metadata)
    unit = (file.imagej_metadata or {}).get("unit") if file.is_imagej else None
    scale = micrometres(unit) if unit else None
    told = keyframe.tags.get("ResolutionUnit")
    if scale is None and not file.is_imagej and told is not None and int(told.value) == 3:
        scale = micrometres("cm")
    tags = [keyframe.tags.get(name) for name in ("YResolution", "XResolution")]
    if scale is None or any(tag is None for tag in tags):
        return None
    values = [tag.value[0] / tag.value[1] if tag.value[1] else 0.0 for tag in tags if tag is not None]
    return (scale / values[0], scale / values[1]) if min(values) > 0 else None


def _ome_spacing(xml: str) -> tuple[float, float] | None:
    sizes = []
    for axis in "YX":
        found = re.search(rf'PhysicalSize{axis}="([0-9.eE+-]+)"', xml)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', xml)
        scale = micrometres(unit.group(1)) if unit else 1.0
        if found is None or scale is None:
            return None
        sizes.append(float(found.group(1)) * scale)
    return sizes[0], sizes[1]


def channel_names_of(file: Any, count: int) -> tuple[str, ...]:
    """What the OME metadata of a TIFF call its channels; empty where they do not name them all."""
    if not file.is_ome:
        return ()
    try:
        root = ElementTree.fromstring(file.ome_metadata)  # noqa: S314  (expat bounds entities)
    except ElementTree.ParseError:
        return ()
    names = tuple(one.get("Name", "") for one in root.findall("./{*}Image[1]/{*}Pixels/{*}Channel"))
    return names if len(names) == count and all(names) else ()
