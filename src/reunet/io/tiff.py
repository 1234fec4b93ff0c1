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
class _NamedAxes:
    """Axes and shape of the file's image; axes are T, Z, C, Y, X or tifffile's unnamed Q, I and so on."""

    axes: str
    shape: tuple[int, ...]

    @property
    def page_axes(self) -> tuple[int, ...]:
        return tuple(i for i, axis in enumerate(self.axes) if axis not in "YXC")

    def length(self, axis: str) -> int:
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def pages(self) -> int:
        return math.prod(self.shape[i] for i in self.page_axes)


def tiff_header(path: Path, opened: BinaryIO, axes: str | None) -> ImageHeader:
    """Header of a TIFF; `axes` names the axes of a stack, such as "ZYX". Raises as `read_header` does."""
    with _tifffile().TiffFile(opened) as file:
        return _header(path, file, _series(path, file), axes)


def read_tiff(
    path: Path, opened: BinaryIO, page: int, axes: str | None, *, palette_values: bool
) -> np.ndarray:
    """Pixels of one page: (H, W) or (H, W, samples) in the file's sample type."""
    with _tifffile().TiffFile(opened) as file:
        series = _series(path, file)
        _header(path, file, series, axes)
        named = _named_axes(path, series, axes)
        return _shown(_select(path, opened, file, series, named, page), series.keyframe, file, palette_values)


@contextmanager
def open_tiff_page(path: Path, page: int, axes: str | None) -> Iterator[tuple[ImageHeader, Size, ReadPart]]:
    """A page to be read in parts: its header, the size of the pieces that it is stored in, and a function
    from (rows, columns) to (h, w, samples) in the file's sample type. Raises as `tiff_header` does.
    """
    with _tifffile().TiffFile(path) as file:
        series = _series(path, file)
        header = _header(path, file, series, axes, whole=False)
        named = _named_axes(path, series, axes)
        keyframe = series.keyframe
        shape = (*header.size, named.length("C"))
        planar = keyframe.planarconfig == 2  # each channel on its own
        if planar or ("S" not in series.axes and shape[2] > 1) or keyframe.shape[:2] != header.size:
            # Not stored as interleaved pixels of one page: read as a whole.
            check_size(path, *shape)
            yield header, header.size, lambda part: _whole_page(path, page, axes)[part]
            return
        contiguous = series.dataoffset is not None
        stored = keyframe if contiguous else series.pages[page]
        if stored is None:
            raise ImageReadError("a page of the TIFF is missing", where=path)
        if not contiguous:
            _check_whole(path, file, stored)

        def read(part: Slices) -> np.ndarray:
            if contiguous:
                pixels = np.array(_mapped(path, file, series, shape, page)[part])
            else:
                pixels = _decoded(keyframe, stored, file, part)
            return _samples(_shown(pixels[..., 0] if shape[2] == 1 else pixels, keyframe, file))

        piece = (1, 1) if contiguous else _piece(keyframe)
        yield header, (min(piece[0], shape[0]), min(piece[1], shape[1])), read


def _whole_page(path: Path, page: int, axes: str | None) -> np.ndarray:
    with open(path, "rb") as file:
        return _samples(read_tiff(path, file, page, axes, palette_values=False))


