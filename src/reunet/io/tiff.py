"""TIFF files, described with tifffile: all sample types, colours, stacks, OME, ImageJ; whole or in parts."""

import functools
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from reunet.errors import ImageReadError, UsageError
from reunet.io.georeference import georeference_of, nodata_of
from reunet.io.header import ImageHeader, check_filled, check_packing, check_size, page_places
from reunet.io.nodata import filled, is_known, sample_parts, usual
from reunet.io.png_chunks import sound
from reunet.io.samples import MAX_BANDS, MAX_CHANNELS, Samples, stored_part, upright_sides
from reunet.io.tiff_series import contradictions, is_slide, meant_series, pixel_size
from reunet.io.tiff_tags import channel_names_of, check_directories, is_lossy, is_tight, samples_of
from reunet.slices import Slices, all_of, overlap, size_of, touched, within

Size = tuple[int, ...]
ReadPart = Callable[[Slices], np.ndarray]

_PNG = 34933
"""How TIFF calls tiles and strips that are PNG files."""

_PAGE = "YXC"
"""Axes of a page, in the order of its array; all others count pages."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_SETTLED_S = 2.0
"""Seconds after which a file that is written again has another time of writing, whatever the file system."""


def is_tiff(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a TIFF."""
    return start[:4] in _MAGIC


