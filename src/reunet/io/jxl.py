"""The size that a JPEG XL file announces, and its pixels."""

import re

import numpy as np

from reunet.errors import ImageReadError

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, by number from 1 (ISO/IEC 18181-1, annex A)."""


class _Bits:
    """The bits of some bytes, the lowest first."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "little")

    def take(self, count: int) -> int:
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        return found

    def side(self, *, small: bool) -> int:
        """Height or width, before the image is turned upright."""
        return 8 * (self.take(5) + 1) if small else self.take((9, 13, 18, 30)[self.take(2)]) + 1


def jxl_size(content: bytes) -> tuple[int, int]:
    """(height, width) as stored, from the file's content. Raises ImageReadError."""
    found = re.search(rb"(?:\A|jxlc|jxlp.{4})\xff\x0a(.{0,16})", content[: 2**20], re.DOTALL)
    if found is None:
        raise ImageReadError("the JPEG XL file holds no image")
    bits = _Bits(found.group(1))
    small = bool(bits.take(1))
    height = bits.side(small=small)
    ratio = bits.take(3)
    if ratio:
        above, below = _RATIOS[ratio - 1]
        return height, height * above // below
    return height, bits.side(small=small)


def decode_jxl(content: bytes) -> np.ndarray:
    """(H, W) or (H, W, samples) of the image, upright."""
    import imagecodecs

    return np.asarray(imagecodecs.jpegxl_decode(content))
