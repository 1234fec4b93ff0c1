"""How a large image is cut into strips and blocks, and the memory that predicting them takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from math import ceil, prod

import numpy as np

from reunet.errors import PlanError, TooLargeError
from reunet.inference.predictor import Predictor, seen_size
from reunet.inference.tiling import Axis
from reunet.io.lazy import LazyImage
from reunet.sampling.resize import way_of
from reunet.sampling.resized_parts import Side, sides_of
from reunet.slices import Slices, all_of, area_of, grid, grown, size_of

ROWS = {2: 1024, 3: 64}
"""Rows of the first axis in a block whose objects are decoded, by rank."""

ACROSS = 64
"""Tiles in the cross-section of a strip, if memory allows: neighbouring strips both compute those at their
border.
"""

HIGH = 8
"""Tiles that a region is high, about."""

QUEUED = 4
"""Batches of tiles in hand at a time: being read, waiting, in the engine, being blended."""

DECODED_AT_ONCE = 10
"""Chunks that a format's library may decode at a time."""

WAITING = 2**27
"""Bytes of results that wait to be written, for classes and for objects."""

RESIZED = 2**27
"""Bytes of what a network says that are resized at a time, about."""

DECODING = 40
"""Bytes per pixel that decoding objects takes beside the maps."""