@dataclass(frozen=True)
class TiffImage:
    """What a file holds; axes are T, Z, C, Y, X or tifffile's unnamed Q, I and so on. It is not open."""

    path: Path
    series: Any
    byteorder: Literal["<", ">"]
    axes: str
    shape: Size
    samples: Samples
    header: ImageHeader

    def length(self, axis: str) -> int:
        """Of an axis, 1 where there is none."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def stored_size(self) -> Size:
        """Rows and columns as they are stored."""
        return self.length("Y"), self.length("X")

    @property
    def piece(self) -> Size:
        """Rows and columns, of the upright image, of the pieces that are read at once."""
        piece = (1, 1) if self.series.dataoffset is not None else _piece(self.series.keyframe)
        sides = zip(upright_sides(piece, self.samples.orientation), self.header.size, strict=True)
        return tuple(min(side, most) for side, most in sides)

    def read(self, file: BinaryIO, page: int, part: Slices, *, numbers: bool) -> np.ndarray:
        """A part of the upright image: (h, w, C), see `Samples.meant`. Raises ImageReadError.

        What nothing is known of is filled by the median of the image, but where values are `numbers`.
        """
        pixels = self._meant(file, page, part, numbers=numbers)
        if numbers or self.header.nodata is None:
            return pixels
        return filled(pixels, self.header.nodata, self._usual)

    def known(self, file: BinaryIO, page: int, part: Slices) -> np.ndarray:
        """Where something is known of a part, (h, w) bool."""
        return is_known(self._meant(file, page, part, numbers=True), self.header.nodata)

    def _meant(self, file: BinaryIO, page: int, part: Slices, *, numbers: bool) -> np.ndarray:
        stored = stored_part(part, self.header.size, self.samples.orientation)
        return self.samples.meant(self._pixels(file, page, stored), self.path, numbers=numbers)

    @functools.cached_property
    def _usual(self) -> np.ndarray:
        """(C,) what pixels are filled with that nothing is known of: it holds for any part of the image."""
        with open(self.path, "rb") as file:
            parts = sample_parts(self.header.size, self.piece)
            read = (self._meant(file, 0, part, numbers=False) for part in parts)
            return usual(read, self.header.nodata or 0.0)

    def _pixels(self, file: BinaryIO, number: int, part: Slices) -> np.ndarray:
        """(h, w, samples) of a page as stored, reading as little of the file as its storage allows."""
        lengths = [length for _, length in self.header.stack]
        at = dict(zip(page_places(self.axes), map(int, np.unravel_index(number, lengths)), strict=True))
        wanted = {"Y": part[0], "X": part[1], "C": slice(None)}
        index = tuple(at[i] if i in at else wanted[axis] for i, axis in enumerate(self.axes))
        leading = len(self.shape) - len(self.series.keyframe.shape)
        if self.series.dataoffset is not None:
            dtype = self.samples.dtype.newbyteorder(self.byteorder)
            if self.series.dataoffset + math.prod(self.shape) * dtype.itemsize > file.seek(0, 2):
                raise _truncated(self.path)
            mapped: np.ndarray
            if isinstance(file, BytesIO):
                mapped = np.ndarray(self.shape, dtype, file.getvalue(), self.series.dataoffset)
            else:
                mapped = np.memmap(file, dtype, "r", self.series.dataoffset, self.shape)
            pixels = np.array(mapped[index]).astype(self.samples.dtype, copy=False)
        elif self._has_whole_pages(leading):
            numbers = np.arange(len(self.series.pages)).reshape(self.shape[:leading])[index[:leading]]
            planes = [self._decoded(self.series.pages[int(one)], file, part) for one in np.ravel(numbers)]
            return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1)
        else:
            check_size(self.path, math.prod(self.shape), 1)
            end = file.seek(0, 2)
            for page in filter(None, self.series.pages):
                pieces = zip(page.dataoffsets, page.databytecounts, strict=False)
                if any(offset + length > end for offset, length in pieces):
                    raise _truncated(self.path)
            with _opened(file) as tiff:
                pixels = tiff.series[0].asarray()[index]
        remaining = [axis for axis in self.axes if axis in _PAGE]
        pixels = pixels.transpose([remaining.index(axis) for axis in _PAGE if axis in remaining])
        return pixels if "C" in remaining else pixels[..., None]

    def _has_whole_pages(self, leading: int) -> bool:
        """Whether each page of the file is one of the image, or one of its channels."""
        same = leading >= 0 and self.shape[leading:] == self.series.keyframe.shape
        counted = len(self.series.pages) == math.prod(self.shape[: max(0, leading)])
        return same and counted and set(self.axes[leading:]) <= set(_PAGE)

    def _decoded(self, page: Any, file: BinaryIO, part: Slices) -> np.ndarray:
        """(h, w, samples) of a part from the tiles or strips of a page that it touches."""
        keyframe, dtype = self.series.keyframe, self.samples.dtype
        if page is None:
            raise ImageReadError("a page of the TIFF is missing", where=self.path)
        piece, (height, width) = _piece(keyframe), self.stored_size
        down, across = -(-height // piece[0]), -(-width // piece[1])
        count = int(keyframe.samplesperpixel)
        planes = count if keyframe.planarconfig == 2 else 1
        result = np.zeros((*size_of(part), count), dtype)
        if keyframe.nodata:
            result[...] = keyframe.nodata
        for plane in range(planes):
            target = result if planes == 1 else result[..., plane : plane + 1]
            for (i, j), stored in touched(part, piece):
                data, number = self._stored(page, file, (plane * down + i) * across + j)
                if data is None:
                    continue
                if keyframe.compression == _PNG:
                    data = sound(self.path, data)
                told = {"jpegtables": page.jpegtables, "jpegheader": keyframe.jpegheader}
                tables = {name: value for name, value in told.items() if value is not None}
                decoded = keyframe.decode(data, number, **tables)[0][0]
                if decoded.dtype != dtype:
                    said = f"{dtype} in the header, {decoded.dtype} in the pixels"
                    raise ImageReadError("the TIFF contradicts itself", where=self.path, received=said)
                both = overlap(overlap(part, stored), all_of(self.stored_size))
                target[within(both, part)] = decoded[within(both, stored)]
        return result

    def _stored(self, page: Any, file: BinaryIO, number: int) -> tuple[bytes | None, int]:
        """What is stored for a tile or strip, None in a sparse file, and its number."""
        keyframe, end = self.series.keyframe, file.seek(0, 2)
        known = number < min(len(page.dataoffsets), len(page.databytecounts))
        offset, length = (page.dataoffsets[number], page.databytecounts[number]) if known else (end, 1)
        if not length:
            return None, number
        if offset + length > end:
            raise _truncated(self.path)
        samples = keyframe.samplesperpixel if keyframe.planarconfig == 1 else 1
        told = math.prod(_piece(keyframe)) * samples * self.samples.dtype.itemsize
        check_packing(self.path, told, length, tight=is_tight(keyframe))
        file.seek(offset)
        return file.read(length), number


def _truncated(path: Path) -> ImageReadError:
    return ImageReadError("the TIFF is truncated", where=path, fix="copy or export the file again")


def read_tiff(path: Path, file: BinaryIO, image: TiffImage, page: int, *, numbers: bool) -> np.ndarray:
    """One page of an open file: (H, W, C) in its sample type; `numbers` as for `Samples.meant`."""
    check_size(path, *image.header.size)
    return image.read(file, page, all_of(image.header.size), numbers=numbers)


def open_tiff_page(
    path: Path, page: int, axes: str | None, level: int = 0
) -> tuple[ImageHeader, Size, ReadPart, ReadPart | None]:
    """A page to be read in parts: its header, the size of the pieces that it is stored in, a function from
    (rows, columns) to (h, w, C) in the file's sample type, for any thread, and one to where something is
    known, (h, w) bool, None for everywhere. level: of a pyramid, 0 for the finest. Raises as `tiff_image`
    does.
    """
    with open(path, "rb") as opened:
        image = tiff_image(path, opened, axes, level)

    def read(part: Slices) -> np.ndarray:
        with open(path, "rb") as file:
            return image.read(file, page, part, numbers=False)

    def known(part: Slices) -> np.ndarray:
        with open(path, "rb") as file:
            return image.known(file, page, part)

    return image.header, image.piece, read, None if image.header.nodata is None else known


def _piece(keyframe: Any) -> Size:
    """Rows and columns of the tiles or strips of a page."""
    if keyframe.is_tiled:
        return keyframe.tilelength, keyframe.tilewidth
    return keyframe.rowsperstrip, keyframe.imagewidth


@contextmanager
def _opened(file: BinaryIO) -> Iterator[Any]:
    """Tifffile's view of a file, and never of another one of the set that it may belong to."""
    import tifffile

    # Without any handler Python would print tifffile's remarks on odd tags to the user's terminal.
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    file.seek(0)
    yield tifffile.TiffFile(file, _multifile=False, is_mmstack=False, is_ndtiff=False)


