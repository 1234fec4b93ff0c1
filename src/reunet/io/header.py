"""What is known of an image file before its pixels are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from reunet.errors import ImageReadError, ReunetError, TooLargeError

MAX_PIXELS = 400_000_000
"""Most pixels a page or volume may have (20,000 x 20,000); more is refused before decoding."""


UNSTATED = (1.0, 1.0, 1.0)
"""What a volume counts as that does not state its spacing; `check` warns of it."""


@dataclass(frozen=True)
class ImageHeader:
    """Facts of an image file.

    size: (height, width) of one page in pixels, as read (a photo's orientation tag is applied); of a
    volume (depth, height, width).
    channels: 1 or 3 for images that can be read (an alpha channel does not count), any number for volumes.
    dtype: sample type in the file, such as "uint8".
    pages: images of that size in the file (a stack or a series has more than one).
    axes: axes of the file in storage order, such as "YX", "YXC", "ZYX".
    spacing: size of a pixel per axis of `size` where the file states it, or None; in micrometres, of the
    voxels of a volume in millimetres.
    palette: pixels are indices into a colour table.
    lossy: the compression changes pixel values (JPEG).
    affine: of a volume, (4, 4) from (slice, row, column, 1) to millimetres rightwards, forwards, upwards.
    """

    size: tuple[int, ...]
    channels: int
    dtype: str
    pages: int = 1
    axes: str = ""
    spacing: tuple[float, ...] | None = None
    palette: bool = False
    lossy: bool = False
    affine: np.ndarray | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Its fields, as JSON holds them."""
        return vars(self) | {"affine": None if self.affine is None else self.affine.tolist()}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> ImageHeader:
        """The header that `as_json` told."""
        sizes = {name: tuple(told[name]) for name in ("size", "spacing") if told[name] is not None}
        affine = None if told["affine"] is None else np.array(told["affine"])
        return cls(**(told | sizes | {"affine": affine}))

    @property
    def is_volume(self) -> bool:
        """Whether the file holds a volume, which is one case, whatever its number of slices."""
        return len(self.size) == 3

    @property
    def voxel(self) -> tuple[float, ...] | None:
        """Size of a volume's voxels in mm per axis, UNSTATED where the file does not say; None of images."""
        return self.spacing or UNSTATED if self.is_volume else None


def check_size(path: Path, *sides: int) -> None:
    """Raise TooLargeError above MAX_PIXELS, ImageReadError for an image without pixels."""
    shown = " x ".join(map(str, sides))
    if min(sides) < 1:
        raise ImageReadError("the image has no pixels", where=path, received=shown)
    if prod(sides) > MAX_PIXELS:
        raise TooLargeError(
            "the image is too large to be decoded in one piece",
            where=path,
            expected=f"at most {MAX_PIXELS:,} pixels",
            received=f"{shown} = {prod(sides):,} pixels",
            fix="cut it into smaller images",
        )


@contextmanager
def explained(where: object, kind: str = "image") -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into ImageReadError."""
    try:
        yield
    except ReunetError:
        raise
    except FileNotFoundError as cause:
        raise ImageReadError(f"the {kind} file does not exist", where=where) from cause
    except Exception as cause:  # decoders raise every kind of error on damaged files
        raise ImageReadError(
            f"the {kind} cannot be read",
            where=where,
            received=str(cause)[:200] or type(cause).__name__,
            fix="it may be truncated or damaged: copy or export it again",
        ) from cause
