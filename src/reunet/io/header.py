"""What is known of an image file before its pixels are decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from reunet.errors import ImageReadError, ReunetError, TooLargeError
from reunet.io.georeference import Georeference
from reunet.io.samples import upright_sides
from reunet.io.units import in_micrometres

SPARSE = 100_000
"""Bytes that a stored byte may stand for in an array too large to be decoded in one piece."""

MAX_PIXELS = 400_000_000
"""Most pixels a page or volume may have (20,000 x 20,000); more is refused before decoding."""


SAMPLES = 16
"""Channels of an image of MAX_PIXELS; a smaller one may have more."""

FREE = 2**26
"""Bytes of pixels that a file of any size may announce."""

UNSTATED = (1.0, 1.0, 1.0)
"""What a volume counts as that does not state its spacing; `check` warns of it."""

SAME_SIZE = 1e-3
"""Share by which two statements of the size of a pixel may differ."""

SAME_PLACE = 0.1
"""Pixels by which two statements of a place may lie apart: files round their geometry."""


class Doubt(NamedTuple):
    """Two statements of one file about one thing that disagree.

    what: the disagreement in one sentence. used, other: what each states, the one that is believed first.
    grave: pixels would be of another size, or lie in another direction.
    """

    what: str
    used: str
    other: str
    grave: bool

    def __str__(self) -> str:
        return f"{self.what}: {self.used} counts" + (f", not {self.other}" if self.other else "")


@dataclass(frozen=True)
class ImageHeader:
    """Facts of an image file.

    size: (height, width) of one page in pixels, as read (a photo's orientation tag is applied); of a
    volume (depth, height, width).
    channels: 1 for grey, 3 for RGB, any number where they are measured otherwise (an alpha channel does not
    count).
    dtype: sample type in the file, such as "uint8", which bilevel images count as; of a palette that of its
    indices, while the colours are always uint8.
    pages: images of that size in the file (a stack or a series has more than one).
    axes: axes of the file in storage order, such as "YX", "YXC", "ZYX". stack: those that count pages, see
    `page_places`, with their lengths, where the file tells.
    spacing: size of a pixel per axis of `size` where the file states it, or None; in micrometres, of the
    voxels of a volume in millimetres.
    palette: pixels are indices into a colour table.
    lossy: the compression changes pixel values (JPEG).
    white_is_zero: a file says that its 0 is white, a bilevel one, which programs that write masks may mean or
    not, or one of signed numbers or floats, whose values are used as stored.
    affine: of a volume, (4, 4) from (slice, row, column, 1) to millimetres rightwards, forwards, upwards.
    orientation: in which a photo is stored, 1 to 8 as in TIFF and EXIF.
    step: difference of the closest values that the file can tell apart, of whole numbers stored with a scale;
    0 of others. doubts: what the file states twice, differently. channel_names: one for each channel, where
    the file names them. fills: what lies around the values of a mask is 0, as in DICOM-SEG, which leaves
    empty slices out.
    levels: sizes of all levels of a pyramid, the finest first; of other images, their size or nothing.
    slide: a scanner of whole slides wrote it. map: where on the map it lies. nodata: the value of pixels that
    nothing is known of. value_names: what the file calls the values of a mask, as DICOM-SEG does.
    """

    size: tuple[int, ...]
    channels: int
    dtype: str
    pages: int = 1
    axes: str = ""
    spacing: tuple[float, ...] | None = None
    palette: bool = False
    lossy: bool = False
    white_is_zero: bool = False
    affine: np.ndarray | None = field(default=None, compare=False)
    step: float = 0.0
    orientation: int = 1
    doubts: tuple[Doubt, ...] = ()
    fills: bool = False
    channel_names: tuple[str, ...] = ()
    levels: tuple[tuple[int, ...], ...] = ()
    slide: bool = False
    map: Georeference | None = None
    nodata: float | None = None
    stack: tuple[tuple[str, int], ...] = ()
    value_names: tuple[tuple[int, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Its fields, as JSON holds them."""
        return vars(self) | {
            "affine": None if self.affine is None else self.affine.tolist(),
            "map": self.map and self.map.as_json(),
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> ImageHeader:
        """The header that `as_json` told."""
        sizes = {name: tuple(told[name]) for name in ("size", "spacing") if told[name] is not None}
        affine = None if told["affine"] is None else np.array(told["affine"])
        doubts = tuple(Doubt(*one) for one in told["doubts"])
        names, levels = tuple(told["channel_names"]), tuple(tuple(size) for size in told["levels"])
        place = None if told["map"] is None else Georeference.from_json(told["map"])
        made = {"affine": affine, "doubts": doubts, "channel_names": names, "levels": levels, "map": place}
        made |= {name: tuple(map(tuple, told[name])) for name in ("stack", "value_names")}
        return cls(**(told | sizes | made))

    @property
    def unturned(self) -> tuple[int, ...]:
        """`size` of the pixels as they are stored, which programs show that do not heed the orientation."""
        return upright_sides(self.size, self.orientation)

    @property
    def counted(self) -> str:
        """Its pages, for messages, with the axes that count them where there are several."""
        lengths = [f"{axis} {length}" for axis, length in self.stack if length > 1]
        return f"{self.pages} pages" + (f" ({', '.join(lengths)}; axes {self.axes})" if lengths[1:] else "")

    @property
    def is_volume(self) -> bool:
        """Whether the file holds a volume, which is one case, whatever its number of slices."""
        return len(self.size) == 3

    @property
    def voxel(self) -> tuple[float, ...] | None:
        """Size of a volume's voxels in mm per axis, UNSTATED where the file does not say; None of images."""
        return self.spacing or UNSTATED if self.is_volume else None

    def width(self, pixels: float) -> float | None:
        """Micrometres of so many pixels of the last axis; None where the file does not state their size."""
        return pixels * in_micrometres(self.spacing)[-1] if self.spacing else None

    @property
    def micrometres(self) -> tuple[float, ...] | None:
        """Size (y, x) of an image's pixels where the file states it; None of volumes."""
        return None if self.is_volume else self.spacing


def page_places(axes: str) -> list[int]:
    """Which of a file's axes count its pages, in the order that pages have here, the last one the fastest:
    time before depth, whatever the order in the file; axes without these names as they are stored.
    """
    places = [place for place, axis in enumerate(axes) if axis not in "YXCS"]
    is_named = {axes[place] for place in places} <= {"T", "Z"}
    return sorted(places, key=lambda place: axes[place]) if is_named else places


def apart(one: ImageHeader, other: ImageHeader) -> tuple[str, str, str] | None:
    """How two files of one image disagree in what they both state: `spacing`, `turned` (axes of volumes that
    lead elsewhere), `place` or `crs`, and what each of them states. None where they agree, or one does not
    say.
    """
    if one.map is not None and other.map is not None:
        return _apart_on_map(one, one.map, other.map)
    if one.spacing and other.spacing and not np.allclose(one.spacing, other.spacing, rtol=SAME_SIZE, atol=0):
        return "spacing", _sizes(one.spacing), _sizes(other.spacing)
    if one.affine is None or other.affine is None:
        return None
    corners = np.array([*product(*((0, side) for side in one.size))])
    places = [corners @ affine[:3, :3].T + affine[:3, 3] for affine in (one.affine, other.affine)]
    distance = float(np.linalg.norm(places[0] - places[1], axis=1).max())
    if distance <= SAME_PLACE * float(np.linalg.norm(one.affine[:3, :3], axis=0).min()):
        return None
    kind = "place" if one.axes[:3] == other.axes[:3] else "turned"
    received = f"corners up to {distance:.3g} mm apart (orientation {other.axes[:3]})"
    return kind, f"that of the image (orientation {one.axes[:3]})", received


def _apart_on_map(header: ImageHeader, one: Georeference, other: Georeference) -> tuple[str, str, str] | None:
    if one.crs != other.crs and "unknown" not in (one.crs, other.crs):
        return "crs", one.crs, other.crs
    distance = one.distance(other, header.size)
    if distance <= SAME_PLACE:
        return None
    return "place", "that of the image", f"corners up to {distance:.3g} pixels apart"


def _sizes(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{side:g}" for side in spacing) + (" mm" if len(spacing) == 3 else " micrometres")


Check = Callable[[Any, ImageHeader], None]
"""Looks at a path and the header of its file before pixels are decoded, and raises for what is not wanted."""


def is_large(header: ImageHeader) -> bool:
    """Whether a page or volume takes more than FREE bytes once it is decoded."""
    return prod(header.size) * header.channels * np.dtype(header.dtype).itemsize > FREE


def check_filled(path: object, pixels: int, itemsize: int, stored: Callable[[int], int]) -> None:
    """Raise TooLargeError for an array whose file is too small to hold what it announces.

    stored: how many bytes are there, counted as far as needed at least.
    """
    needed = pixels * itemsize // SPARSE
    if pixels > MAX_PIXELS and (held := stored(needed)) < needed:
        raise TooLargeError(
            "the file is too small for all the pixels that it announces",
            where=path,
            expected=f"at least {needed:,} bytes for {pixels:,} pixels",
            received=f"{held:,} bytes",
            fix="copy or export it again; an image that is all empty need not be predicted",
        )


def check_size(path: object, *sides: int) -> None:
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


def check_samples(path: object, header: ImageHeader) -> None:
    """Raise TooLargeError for pixels of so many channels that they cannot be decoded in one piece."""
    samples = prod(header.size) * header.channels
    if samples > (most := SAMPLES * MAX_PIXELS):
        raise TooLargeError(
            "the image has too many channels to be decoded in one piece",
            where=path,
            expected=f"at most {most:,} samples",
            received=f"{' x '.join(map(str, header.size))} pixels of {header.channels} channels",
            fix="cut it into smaller images, or save only the channels that are needed",
        )


def check_packing(path: object, size: int, stored: int, *, tight: bool) -> None:
    """Raise ImageReadError where so few stored bytes cannot hold that many bytes of pixels.

    tight: the compression is one that needs at least a byte for some thousand.
    """
    if size > max(FREE, stored * (3_000 if tight else 200_000)):
        raise ImageReadError(
            "the file is too small for the pixels that it announces",
            where=path,
            expected=f"{size:,} bytes of pixels",
            received=f"{stored:,} bytes, compressed",
            fix="it may be truncated or damaged: copy or export it again",
        )


def check_result(path: object, header: ImageHeader, pixels: np.ndarray, *, numbers: bool) -> None:
    """Raise ImageReadError where an image (*space, C), or a mask of `numbers`, contradicts its header."""
    indices = header.palette and numbers
    channels = 1 if indices else header.channels
    dtype = "uint8" if header.palette and not numbers else header.dtype
    told, received = (*header.size, channels), pixels.shape
    if told != received or (not header.is_volume and dtype != str(pixels.dtype)):
        raise ImageReadError(
            "the pixels are not what the header of the file says",
            where=path,
            expected=f"{' x '.join(map(str, told))}, {dtype}",
            received=f"{' x '.join(map(str, received))}, {pixels.dtype}",
            fix="the file contradicts itself: export it again",
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