def tiff_image(path: Path, file: BinaryIO, axes: str | None, level: int = 0) -> TiffImage:
    """The one image of an open TIFF, its axes from the file, or from the user where it does not name them.

    A stack is described once for all of its pages. axes: those of a stack, such as "ZYX". level: as for
    `open_tiff_page`. Raises as `read_header` does.
    """
    facts = path.stat()
    if time.time() - facts.st_mtime < _SETTLED_S:
        return described(path, file, axes, level)
    return _remembered(path, axes, level, facts.st_mtime_ns, facts.st_size, facts.st_ino)


@functools.lru_cache(maxsize=8)
def _remembered(path: Path, given: str | None, level: int, *_facts: int) -> TiffImage:
    with open(path, "rb") as file:
        return described(path, file, given, level)


def described(path: Path, source: BinaryIO, given: str | None, level: int = 0) -> TiffImage:
    """As `tiff_image`, of any stream, and not remembered."""
    check_directories(path, source)
    with _opened(source) as file:
        finest = meant_series(path, file)
        if level >= len(finest.levels):
            raise ImageReadError(
                "the pyramid has no such level",
                where=path,
                expected=f"a level from 0, the finest, to {len(finest.levels) - 1}",
                received=level,
            )
        series = finest.levels[level]
        keyframe, shape = series.keyframe, tuple(int(n) for n in series.shape)
        axes = _axes(path, str(series.axes), shape, given)
        georeference = georeference_of(finest.keyframe)
        most = MAX_CHANNELS if georeference is None else MAX_BANDS
        samples = _with_planes(path, samples_of(path, keyframe, imagej=file.is_imagej), axes, shape, most)
        stack = tuple((axes[place], shape[place]) for place in page_places(axes))
        turned = functools.partial(upright_sides, orientation=samples.orientation)
        sides = [_sides(one, axes) for one in finest.levels]
        spacing = pixel_size(file, finest)
        if spacing is not None and level:
            down, across = (n / m for n, m in zip(sides[0], sides[level], strict=True))
            spacing = spacing[0] * down, spacing[1] * across
        header = ImageHeader(
            size=turned(sides[level]),
            channels=samples.channels,
            dtype=str(samples.stored),
            pages=math.prod(length for _, length in stack),
            axes=axes,
            stack=stack,
            spacing=None if spacing is None else turned(spacing),
            palette=samples.table is not None,
            lossy=is_lossy(keyframe),
            white_is_zero=samples.space == "inverted" and samples.dtype.kind != "u",
            orientation=samples.orientation,
            channel_names=channel_names_of(file, samples.channels),
            levels=tuple(map(turned, sides)),
            slide=is_slide(finest),
            map=georeference if level == 0 and samples.orientation == 1 else None,
            nodata=nodata_of(finest.keyframe),
            doubts=contradictions(file, finest),
        )
        if min(header.size) < 1:
            check_size(path, *header.size)
        values = math.prod(header.size) * header.channels
        check_filled(path, values, samples.dtype.itemsize, lambda _: int(file.filehandle.size))
        keyframe.init_decode()
        return TiffImage(path, series, file.byteorder, axes, shape, samples, header)


