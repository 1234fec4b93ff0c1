"""How the samples of an image file are meant: one record for header, whole image and part alike."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reunet.errors import ImageReadError
from reunet.slices import Slices

MAX_CHANNELS = 64
"""Most channels of an image of a file; more are refused before decoding."""

MAX_BANDS = 1024
"""Of an image that lies on a map: imaging spectrometers have hundreds."""

_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
"""By orientation (as in TIFF and EXIF): are rows and columns exchanged, then rows, columns reversed?"""

COLOUR_SAMPLES = {"grey": 1, "inverted": 1, "palette": 1, "rgb": 3, "ycbcr": 3, "cielab": 3, "cmyk": 4}
"""Samples per pixel by colour space; further ones are transparency or channels."""


@dataclass(frozen=True)
class Samples:
    """What a file says of its samples.

    dtype: as decoded, bool for one bit. count: per pixel. space: one of COLOUR_SAMPLES; "inverted" is grey of
    which 0 is white. bits: of unsigned samples, of which no value is larger. alpha: which samples are
    transparency. table: (entries, 3) uint8 RGB of a palette. orientation: 1 to 8 as in TIFF and EXIF.
    """

    dtype: np.dtype[Any]
    count: int = 1
    space: str = "grey"
    bits: int = 0
    alpha: tuple[int, ...] = ()
    table: np.ndarray | None = None
    orientation: int = 1

    @property
    def channels(self) -> int:
        """What an image of it has."""
        kept = self.count - len(self.alpha)
        if self.table is not None:
            return 1 if _is_grey(self.table) else 3
        return 3 if self.space == "cmyk" else kept

    @property
    def result(self) -> np.dtype[Any]:
        """Sample type of `meant` images."""
        return np.dtype(np.uint8) if self.table is not None else self.stored

    @property
    def stored(self) -> np.dtype[Any]:
        """Sample type of `meant` numbers."""
        return np.dtype(np.uint8) if self.dtype == bool else self.dtype

    def meant(self, pixels: np.ndarray, path: Path, *, numbers: bool) -> np.ndarray:
        """Pixels (h, w, count) as they are stored to (h, w, channels), turned upright.

        numbers: values are no brightness but numbers, such as classes: a palette gives its indices, and what
        is white does not matter. Otherwise bright is high, and colours are red, green and blue. Bits become 0
        and 255. Raises ImageReadError for pixels other than the record says, and for transparency.
        """
        self._check(pixels, path)
        if self.table is not None:
            indices = pixels.astype(self.stored)
            pixels = indices if numbers else _coloured(indices[..., 0], self.table, self.bits)
        elif self.space == "inverted" and not numbers and self.dtype.kind in "bu":
            pixels = ~pixels if self.dtype == bool else np.array(2**self.bits - 1, self.dtype) - pixels
        elif self.space in _CONVERTED:
            pixels = _CONVERTED[self.space](pixels)
        if self.alpha:
            pixels = without_alpha(pixels, self.alpha, path, self.bits)
        pixels = pixels.astype(np.uint8) * np.uint8(255) if pixels.dtype == bool else pixels
        return upright(pixels, self.orientation)

    def _check(self, pixels: np.ndarray, path: Path) -> None:
        """Raise ImageReadError for pixels that the record announces otherwise."""
        told, received = (self.dtype, self.count), (pixels.dtype, pixels.shape[-1])
        highest = int(pixels.max(initial=0)) if 1 < self.bits < 8 * self.dtype.itemsize else 0
        if told != received or highest >= 2 ** max(1, self.bits):
            raise ImageReadError(
                "the pixels are not what the header of the file says",
                where=path,
                expected=f"{self.count} sample(s) of {self.dtype}, {self.bits} bits",
                received=f"{pixels.shape[-1]} sample(s) of {pixels.dtype}, up to {highest}",
                fix="the file contradicts itself: export it again",
            )


def without_alpha(pixels: np.ndarray, alpha: tuple[int, ...], path: Path, bits: int = 8) -> np.ndarray:
    """Pixels (h, w, samples) without those samples, which have to be opaque. Raises ImageReadError."""
    opaque = {"u": 2**bits - 1, "i": 2 ** (bits - 1) - 1}.get(pixels.dtype.kind, 1)
    for index in alpha:
        if not bool((pixels[..., index] == opaque).all()):
            raise ImageReadError(
                "the image has a transparent (alpha) channel",
                where=path,
                expected="grey or colours, with at most an opaque alpha channel",
                received=f"{pixels.shape[-1]} channels, the alpha channel from {pixels[..., index].min()}",
                fix="save it without the alpha channel, as grey or RGB",
            )
    return np.delete(pixels, alpha, axis=-1)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels (h, w, ...) turned as the orientation says."""
    exchange, rows, columns = _TURNS.get(orientation, (False, False, False))
    pixels = pixels.swapaxes(0, 1) if exchange else pixels
    return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


def upright_sides(sides: tuple[Any, ...], orientation: int) -> tuple[Any, ...]:
    """What is told per stored (row, column), such as the size, of the image that is upright."""
    return sides[::-1] if _TURNS.get(orientation, (False,))[0] else sides


def stored_part(part: Slices, size: tuple[int, ...], orientation: int) -> Slices:
    """Where a part of the upright image of that size is stored."""
    exchange, *reverse = _TURNS.get(orientation, (False, False, False))
    sides = [
        slice(n - one.stop, n - one.start) if back else one
        for one, n, back in zip(part, size, reverse, strict=True)
    ]
    return tuple(reversed(sides)) if exchange else tuple(sides)


def _is_grey(table: np.ndarray) -> bool:
    return bool((table == table[:, :1]).all())


def _coloured(indices: np.ndarray, table: np.ndarray, bits: int) -> np.ndarray:
    """(h, w) to (h, w, 1) or (h, w, 3) uint8; indices beyond the table are black."""
    colours = np.pad(table, ((0, max(0, 2**bits - len(table))), (0, 0)))[indices]
    return colours[..., :1] if _is_grey(table) else colours


def _from_pillow(mode: str, pixels: np.ndarray) -> np.ndarray:
    from PIL import Image

    size = pixels.shape[1], pixels.shape[0]
    image = Image.frombytes(mode, size, np.ascontiguousarray(pixels).tobytes(), "raw", mode)
    return np.asarray(image.convert("RGB"))


def _from_cielab(pixels: np.ndarray) -> np.ndarray:
    """CIE 1976 L*a*b* under D50, as TIFF stores it in 8 bits, to sRGB."""
    from PIL import Image, ImageCms

    size = pixels.shape[1], pixels.shape[0]
    image = Image.frombytes("LAB", size, np.ascontiguousarray(pixels).tobytes(), "raw", "LAB")
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, *profiles, outputMode="RGB"))


_CONVERTED = {
    "ycbcr": lambda pixels: _from_pillow("YCbCr", pixels),
    "cmyk": lambda pixels: _from_pillow("CMYK", pixels),
    "cielab": _from_cielab,
}