class Layout:
    """An image as it is predicted by blocks.

    Parameters
    ----------
    image: open; a volume that states no spacing counts as one of 1 mm. predictor: of the run. reach: pixels
    around a block that its decoding must see. where: names the image in errors.

    Attributes
    ----------
    size: of the image. seen: the size at which the network sees it, another where the plan has a spacing of
    its own. axes: how that is cut into tiles. inwards, outwards: how the pixels of the image become those of
    the network, and what the network says becomes pixels of the image.

    Raises PlanError for a network that sees all images at one size (`plan.input.size`).
    """

    def __init__(self, image: LazyImage, predictor: Predictor, reach: int, where: object) -> None:
        plan = predictor.plan
        self._image, self._predictor, self._reach, self._where = image, predictor, reach, where
        self.size = image.header.size
        if plan.input.size is not None:
            raise PlanError(
                "this run sees every image at one size, which cannot be done block by block",
                where=where,
                expected=f"an image that is resized to {' x '.join(map(str, plan.input.size))} pixels",
                received=f"{' x '.join(map(str, self.size))} pixels",
                fix="save it as TIFF or PNG, which are read as a whole, or at a smaller size",
            )
        self.seen = seen_size(self.size, plan, image.header.voxel)
        self.axes = predictor.tiling.cut(self.seen)
        self.inwards = sides_of(self.size, self.seen, way_of(self.size, self.seen))
        self.outwards = sides_of(self.seen, self.size)
        self._maps = sum(head.channels for head in plan.network.heads if head.of == "pixels")

    @property
    def is_resized(self) -> bool:
        """Whether the network sees other pixels than those of the image."""
        return self.seen != self.size

    @property
    def chunk_rows(self) -> int:
        """Rows, as the network sees them, that are best read at a time."""
        return max(1, round(self._image.chunk[0] / self._stretch))

    @property
    def _stretch(self) -> float:
        """Rows of the image per row that the network sees."""
        return self.size[0] / self.seen[0]

    def strips(self, max_memory: int | None) -> list[Slices]:
        """The parts of all axes but the first. Raises TooLargeError when single tiles need too much."""
        most = round(ACROSS ** (1 / len(self.axes[1:])))
        counts = [min(len(axis.starts), most) for axis in self.axes[1:]]
        while True:
            sides = [
                _spread(axis, n, outwards)
                for axis, n, outwards in zip(self.axes[1:], counts, self.outwards[1:], strict=True)
            ]
            strips: list[Slices] = list(product(*sides))
            needed = max(self.memory(strip) for strip in strips)
            if max_memory is None or needed <= max_memory:
                return strips
            if max(counts) == 1:
                raise TooLargeError(
                    "predicting this image would take more than the memory allowed",
                    where=self._where,
                    expected=f"at most {max_memory / 1e9:.2f} GB beside the engine (--max-memory)",
                    received=f"about {needed / 1e9:.2f} GB for the narrowest strips of it",
                    fix="allow more memory, or save the image in smaller chunks",
                )
            counts[counts.index(max(counts))] = max(counts) // 2

    def regions(self, strips: list[Slices]) -> list[Slices]:
        """The image in parts that can be predicted apart from each other, each some tiles high: neighbours
        both compute the tiles at their border.
        """
        step = ROWS[len(self.size)]
        high = step * ceil(HIGH * self._predictor.tiling.tile[0] * self._stretch / step)
        columns = ((*all_of(self.size[:1]), *strip) for strip in strips)
        return [part for column in columns for part in grid(column, (high, *self.size[1:]))]

    def wide(self, core: Sequence[slice]) -> Slices:
        """A part of the image, or of its first axes, with what its decoding must see around it."""
        return grown(tuple(core), self._reach, self.size[: len(core)])

    def needed(self, window: Slices) -> Slices:
        """What the network must say for a part of the image, in its own pixels."""
        return tuple(side.source(part) for side, part in zip(self.outwards, window, strict=True))

    def as_seen(self, part: Slices) -> Slices:
        """A part of the image in pixels of the network; parts that touch still do, and do not overlap."""
        sizes = zip(part, self.size, self.seen, strict=True)
        return tuple(slice(round(p.start * m / n), round(p.stop * m / n)) for p, n, m in sizes)

    def step(self, wide: Slices) -> int:
        """Rows of a block: fewer where there is nothing to decode but what is resized would be large."""
        most = ROWS[len(self.size)]
        if self._reach:
            return most
        return int(np.clip(RESIZED // (area_of(wide[1:]) * self._maps * 4), 1, most))

    def memory(self, strip: Slices) -> int:
        """Bytes that predicting a strip takes beside the engine; the formula of docs/scaling.md."""
        tiling, height, maps = self._predictor.tiling, self.seen[0], self._maps
        channels, item = self._image.header.channels, np.dtype(self._image.header.dtype).itemsize
        wide = self.wide((slice(0, self.size[0]), *strip))
        needed = self.needed(wide)
        across = prod(
            min(length + 2 * side, n)
            for length, side, n in zip(size_of(needed)[1:], tiling.tile[1:], self.seen[1:], strict=True)
        )
        rows = min(tiling.tile[0], height)
        read = min(rows + 2 * self.chunk_rows, height + self.chunk_rows)
        reading = 2 * read * across * channels * (item if not self.is_resized else 4)
        chunk = DECODED_AT_ONCE * prod(self._image.chunk) * channels * item
        tiles = QUEUED * tiling.batch * 4 * prod(tiling.tile) * (channels + maps)
        width, wide_seen = area_of(wide[1:]), area_of(needed[1:])
        band = rows * wide_seen * maps * 4
        step = self.step(wide) + 2 * self._reach
        if self._reach:
            decoding = min(step + rows, height) * width * (2 * maps * 4 + DECODING)
        else:
            decoding = rows * width * 16
        if self.is_resized:
            reading += ceil(self.chunk_rows * self._stretch + 4) * area_of(strip) * channels * (item + 12)
            decoding += 3 * step * width * maps * 4 + band
        return reading + chunk + tiles * (2 if self._predictor.tta else 1) + band + decoding + WAITING


def _spread(axis: Axis, tiles: int, side: Side) -> list[slice]:
    """An axis of the image in parts of about `tiles` tiles; `side` is that axis from network to image."""
    parts = ceil(len(axis.starts) / tiles)
    starts = [max(axis.starts[round(i * len(axis.starts) / parts)], 0) for i in range(parts)]
    edges = sorted({round(start * side.new / side.old) for start in starts} | {side.new})
    return [slice(a, b) for a, b in pairwise(edges)]