def _sides(level: Any, axes: str) -> Size:
    """Rows and columns of a level of a pyramid; all have the axes of the finest."""
    return int(level.shape[axes.index("Y")]), int(level.shape[axes.index("X")])


def _axes(path: Path, own: str, shape: tuple[int, ...], given: str | None) -> str:
    spatial = own.replace("S", "")  # S: samples of an interleaved or planar RGB pixel
    axes = own
    if given is not None and len(spatial) > 2:
        letters = check_axes(given)
        if "S" in own:
            letters = letters.replace("C", "")
        if len(letters) != len(spatial):
            raise ImageReadError(
                "--axes does not fit the file",
                where=path,
                expected=f"{len(letters)} axes ({letters})",
                received=f"shape {shape}",
                fix="name one letter of T, Z, C, Y, X per axis",
            )
        counted = [axis for axis in own if axis in "TZ"]
        if len(counted) == 2 and [axis for axis in letters if axis in "TZ"] == counted[::-1]:
            raise ImageReadError(
                "--axes names time and depth in another order than the file",
                where=path,
                expected=f"{own}, as the file says",
                received=given,
                fix="leave --axes out, and save files that name no axes, or wrong ones, with the right ones",
            )
        names = iter(letters)
        axes = "".join("S" if axis == "S" else next(names) for axis in own)
    axes = axes.replace("S", "C")
    if axes.count("Y") != 1 or axes.count("X") != 1 or axes.count("C") > 1:
        raise ImageReadError(
            "the axes of the TIFF are not understood",
            where=path,
            received=f"axes {own}, shape {shape}",
            fix="name them with --axes, for example --axes ZYX",
        )
    return axes


def check_axes(axes: str) -> str:
    """Upper-case axes letters. Raises UsageError unless they are Y, X and at most one each of T, Z, C."""
    letters = axes.upper()
    if set(letters) - set("TZCYX") or len(set(letters)) != len(letters) or not {"Y", "X"} <= set(letters):
        raise UsageError(
            "--axes is not understood",
            expected="Y and X, and any of T (time), Z (depth), C (channel), in the file's order, such as TYX",
            received=axes,
        )
    return letters


def _with_planes(path: Path, samples: Samples, axes: str, shape: Size, most: int) -> Samples:
    """With as many samples per pixel as the image has where each channel is a page of its own."""
    count = shape[axes.index("C")] if "C" in axes else samples.count
    if max(count, samples.count) > most:
        raise ImageReadError(
            f"the image has {max(count, samples.count)} channels",
            where=path,
            expected=f"at most {most}",
            fix="if these are pages of a stack, say so with --axes, such as ZYX",
        )
    if count != samples.count and not (samples.count == 1 and samples.space in ("grey", "inverted")):
        received = f"{count} channels in the metadata, {samples.count} samples ({samples.space}) per pixel"
        raise ImageReadError("the TIFF contradicts itself", where=path, received=received)
    return replace(samples, count=count)
