"""PNG, JPEG, BMP, GIF, WebP, AVIF, JPEG 2000 and JPEG XL files, read with Pillow, or with imagecodecs where
Pillow does not keep all bits; PNG files, written.
"""

import importlib
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngInfo

from reunet.errors import ImageReadError
from reunet.io.header import ImageHeader, check_packing, check_size
from reunet.io.jxl import decode_jxl, jxl_size
from reunet.io.png_chunks import check_pixels, first_chunk, sound
from reunet.io.samples import Samples, upright_sides, without_alpha
from reunet.io.units import png_resolution
from reunet.storage import atomic_path

QUICK = 1
"""Effort for pictures of photographs: half the time of 4 for a tenth more bytes."""

START = 64
"""Bytes of a file that tell its format."""

_ORIENTATION = 0x0112

_FORMATS = {
    "Png": rb"\x89PNG\r\n\x1a\n",
    "Jpeg": rb"\xff\xd8\xff",
    "Bmp": rb"BM",
    "Gif": rb"GIF8",
    "WebP": rb"RIFF.{4}WEBP",
    "Jpeg2K": rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "Avif": rb".{4}ftyp(avi[fs]|.{8}(.{4}){0,8}avi[fs])",
    "Jxl": rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n",
}
"""How files begin, by the name of Pillow's plugin. The reader is chosen by content, not by suffix, and opened
directly: Pillow's own size limit, a warning for some sizes and an error for others, is replaced by ours."""

_SPACES = {"L": "grey", "LA": "grey", "I;16": "grey", "RGB": "rgb", "RGBA": "rgb", "CMYK": "cmyk"}


_TIGHT = ("Png", "Jpeg", "Bmp", "Gif")
"""Formats that need at least a byte for some thousand bytes of pixels."""


@dataclass(frozen=True)
class RasterImage:
    """An open file: the name of its format, its size as stored and how its samples are meant.

    image: Pillow's, None of JPEG XL. decode: the pixels, (h, w) or (h, w, samples).
    """

    format: str
    image: Any
    size: tuple[int, ...]
    samples: Samples
    decode: Callable[[], np.ndarray]
    is_lossy: bool = False

    @property
    def header(self) -> ImageHeader:
        """What is told of it; without spacing, as the resolution of these formats is meant for printing."""
        return ImageHeader(
            size=upright_sides(self.size, self.samples.orientation),
            channels=self.samples.channels,
            dtype=str(self.samples.stored),
            axes="YX" if self.samples.channels == 1 else "YXC",
            palette=self.samples.table is not None,
            lossy=self.is_lossy,
            orientation=self.samples.orientation,
        )


def _format(start: bytes) -> str | None:
    return next((name for name, magic in _FORMATS.items() if re.match(magic, start, re.DOTALL)), None)


def is_raster(start: bytes) -> bool:
    """Whether a file that starts with these bytes is read here."""
    return _format(start) is not None


def read_raster(path: Path, opened: RasterImage, *, numbers: bool) -> np.ndarray:
    """Pixels: (H, W, C), uint8, uint16 or float32; `numbers` as for `Samples.meant`."""
    pixels = np.atleast_3d(opened.decode())
    if not numbers and opened.image is not None and "transparency" in opened.image.info:
        without_alpha(np.asarray(opened.image.convert("RGBA")), (3,), path)
    return opened.samples.meant(pixels, path, numbers=numbers)


