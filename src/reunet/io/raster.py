"""PNG, JPEG, BMP and GIF files, read with Pillow (and OpenCV for 16-bit colour PNG); PNG files, written."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from reunet.errors import ImageReadError
from reunet.io.header import ImageHeader, check_size
from reunet.storage import atomic_path

# The reader is chosen by content, not by suffix, and opened directly: Pillow's own size limit, a warning
# for some sizes and an error for others, is replaced by ours.
_READERS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"BM", BmpImageFile),
    (b"GIF8", GifImageFile),
)
_CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I": 1, "LA": 1, "RGB": 3, "RGBA": 3, "CMYK": 3}
_ORIENTATION = 0x0112
_TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that exchange height and width


def is_raster(start: bytes) -> bool:
    """Whether a file that starts with these bytes is read here."""
    return any(start.startswith(magic) for magic, _ in _READERS)


def raster_header(path: Path, file: BinaryIO) -> ImageHeader:
    """Header of a PNG, JPEG, BMP or GIF file. Raises ImageReadError, TooLargeError."""
    return _header(path, _open(path, file), deep=_is_deep_colour(file))


def read_raster(path: Path, file: BinaryIO, *, palette_values: bool) -> np.ndarray:
    """Pixels: (H, W) or (H, W, samples), uint8 or uint16; samples may include alpha.

    palette_values: give the indices of a palette file instead of its colours.
    """
    deep = _is_deep_colour(file)
    image = _open(path, file)
    header = _header(path, image, deep=deep)
    if deep:
        image.load()  # Pillow notices truncation, OpenCV does not; OpenCV keeps 16 bits, Pillow does not
        return _decode_deep_colour(path, file)
    if header.palette:
        image.load()
        return np.asarray(image) if palette_values else _apply_palette(image)
    oriented: Image.Image = ImageOps.exif_transpose(image) if header.lossy else image
    if oriented.mode == "CMYK":
        oriented = oriented.convert("RGB")
    pixels = np.asarray(oriented)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    return pixels


def read_palette(path: Path) -> np.ndarray | None:
    """Colour table of a palette file, (entries, 3) uint8 RGB, or None (TIFF palettes are not asked for)."""
    with open(path, "rb") as file:
        if not is_raster(file.read(8)):
            return None
        image = _open(path, file)
        return _palette(image) if image.mode == "P" else None


def write_png(path: Path, pixels: np.ndarray, palette: np.ndarray | None = None) -> None:
    """Write (H, W) or (H, W, 3) uint8, or (H, W) uint16, atomically as PNG. Raises StorageError.

    palette: (256, 3) uint8, the colours of the values.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if palette is not None:
        image.putpalette(palette.tobytes(), "RGB")
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", compress_level=4)


def _open(path: Path, file: BinaryIO) -> ImageFile:
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    reader = next(reader for magic, reader in _READERS if start.startswith(magic))
    return reader(file, str(path))


def _header(path: Path, image: ImageFile, *, deep: bool) -> ImageHeader:
    width, height = image.size
    check_size(path, height, width)
    frames = int(getattr(image, "n_frames", 1)) if isinstance(image, GifImageFile) else 1
    if frames > 1:
        raise ImageReadError(
            "the file is an animated GIF",
            where=path,
            expected="one image",
            received=f"{frames} frames",
            fix="save the frames as a TIFF stack or as single images",
        )
    lossy = isinstance(image, JpegImageFile)
    if lossy and image.getexif().get(_ORIENTATION, 1) in _TRANSPOSED:
        height, width = width, height
    palette = image.mode == "P"
    if palette:
        table = _palette(image)
        channels = 1 if bool((table == table[:, :1]).all()) else 3
    elif image.mode in _CHANNELS:
        channels = _CHANNELS[image.mode]
    else:
        raise ImageReadError(
            f"unsupported pixel format {image.mode}", where=path, fix="save it as grey or RGB"
        )
    return ImageHeader(  # without spacing: the resolution of these formats is meant for printing
        size=(height, width),
        channels=channels,
        dtype="uint16" if deep or image.mode.startswith("I") else "uint8",
        axes="YX" if channels == 1 else "YXC",
        palette=palette,
        lossy=lossy,
    )


def _palette(image: ImageFile) -> np.ndarray:
    return np.array(image.getpalette("RGB") or [0, 0, 0], np.uint8).reshape(-1, 3)


def _apply_palette(image: ImageFile) -> np.ndarray:
    table = _palette(image)
    if "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    if bool((table == table[:, :1]).all()):
        return np.asarray(image.convert("L"))
    return np.asarray(image.convert("RGB"))


def _is_deep_colour(file: BinaryIO) -> bool:
    """Whether this is a PNG with 16 bits per sample and more than one sample per pixel."""
    file.seek(0)
    start = file.read(26)
    return start[:8] == _READERS[0][0] and len(start) == 26 and start[24] == 16 and start[25] in (2, 4, 6)


def _decode_deep_colour(path: Path, file: BinaryIO) -> np.ndarray:
    import cv2

    file.seek(0)
    pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageReadError("the image cannot be decoded", where=path)
    if pixels.ndim == 3:
        order = [2, 1, 0, 3][: pixels.shape[2]]
        pixels = pixels[..., order]
    return np.asarray(pixels)
