"""What is known of an image file before its pixels are decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reunet.errors import ImageReadError, TooLargeError

MAX_PIXELS = 400_000_000
"""Most pixels one page may have (20,000 x 20,000); more is refused before decoding."""


@dataclass(frozen=True)
class ImageHeader:
    """Facts of an image file.

    size: (height, width) of one page in pixels, as read (a photo's orientation tag is applied).
    channels: 1 or 3 for files that can be read (an alpha channel does not count).
    dtype: sample type in the file, such as "uint8".
    pages: images of that size in the file (a stack or a series has more than one).
    axes: axes of the file in storage order, such as "YX", "YXC", "ZYX".
    spacing: (y, x) size of a pixel in micrometres where the file states it, or None.
    palette: pixels are indices into a colour table.
    lossy: the compression changes pixel values (JPEG).
    """

    size: tuple[int, int]
    channels: int
    dtype: str
    pages: int
    axes: str
    spacing: tuple[float, float] | None
    palette: bool
    lossy: bool


def check_size(path: Path, height: int, width: int) -> None:
    """Raise TooLargeError above MAX_PIXELS, ImageReadError for an image without pixels."""
    if height < 1 or width < 1:
        raise ImageReadError("the image has no pixels", where=path, received=f"{height} x {width}")
    if height * width > MAX_PIXELS:
        raise TooLargeError(
            "the image is too large to be decoded in one piece",
            where=path,
            expected=f"at most {MAX_PIXELS:,} pixels",
            received=f"{height} x {width} = {height * width:,} pixels",
            fix="cut it into smaller images",
        )