def write_png(
    path: Path,
    pixels: np.ndarray,
    palette: np.ndarray | None = None,
    spacing: Sequence[float] | None = None,
    effort: int = 4,
    title: str = "",
) -> None:
    """Write (H, W) or (H, W, 3) uint8, or (H, W) uint16, atomically as PNG. Raises StorageError.

    palette: (256, 3) uint8, the colours of the values. spacing: size (y, x) of a pixel in micrometres.
    effort: 1 to 9, with which it is compressed. title: of the picture, as its first text.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if palette is not None:
        image.putpalette(palette.tobytes(), "RGB")
    with atomic_path(path) as temporary:
        texts = PngInfo()
        if title:
            texts.add_text("Title", title)
        resolution = png_resolution(spacing)
        image.save(temporary, format="PNG", compress_level=effort, pnginfo=texts, **resolution)


def raster_image(path: Path, file: BinaryIO) -> RasterImage:
    """An open file, of which only JPEG XL is decoded yet. Raises ImageReadError, TooLargeError."""
    file.seek(0)
    name = _format(file.read(START))
    file.seek(0)
    whole = name in ("Jxl", "Jpeg2K", "Avif")
    content = file.read() if whole else file.read(2**12)
    file.seek(0)
    if whole:
        file = io.BytesIO(content)  # Pillow asks for as many bytes as a box of JPEG 2000 says it has
    if name == "Jxl":
        return _jxl(path, content)
    plugin = importlib.import_module(f"PIL.{name}ImagePlugin")
    image: ImageFile = getattr(plugin, f"{name}ImageFile")(file, str(path))
    size = image.size[::-1]
    check_size(path, *size)
    if name == "Png":
        place = file.tell()
        check_pixels(path, file)
        file.seek(place)
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        raise _animated(path, image.format or "image", frames)
    deep = _deep(path, str(name), content)
    samples = replace(deep or _samples(path, image), orientation=_orientation(str(name), image, file))
    _check_packing(path, size, samples, tight=name in _TIGHT)

    def decode() -> np.ndarray:
        if deep is None:
            return np.asarray(image)
        file.seek(0)
        stored = file.read()
        return np.asarray(_codec(str(name))(sound(path, stored) if name == "Png" else stored))

    return RasterImage(str(name), image, size, samples, decode, _is_lossy(str(name), content))


def _jxl(path: Path, content: bytes) -> RasterImage:
    size = jxl_size(content)
    check_size(path, *size)
    _check_packing(path, size, Samples(np.dtype(np.uint8)), tight=False)
    pixels = decode_jxl(content)
    if pixels.ndim > 3:
        raise _animated(path, "JPEG XL", len(pixels))
    count = np.atleast_3d(pixels).shape[2]
    samples = Samples(
        pixels.dtype,
        count,
        "rgb" if count > 2 else "grey",
        8 * pixels.dtype.itemsize,
        (count - 1,) if count in (2, 4) else (),
    )
    return RasterImage("Jxl", None, pixels.shape[:2], samples, lambda: pixels)


def _animated(path: Path, name: str, frames: int) -> ImageReadError:
    return ImageReadError(
        f"the file is an animated {name}",
        where=path,
        expected="one image",
        received=f"{frames} frames",
        fix="save the frames as a TIFF stack or as single images",
    )


def _check_packing(path: Path, size: Sequence[int], samples: Samples, *, tight: bool) -> None:
    announced = math.prod(size) * samples.count * samples.dtype.itemsize
    check_packing(path, announced, path.stat().st_size, tight=tight)


def _samples(path: Path, image: ImageFile) -> Samples:
    """How Pillow gives the samples of an image. Raises ImageReadError for modes that are not read."""
    if image.mode == "1":
        return Samples(np.dtype(bool), bits=1)
    if image.mode == "P":
        return Samples(np.dtype(np.uint8), 1, "palette", 8, table=_table(image))
    if image.mode not in _SPACES:
        fix = "save it as grey or RGB"
        raise ImageReadError(f"unsupported pixel format {image.mode}", where=path, fix=fix)
    count = len(image.getbands())
    alpha = (count - 1,) if image.mode.endswith("A") else ()
    dtype = np.dtype(np.uint16 if image.mode == "I;16" else np.uint8)
    return Samples(dtype, count, _SPACES[image.mode], 8 * dtype.itemsize, alpha)


def _table(image: ImageFile) -> np.ndarray:
    """(entries, 3) uint8 RGB of a palette. Pillow's `getpalette` decodes the pixels for it."""
    palette = image.palette
    form = None if palette is None else palette.rawmode or palette.mode
    if palette is None or form not in ("RGB", "BGR", "BGRX"):
        return np.array(image.getpalette("RGB") or [0, 0, 0], np.uint8).reshape(-1, 3)
    stored = np.frombuffer(bytes(palette.palette), np.uint8)
    entries = stored[: len(stored) // len(form) * len(form)].reshape(-1, len(form))[:256, :3]
    return np.ascontiguousarray(entries if form == "RGB" else entries[:, ::-1])


def _deep(path: Path, name: str, content: bytes) -> Samples | None:
    """How the samples are meant where Pillow leaves out bits or stretches them, else None."""
    bits = channels = 0
    signed = False
    if name == "Png" and content[24:25] == b"\x10":  # PNG's own scaling of 1, 2 and 4 bits is kept
        bits, channels = 16, {2: 3, 4: 2, 6: 4}.get(content[25], 0)
    elif name == "Jpeg2K" and (begin := content.find(b"\xff\x4f\xff\x51")) >= 0:
        channels = int.from_bytes(content[begin + 40 : begin + 42], "big")
        depths = set(content[begin + 42 : begin + 42 + 3 * channels : 3])
        if depths == {7}:
            return None
        if len(depths) != 1 or b"colr\x01\0\0\0\0\0\x12" in content:
            received = f"depths {sorted(1 + (depth & 127) for depth in depths)}"
            raise ImageReadError("JPEG 2000 with such channels is not read", where=path, received=received)
        (depth,) = depths
        bits, signed = 1 + (depth & 127), depth > 127
    elif name == "Avif" and (found := re.search(rb"av1C.{2}(.)", content, re.DOTALL)) and found[1][0] & 0x40:
        bits = 12 if found[1][0] & 0x20 else 10
        channels = 1 if found[1][0] & 0x10 else 3
        channels += b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha" in content
    if not channels:
        return None
    dtype = np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}")
    alpha = (channels - 1,) if channels in (2, 4) else ()
    return Samples(dtype, channels, "rgb" if channels > 2 else "grey", 0 if signed else bits, alpha)


def _codec(name: str) -> Callable[[bytes], Any]:
    import imagecodecs

    codecs = {"Png": "png_decode", "Jpeg2K": "jpeg2k_decode", "Avif": "avif_decode"}
    return cast("Callable[[bytes], Any]", getattr(imagecodecs, codecs[name]))


def _is_lossy(name: str, content: bytes) -> bool:
    """Whether the compression changes values; a reversible JPEG 2000 and a lossless WebP do not."""
    if name == "Jpeg2K":
        found = re.search(rb"\xff\x52\0.{10}(.)", content, re.DOTALL)
        return found is not None and found[1] == b"\0"
    return name in ("Jpeg", "Avif") or (name == "WebP" and b"VP8 " in content)


def _orientation(name: str, image: ImageFile, file: BinaryIO) -> int:
    """As EXIF tells it; in PNG it may stand behind the pixels, where Pillow would decode them to find it."""
    if name not in ("Png", "Jpeg", "WebP", "Avif"):
        return 1
    if name == "Png" and not {"exif", "Raw profile type exif"} & set(image.info):
        image.info["exif"] = first_chunk(file, b"eXIf")
    told = image.getexif().get(_ORIENTATION, 1)
    return told if isinstance(told, int) else 1