def _samples(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 3 else pixels[..., None]


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


def _check_whole(path: Path, file: Any, page: Any) -> None:
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if not ends or max(ends) > file.filehandle.size:
        raise ImageReadError("the TIFF is truncated", where=path, fix="copy or export the file again")


def _tifffile() -> Any:
    import tifffile

    # Without any handler Python would print tifffile's remarks on odd tags to the user's terminal.
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return tifffile


def _series(path: Path, file: Any) -> Any:
    if not file.series:
        raise ImageReadError("the TIFF contains no image", where=path)
    others = [one for one in file.series[1:] if not one.keyframe.is_reduced]
    if others:
        raise ImageReadError(
            "the TIFF contains several images of different size or type",
            where=path,
            expected="one image, or a stack of equal pages",
            received=", ".join(str(one.shape) for one in file.series[:5]),
            fix="save each image as a file of its own",
        )
    return file.series[0]


def _header(path: Path, file: Any, series: Any, axes: str | None, *, whole: bool = True) -> ImageHeader:
    named = _named_axes(path, series, axes)
    if whole:  # else it is read in parts
        check_size(path, named.length("Y"), named.length("X"))
    keyframe = series.keyframe
    palette = keyframe.photometric is not None and keyframe.photometric.name == "PALETTE"
    channels = named.length("C")
    if palette and not file.is_imagej:
        table = np.asarray(keyframe.colormap)
        channels = 1 if bool((table == table[:1]).all()) else 3
    compression = keyframe.compression.name if keyframe.compression is not None else ""
    return ImageHeader(
        size=(named.length("Y"), named.length("X")),
        channels={2: 1, 4: 3}.get(channels, channels) if "S" in series.axes else channels,
        dtype=str(np.dtype(series.dtype).newbyteorder("=")),
        pages=named.pages,
        axes=named.axes,
        spacing=_spacing(file, keyframe),
        palette=palette,
        lossy="JPEG" in compression,
    )


def _named_axes(path: Path, series: Any, given: str | None) -> _NamedAxes:
    """Axes from the file, or from the user where the file does not name them."""
    own, shape = str(series.axes), tuple(int(n) for n in series.shape)
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
    return _NamedAxes(axes, shape)


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


def _select(path: Path, opened: BinaryIO, file: Any, series: Any, named: _NamedAxes, page: int) -> np.ndarray:
    """One page as (Y, X) or (Y, X, C), reading as little of the file as its storage allows."""
    position = np.unravel_index(page, [named.shape[i] for i in named.page_axes]) if named.page_axes else ()
    index: list[Any] = [slice(None)] * len(named.shape)
    for axis, value in zip(named.page_axes, position, strict=True):
        index[axis] = int(value)
    leading = len(named.shape) - len(series.keyframe.shape)
    if series.dataoffset is not None:
        pixels = np.array(_mapped(opened, file, series, named.shape)[tuple(index)])
    elif max(named.page_axes, default=-1) < leading and len(series.pages) == math.prod(named.shape[:leading]):
        numbers = np.arange(len(series.pages)).reshape(named.shape[:leading])[tuple(index[:leading])]
        planes = [_read_page(path, file, series.pages[int(number)]) for number in np.ravel(numbers)]
        pixels = np.stack(planes) if np.ndim(numbers) else planes[0]
    else:
        check_size(path, math.prod(named.shape), 1)
        pixels = series.asarray()[tuple(index)]
    remaining = [axis for i, axis in enumerate(named.axes) if i not in named.page_axes]
    order = [remaining.index(axis) for axis in "YXC" if axis in remaining]
    return np.ascontiguousarray(np.asarray(pixels).transpose(order))


def _read_page(path: Path, file: Any, page: Any) -> np.ndarray:
    if page is None:
        raise ImageReadError("a page of the TIFF is missing", where=path)
    _check_whole(path, file, page)
    return np.asarray(page.asarray())


def _mapped(source: Path | BinaryIO, file: Any, series: Any, shape: Size, number: int = 0) -> np.ndarray:
    """Pixels that lie one after the other in the file, the `number`th array of that shape; read when used."""
    dtype = np.dtype(file.byteorder + np.dtype(series.dtype).char)
    offset = series.dataoffset + number * math.prod(shape) * dtype.itemsize
    return np.memmap(source, dtype, "r", offset, shape)


def _shown(pixels: np.ndarray, keyframe: Any, file: Any, palette_values: bool = False) -> np.ndarray:
    """Pixels as they are meant: bright is high, colours instead of their indices, 0 and 255 for bits."""
    kind = keyframe.photometric.name if keyframe.photometric is not None else ""
    if kind == "MINISWHITE" and pixels.dtype.kind in "bu":
        pixels = ~pixels
    if kind == "PALETTE" and not palette_values and not file.is_imagej:
        pixels = _apply_palette(pixels, keyframe.colormap)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


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
