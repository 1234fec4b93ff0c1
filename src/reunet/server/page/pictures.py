"""Images as pictures: a page, a thumbnail, a tile of what is too large to be sent whole."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from reunet.errors import DataError, ReunetError
from reunet.io.lazy import is_array, lazy_header
from reunet.io.render import to_display
from reunet.server.page.entries import TILE, Box, Entry, Place, levels
from reunet.server.page.kept import Kept
from reunet.server.problems import RefusedError

THUMBNAIL = 112
"""Pixels of the longer side."""

SAMPLE = 1024
"""Pixels per side of the part of a large image that its brightness is taken from."""

FAST = (cv2.IMWRITE_PNG_COMPRESSION, 1)

PNGS = Kept[bytes](2**28, len)


def picture(entry: Entry, page: int) -> bytes:
    """A page as PNG. Raises ImageReadError; DataError for one that is shown as tiles."""
    return PNGS.get((entry.id, "picture", page), lambda: _png(to_display(entry.pixels(page))))


def thumbnail(entry: Entry) -> bytes:
    """The page in the middle, small."""
    return PNGS.get((entry.id, "thumbnail"), lambda: _thumbnail(entry))


def tile(entry: Entry, page: int, level: int, x: int, y: int) -> bytes:
    """A tile of a level, see `levels`, as PNG. Raises RefusedError for one that is not there."""
    last = levels(entry.size) - 1
    if not 0 <= level <= last:
        raise RefusedError(404, "there is no such tile", expected=f"level 0 to {last}", received=level)
    step = 2 ** (last - level)
    height, width = entry.size
    top, left = y * TILE * step, x * TILE * step
    if x < 0 or y < 0 or top >= height or left >= width:
        raise RefusedError(404, "there is no such tile", received=f"column {x}, row {y}")
    box = (top, left, min(top + TILE * step, height), min(left + TILE * step, width))
    return PNGS.get((entry.id, "tile", page, level, x, y), lambda: _tile(entry, page, box, step))


def _tile(entry: Entry, page: int, box: Box, step: int) -> bytes:
    smaller, scale = _smaller(entry, step)
    y0, x0, y1, x1 = (side // scale for side in box)
    pixels = smaller.part(page, (y0, x0, max(y1, y0 + 1), max(x1, x0 + 1)), step // scale)
    return _png(to_display(pixels, like=_sample(entry, page)))


def _thumbnail(entry: Entry) -> bytes:
    height, width = entry.size
    if entry.is_cut:
        step = max(1, max(height, width) // SAMPLE)
        smaller, scale = _smaller(entry, step)
        if smaller is entry and step > 8:  # all of it would be read
            pixels, page = _sample(entry, 0), 0
        else:
            page = 0
            pixels = smaller.part(page, (0, 0, height // scale, width // scale), max(1, step // scale))
    else:
        pixels = entry.pixels(entry.pages // 2)
    shown = to_display(pixels)
    scale_ = THUMBNAIL / max(shown.shape[:2])
    if scale_ < 1:
        size = (max(1, round(shown.shape[1] * scale_)), max(1, round(shown.shape[0] * scale_)))
        shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    return _png(shown)


@lru_cache(64)
def _pyramid(path: Path, size: tuple[int, int]) -> dict[int, Entry]:
    """Smaller copies that lie beside an image of an OME-Zarr, by how many times they are smaller."""
    found: dict[int, Entry] = {}
    if not (is_array(path) and path.is_dir()):
        return found
    for folder in sorted(one for one in path.iterdir() if one.is_dir()):
        try:
            header = lazy_header(folder, rank=2)
        except ReunetError:
            continue
        scale = round(size[0] / header.size[-2])
        fits = [abs(whole // scale - small) <= 1 for whole, small in zip(size, header.size[-2:], strict=True)]
        if scale > 1 and all(fits):
            found[scale] = Entry("", "", (Place(folder),))
    return found


def _smaller(entry: Entry, step: int) -> tuple[Entry, int]:
    """The copy of an image that every `step`-th pixel is best taken from, and its scale."""
    copies = _pyramid(entry.places[0].path, entry.size)
    scale = max((one for one in copies if step % one == 0), default=1)
    return (entry, 1) if scale == 1 else (copies[scale], scale)


_SAMPLES = Kept[np.ndarray](2**26, lambda array: array.nbytes)


def _sample(entry: Entry, page: int) -> np.ndarray:
    """Parts of it, by which all tiles are equally bright: a small copy, or else squares spread over it."""
    copies = _pyramid(entry.places[0].path, entry.size)
    if copies and max(copies) >= max(entry.size) // SAMPLE:
        small = copies[max(copies)]
        return _SAMPLES.get((entry.id, page), lambda: small.part(page, (0, 0, *small.size)))
    return _SAMPLES.get((entry.id, page), lambda: _squares(entry, page))


def _squares(entry: Entry, page: int) -> np.ndarray:
    side = min(SAMPLE // 4, *entry.size)
    ends = [[int(share * (length - side)) for share in (0.1, 0.5, 0.9)] for length in entry.size]
    return np.concatenate([entry.part(page, (y, x, y + side, x + side)) for y in ends[0] for x in ends[1]])


def _png(pixels: np.ndarray) -> bytes:
    done, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), FAST)
    if not done:
        raise DataError("the picture cannot be made")
    return bytes(data)
