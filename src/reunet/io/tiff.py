"""TIFF files, read with tifffile: all sample types, grey, RGB, palette, multi-page, OME and ImageJ stacks."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reunet.errors import ImageReadError, UsageError
from reunet.io.header import ImageHeader, check_size
from reunet.slices import Slices, overlap, size_of, touched, within

Size = tuple[int, ...]
ReadPart = Callable[[Slices], np.ndarray]

_PAGE = "YXC"
"""Axes of a page, in the order of its array; all others count pages."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MICROMETRES = {
    "micron": 1.0,
    "microns": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "\\u00b5m": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
}


def is_tiff(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a TIFF."""
    return start[:4] in _MAGIC


@dataclass(frozen=True)
class _Image:
    """The image of an open file; axes are T, Z, C, Y, X or tifffile's unnamed Q, I and so on."""

    path: Path
    file: Any
    series: Any
    axes: str
    shape: tuple[int, ...]

    def length(self, axis: str) -> int:
        """Of an axis, 1 where there is none."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    def header(self) -> ImageHeader:
        """All that is told of it."""
        keyframe = self.series.keyframe
        palette = keyframe.photometric is not None and keyframe.photometric.name == "PALETTE"
        channels = self.length("C")
        if palette and not self.file.is_imagej:
            table = np.asarray(keyframe.colormap)
            channels = 1 if bool((table == table[:1]).all()) else 3
        compression = keyframe.compression.name if keyframe.compression is not None else ""
        return ImageHeader(
            size=(self.length("Y"), self.length("X")),
            channels={2: 1, 4: 3}.get(channels, channels) if "S" in self.series.axes else channels,
            dtype=str(np.dtype(self.series.dtype).newbyteorder("=")),
            pages=math.prod(self._page_lengths()),
            axes=self.axes,
            spacing=_spacing(self.file, keyframe),
            palette=palette,
            lossy="JPEG" in compression,
        )

    def page(self, number: int) -> np.ndarray:
        """One page as stored, (Y, X) or (Y, X, C), reading as little of the file as its storage allows."""
        place = iter(np.unravel_index(number, self._page_lengths()))
        index = tuple(slice(None) if axis in _PAGE else int(next(place)) for axis in self.axes)
        series, leading = self.series, len(self.shape) - len(self.series.keyframe.shape)
        whole_pages = len(series.pages) == math.prod(self.shape[:leading])
        if series.dataoffset is not None:
            pixels = np.array(self.mapped(self.shape)[index])
        elif whole_pages and set(self.axes[leading:]) <= set(_PAGE):
            numbers = np.arange(len(series.pages)).reshape(self.shape[:leading])[index[:leading]]
            planes = [np.asarray(self.stored(int(one)).asarray()) for one in np.ravel(numbers)]
            pixels = np.stack(planes) if np.ndim(numbers) else planes[0]
        else:
            check_size(self.path, math.prod(self.shape), 1)
            pixels = series.asarray()[index]
        remaining = [axis for axis in self.axes if axis in _PAGE]
        order = [remaining.index(axis) for axis in _PAGE if axis in remaining]
        return np.ascontiguousarray(np.asarray(pixels).transpose(order))

    def _page_lengths(self) -> list[int]:
        return [length for axis, length in zip(self.axes, self.shape, strict=True) if axis not in _PAGE]

    def stored(self, number: int) -> Any:
        """A page of the file, which is not truncated."""
        page = self.series.pages[number]
        if page is None:
            raise ImageReadError("a page of the TIFF is missing", where=self.path)
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if not ends or max(ends) > self.file.filehandle.size:
            fix = "copy or export the file again"
            raise ImageReadError("the TIFF is truncated", where=self.path, fix=fix)
        return page

    def mapped(self, shape: Size, number: int = 0) -> np.ndarray:
        """Pixels that lie one after the other, the `number`th array of that shape; read when used."""
        dtype = np.dtype(self.file.byteorder + np.dtype(self.series.dtype).char)
        offset = self.series.dataoffset + number * math.prod(shape) * dtype.itemsize
        return np.asarray(self.file.filehandle.memmap_array(dtype, shape, offset))

    def shown(self, pixels: np.ndarray, *, palette_values: bool = False) -> np.ndarray:
        """Pixels as they are meant: bright is high, colours instead of their indices, 0 and 255 for bits."""
        keyframe = self.series.keyframe
        kind = keyframe.photometric.name if keyframe.photometric is not None else ""
        if kind == "MINISWHITE" and pixels.dtype.kind in "bu":
            pixels = ~pixels
        if kind == "PALETTE" and not palette_values and not self.file.is_imagej:
            pixels = _apply_palette(pixels, keyframe.colormap)
        if pixels.dtype == bool:
            return pixels.astype(np.uint8) * np.uint8(255)
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def tiff_header(path: Path, opened: BinaryIO, axes: str | None) -> ImageHeader:
    """Header of a TIFF; `axes` names the axes of a stack, such as "ZYX". Raises as `read_header` does."""
    with _image(path, opened, axes) as image:
        check_size(path, image.length("Y"), image.length("X"))
        return image.header()


def read_tiff(
    path: Path, opened: BinaryIO, page: int, axes: str | None, *, palette_values: bool
) -> np.ndarray:
    """Pixels of one page: (H, W) or (H, W, samples) in the file's sample type."""
    with _image(path, opened, axes) as image:
        return image.shown(image.page(page), palette_values=palette_values)


@contextmanager
def open_tiff_page(path: Path, page: int, axes: str | None) -> Iterator[tuple[ImageHeader, Size, ReadPart]]:
    """A page to be read in parts: its header, the size of the pieces that it is stored in, and a function
    from (rows, columns) to (h, w) or (h, w, samples) in the file's sample type. Raises as `tiff_header` does.
    """
    with _image(path, path, axes) as image:
        header, keyframe = image.header(), image.series.keyframe
        shape = (*header.size, image.length("C"))
        planar = keyframe.planarconfig == 2  # each channel on its own
        if planar or ("S" not in image.series.axes and shape[2] > 1) or keyframe.shape[:2] != header.size:
            # Not stored as interleaved pixels of one page: read as a whole.
            check_size(path, *shape)
            yield header, header.size, lambda part: image.shown(image.page(page))[part]
            return
        contiguous = image.series.dataoffset is not None
        stored = None if contiguous else image.stored(page)

        def read(part: Slices) -> np.ndarray:
            if contiguous:
                pixels = np.array(image.mapped(shape, page)[part])
            else:
                pixels = _decoded(keyframe, stored, image.file, part)
            return image.shown(pixels[..., 0] if shape[2] == 1 else pixels)

        piece = (1, 1) if contiguous else _piece(keyframe)
        yield header, (min(piece[0], shape[0]), min(piece[1], shape[1])), read


def _decoded(keyframe: Any, page: Any, file: Any, part: Slices) -> np.ndarray:
    """A part from the tiles or strips of a page that it touches; `keyframe` tells how they are stored."""
    piece = _piece(keyframe)
    across = -(-keyframe.imagewidth // piece[1])
    result = np.zeros((*size_of(part), keyframe.samplesperpixel), keyframe.dtype)
    tables = {"jpegtables": keyframe.jpegtables} if keyframe.jpegtables is not None else {}
    for (i, j), stored in touched(part, piece):
        number = i * across + j
        if not page.databytecounts[number]:  # a sparse file: nothing is stored for this tile
            continue
        file.filehandle.seek(page.dataoffsets[number])
        data = file.filehandle.read(page.databytecounts[number])
        both = overlap(part, stored)
        result[within(both, part)] = keyframe.decode(data, number, **tables)[0][0][within(both, stored)]
    return result


def _piece(keyframe: Any) -> tuple[int, int]:
    """Rows and columns of the tiles or strips of a page."""
    if keyframe.is_tiled:
        return keyframe.tilelength, keyframe.tilewidth
    return keyframe.rowsperstrip, keyframe.imagewidth


def _tifffile() -> Any:
    import tifffile

    # Without any handler Python would print tifffile's remarks on odd tags to the user's terminal.
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return tifffile


@contextmanager
def _image(path: Path, source: Path | BinaryIO, given: str | None) -> Iterator[_Image]:
    """The one image of a TIFF, its axes from the file, or from the user where the file does not name them."""
    with _tifffile().TiffFile(source) as file:
        if not file.series:
            raise ImageReadError("the TIFF contains no image", where=path)
        if any(not one.keyframe.is_reduced for one in file.series[1:]):
            raise ImageReadError(
                "the TIFF contains several images of different size or type",
                where=path,
                expected="one image, or a stack of equal pages",
                received=", ".join(str(one.shape) for one in file.series[:5]),
                fix="save each image as a file of its own",
            )
        series = file.series[0]
        shape = tuple(int(n) for n in series.shape)
        yield _Image(path, file, series, _axes(path, str(series.axes), shape, given), shape)


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


def _apply_palette(pixels: np.ndarray, colormap: Any) -> np.ndarray:
    table = (np.asarray(colormap).T >> 8).astype(np.uint8)
    coloured = table[np.minimum(pixels, len(table) - 1)]
    return coloured[..., 0] if bool((table == table[:, :1]).all()) else coloured


def _spacing(file: Any, keyframe: Any) -> tuple[float, float] | None:
    """(y, x) pixel size in micrometres; a resolution per inch is meant for printing and does not count."""
    if file.ome_metadata:
        return _ome_spacing(file.ome_metadata)
    unit = (file.imagej_metadata or {}).get("unit") if file.is_imagej else None
    scale = _MICROMETRES.get(str(unit)) if unit else None
    told = keyframe.tags.get("ResolutionUnit")
    if scale is None and not file.is_imagej and told is not None and int(told.value) == 3:
        scale = _MICROMETRES["cm"]
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
        scale = _MICROMETRES.get(unit.group(1)) if unit else 1.0
        if found is None or scale is None:
            return None
        sizes.append(float(found.group(1)) * scale)
    return sizes[0], sizes[1]
