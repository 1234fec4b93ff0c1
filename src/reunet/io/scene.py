"""A scene that lies in several files: tiles on one grid of a map, read as the one image that they are."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np

from reunet.errors import ImageReadError
from reunet.io.header import SAME_PLACE, ImageHeader
from reunet.io.lazy import LazyImage, open_lazily
from reunet.slices import Slices, overlap, size_of, within

SPARSE = 100
"""How many times as large as its tiles together a scene may be."""

SAMPLED = 16
"""Tiles whose middle tells the usual values of a scene."""

SIDE = 512
"""Pixels per side of such a middle, at most."""


@contextmanager
def open_scene(tiles: Sequence[Path], channels: Sequence[str] = ()) -> Iterator[LazyImage]:
    """The image that tiles, files of one map, make together. Where they overlap the last one counts, but for
    pixels without data; between them nothing is known.

    channels: those to read. Raises ImageReadError for tiles that do not say where they lie, or that differ in
    map, grid, channels, sample type or nodata, and as `open_lazily` does.
    """
    with ExitStack() as stack:
        images = [stack.enter_context(open_lazily(one, rank=2, channels=channels)) for one in tiles]
        scene = _Scene(tiles, images)
        yield LazyImage(scene.header, images[0].chunk, scene.read, scene.known)


class _Scene:
    """Tiles and where each begins, (n, 2) rows and columns of the scene."""

    def __init__(self, tiles: Sequence[Path], images: Sequence[LazyImage]) -> None:
        first, self._images = images[0].header, images
        begins = np.array(
            [_begin(path, image.header, first) for path, image in zip(tiles, images, strict=True)]
        )
        sizes = np.array([image.header.size for image in images])
        self._begins = begins - begins.min(axis=0)
        self._ends = self._begins + sizes
        height, width = (int(side) for side in self._ends.max(axis=0))
        if height * width > SPARSE * int(sizes.prod(axis=1).sum()):
            raise ImageReadError(
                "the tiles lie too far apart to be one scene",
                where=tiles[0].parent,
                expected=f"at most {SPARSE} times the area of the tiles",
                received=f"{height:,} x {width:,} pixels around {len(tiles)} tile(s)",
                fix="put the tiles of each scene into a folder of their own",
            )
        row, column = (int(side) for side in self._begins[0])
        self.header = replace(
            first,
            size=(height, width),
            levels=(),
            map=first.map and first.map.extended(column, row),
            nodata=first.nodata or 0.0,
        )

    def read(self, part: Slices) -> np.ndarray:
        """(h, w, C) of a part, where nothing is known the median of the scene."""
        shape = (*size_of(part), self.header.channels)
        pixels = np.full(shape, 0, np.dtype(self.header.dtype))
        missing = np.ones(size_of(part), bool)
        for image, here, there in self._touched(part):
            known = slice(None) if image.known is None else image.known(there)
            pixels[here][known] = image.read(there)[known]
            missing[here][known] = False
        if missing.any():
            pixels[missing] = self._usual
        return pixels

    def known(self, part: Slices) -> np.ndarray:
        """(h, w) bool."""
        found = np.zeros(size_of(part), bool)
        for image, here, there in self._touched(part):
            found[here] |= True if image.known is None else image.known(there)
        return found

    def _touched(self, part: Slices) -> Iterator[tuple[LazyImage, Slices, Slices]]:
        """The tiles that a part touches, and where they do, in the part and in the tile."""
        low, high = ([getattr(side, end) for side in part] for end in ("start", "stop"))
        meets = (self._begins < high).all(axis=1) & (self._ends > low).all(axis=1)
        for number in np.flatnonzero(meets).tolist():
            tile = tuple(map(slice, self._begins[number].tolist(), self._ends[number].tolist()))
            both = overlap(part, tile)
            yield self._images[number], within(both, part), within(both, tile)

    @cached_property
    def _usual(self) -> np.ndarray:
        """(C,), the median of the middles of some tiles."""
        some = self._images[:: max(1, len(self._images) // SAMPLED)]
        middles = [image.read(_middle(image.header.size)) for image in some]
        pixels = np.concatenate([one.reshape(-1, self.header.channels) for one in middles])
        return np.asarray(np.median(pixels, axis=0).astype(pixels.dtype))


def _middle(size: tuple[int, ...]) -> Slices:
    begins = [max(0, (side - SIDE) // 2) for side in size]
    return tuple(slice(begin, min(begin + SIDE, side)) for begin, side in zip(begins, size, strict=True))


def _begin(path: Path, header: ImageHeader, first: ImageHeader) -> list[int]:
    """The row and column of the first tile's grid that a tile begins at. Raises ImageReadError."""

    def refuse(message: str, expected: object, received: object, fix: str) -> NoReturn:
        raise ImageReadError(message, where=path, expected=expected, received=received, fix=fix)

    if header.map is None or header.map.matrix is None or first.map is None or header.pages > 1:
        leave = "leave --scene out, or take this file out of the folder"
        refuse("a tile of a scene does not say where on the map it lies", "a page of GeoTIFF", "none", leave)
    if header.map.crs != first.map.crs:
        warp = "bring all tiles onto one map with gdalwarp"
        refuse("the tiles of a scene are on different maps", first.map.crs, header.map.crs, warp)
    for name in ("channels", "dtype", "nodata"):
        mine, theirs = getattr(header, name), getattr(first, name)
        if mine != theirs and not (mine != mine and theirs != theirs):  # NaN is NaN
            refuse(f"the tiles of a scene differ in {name}", theirs, mine, "export all tiles alike")
    height, width = header.size
    begin, end = first.map.pixels(header.map.place(np.array([[0.0, 0.0], [width, height]])))
    whole = np.round(begin)
    off = float(np.abs([begin - whole, end - whole - (width, height)]).max())
    if not off <= SAME_PLACE:  # nor where it is no number
        align = "align them: gdalwarp with one -tr and -tap"
        refuse("the tiles of a scene lie on different grids", "whole pixels apart", f"{off:.2g} off", align)
    return [int(whole[1]), int(whole[0])]
