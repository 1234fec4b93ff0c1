"""Images of any size in bounded memory: predicted and decoded block by block.

A block is a part of a strip of the image, as wide as memory allows; the first axis runs through it. Only the
rows that a tile covers are held of what the network says, and where objects are decoded, those of a block and
around it. What belongs together across blocks is put together at the end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from math import ceil, prod

import numpy as np

from reunet.contracts.objects import Boxes
from reunet.contracts.results import Prediction
from reunet.errors import TooLargeError
from reunet.inference.ahead import ahead
from reunet.inference.predictor import Predictor, as_image
from reunet.inference.tiling import Axis, Box, Outputs, Pixels, Slab, add_up, predict_slabs
from reunet.io.channels import fit_channels
from reunet.io.lazy import LazyImage
from reunet.sampling.intensity import scaled, streamed_affine
from reunet.tasks import Maps, Work
from reunet.tasks.detection.decode import best, chosen, confident, no_boxes, suppressed
from reunet.tasks.instances.stitching import Stitcher

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

DECODING = 40
"""Bytes per pixel that decoding objects takes beside the maps."""


@dataclass(frozen=True)
class Block:
    """The result for a part of an image.

    box: the part. labels: (*box) uint8 class indices. probabilities: (*box, classes) float32. instances:
    (*box) int32 ids, to be looked up in `Blocks.ids` afterwards. None is what the tasks do not tell.
    """

    box: Box
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    instances: np.ndarray | None = None


@dataclass
class Summary:
    """What blocks tell beside their pixels. stitcher: of their objects. candidates: boxes of all scores, of
    one image. whole: of heads that speak of whole images, the share of the tiles seen.
    """

    stitcher: Stitcher
    candidates: list[Boxes] = field(default_factory=list)
    whole: Outputs = field(default_factory=dict)

    def absorb(self, other: Summary) -> int:
        """Take over what other blocks of the image tell; what is to be added to the ids of their objects."""
        if other.candidates:
            self.candidates = best([*self.candidates, *other.candidates])
        add_up(self.whole, other.whole)
        return self.stitcher.absorb(other.stitcher)


class Blocks:
    """Predicts an image block by block: iterate over it once, then ask for what holds for the whole image.

    Parameters
    ----------
    predictor: of the run. image: open, of the plan's spacing. where: names it in errors.
    max_memory: bytes that may be used on top of what the engine takes; None for as much as ACROSS tiles need.
    keep_probabilities: give them along with the labels.
    region: predict only this one of the `regions` of the image, with the `intensity` of the whole image:
        offset and scale, as `streamed_affine` gives them.

    Raises what calling the predictor does, and TooLargeError when not even a strip of single tiles fits.
    """

    def __init__(
        self,
        predictor: Predictor,
        image: LazyImage,
        *,
        where: object,
        max_memory: int | None = None,
        keep_probabilities: bool = False,
        region: Box | None = None,
        intensity: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.predictor, self.image, self.where = predictor, image, where
        self._keep_probabilities = keep_probabilities
        self.size = image.header.size
        tasks = [name for name in predictor.plan.tasks if name != "classification"]
        self._work = Work(tasks, predictor.work.classes)
        self._reach = max((task.reach[len(self.size)] for task in self._work.tasks), default=0)
        self._axes = predictor.tiling.cut(self.size)
        labels = predictor.plan.labels
        self.summary = Summary(Stitcher(self.size, labels.foreground or [len(labels.classes) - 1]))
        self._rows = slice(0, self.size[0]) if region is None else region[0]
        self.strips = self._strips(max_memory) if region is None else [region[1:]]
        self._intensity = intensity

    def __iter__(self) -> Generator[Block, None, None]:
        pixels = self._pixels()
        for strip in self.strips:
            core = (self._rows, *strip)
            wide = self._wide(core)
            slabs = predict_slabs(self.predictor.network, pixels, self.predictor.tiling, wide, core)
            for rows, window_rows, heads in self._windows(slabs, wide[0].start):
                yield self._decoded((rows, *strip), (window_rows, *wide[1:]), heads)

    @property
    def regions(self) -> list[Box]:
        """The image in parts that can be predicted apart from each other, each some tiles high: neighbours
        both compute the tiles at their border.
        """
        step = ROWS[len(self.size)]
        high = step * ceil(HIGH * self.predictor.tiling.tile[0] / step)
        rows = [slice(a, min(a + high, self.size[0])) for a in range(0, self.size[0], high)]
        return [(part, *strip) for strip in self.strips for part in rows]

    @property
    def intensity(self) -> tuple[np.ndarray, np.ndarray]:
        """Offset and scale of the whole image, which is read for it once, unless the plan fixes them."""
        if self._intensity is None:
            given = self.predictor.plan.input.intensity
            self._intensity = streamed_affine(ahead(self._parts()), self.size, given)
        return self._intensity

    @property
    def ids(self) -> np.ndarray:
        """The final id, 1 .. n, of each id in the blocks: (ids + 1,) int32."""
        return self.summary.stitcher.table()

    @property
    def objects(self) -> Mapping[str, np.ndarray]:
        """Class, area, centroid and box of all objects by final id, one array entry per object."""
        return self.summary.stitcher.objects()

    @property
    def boxes(self) -> Boxes | None:
        """The boxes of a detector, best first; None of other runs."""
        plan, calibration = self.predictor.plan, self.predictor.calibration
        if "detection" not in plan.tasks:
            return None
        boxes = [suppressed(found) for found in self.summary.candidates]
        return confident(boxes[0], plan.labels, calibration) if boxes else no_boxes()

    @property
    def category(self) -> Prediction:
        """The class of the whole image, the mean over the tiles; nothing of runs without such classes."""
        if not self.summary.whole:
            return Prediction()
        work = Work(["classification"], self.predictor.work.classes)
        return work.decode(Maps(self.summary.whole, self.size), self.predictor.calibration)

    def _pixels(self) -> Pixels:
        given, (offset, scale) = self.predictor.plan.input.intensity, self.intensity

        def prepare(pixels: np.ndarray) -> np.ndarray:
            return scaled(pixels.astype(np.float32), given, offset, scale)

        return Pixels(self.size, self._read, self.image.chunk[0], prepare)

    def _read(self, box: Box) -> np.ndarray:
        pixels = as_image(self.image.read(box), self.where, len(self.size))
        return fit_channels(pixels, self.predictor.plan.input, self.where)

    def _parts(self) -> Generator[tuple[Box, np.ndarray], None, None]:
        """The image in pieces as large as what is read at a time while predicting."""
        step = self.image.chunk[0] * ceil(self.predictor.tiling.tile[0] / self.image.chunk[0])
        for strip in self.strips:
            for first in range(0, self.size[0], step):
                part = (slice(first, min(first + step, self.size[0])), *strip)
                yield part, self._read(part)

    def _wide(self, core: Box) -> Box:
        """A block with what its decoding must see around it."""
        return tuple(self._grown(part, n) for part, n in zip(core, self.size, strict=True))

    def _grown(self, part: slice, length: int) -> slice:
        return slice(max(part.start - self._reach, 0), min(part.stop + self._reach, length))

    def _windows(self, slabs: Iterator[Slab], first: int) -> Iterator[tuple[slice, slice, Outputs]]:
        """Rows of a block, the rows that its decoding sees, and what the network says of these.

        first: the row that the slabs begin with.
        """
        if not self._reach:  # every pixel by itself: as they come
            for slab in self._noted(slabs):
                for x in list(slab.heads.values())[:1]:
                    rows = slice(slab.first, slab.first + len(x))
                    yield rows, rows, slab.heads
            return
        held: Outputs = {}  # rows from `first`
        step, end = ROWS[len(self.size)], self._rows.stop
        blocks = [slice(a, min(a + step, end)) for a in range(self._rows.start, end, step)]
        for slab in self._noted(slabs):
            held = {h: np.concatenate([held[h], x]) if h in held else x.copy() for h, x in slab.heads.items()}
            stop = first + max((len(x) for x in held.values()), default=0)
            while blocks and (wide := self._grown(blocks[0], self.size[0])).stop <= stop:
                window = {h: x[wide.start - first : wide.stop - first] for h, x in held.items()}
                yield blocks.pop(0), wide, window
                kept = self._grown(blocks[0], self.size[0]).start if blocks else stop
                held = {h: x[kept - first :] for h, x in held.items()}
                first = kept

    def _noted(self, slabs: Iterator[Slab]) -> Iterator[Slab]:
        for slab in slabs:
            add_up(self.summary.whole, slab.whole)
            yield slab

    def _decoded(self, box: Box, window: Box, heads: Outputs) -> Block:
        size = tuple(part.stop - part.start for part in window)
        found = self._work.decode(Maps(heads, size), self.predictor.calibration)
        inside = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, window, strict=True))
        if found.candidates is not None:
            corner = np.array([part.start for part in window] * 2, np.float32)
            moved = replace(found.candidates, corners=found.candidates.corners + corner)
            self.summary.candidates = best([*self.summary.candidates, _centred(moved, box)])
        keep = self._keep_probabilities and found.probabilities is not None
        return Block(
            box,
            None if found.labels is None else found.labels[inside],
            found.probabilities[inside].copy() if keep and found.probabilities is not None else None,
            None
            if found.instances is None
            else self.summary.stitcher.add(found.instances, window, box, found.labels),
        )

    def _strips(self, max_memory: int | None) -> list[Box]:
        """The parts of all axes but the first, each with its tiles."""
        most = round(ACROSS ** (1 / len(self._axes[1:])))
        counts = [min(len(axis.starts), most) for axis in self._axes[1:]]
        while True:
            sides = [
                _spread(axis, n, side)
                for axis, n, side in zip(self._axes[1:], counts, self.size[1:], strict=True)
            ]
            strips: list[Box] = list(product(*sides))
            needed = max(self.memory(strip) for strip in strips)
            if max_memory is None or needed <= max_memory:
                return strips
            if max(counts) == 1:
                raise TooLargeError(
                    "predicting this image would take more than the memory allowed",
                    where=self.where,
                    expected=f"at most {max_memory / 1e9:.2f} GB beside the engine (--max-memory)",
                    received=f"about {needed / 1e9:.2f} GB for the narrowest strips of it",
                    fix="allow more memory, or save the image in smaller chunks",
                )
            counts[counts.index(max(counts))] = max(counts) // 2

    def memory(self, strip: Box) -> int:
        """Bytes that predicting a strip takes beside the engine; the formula of docs/scaling.md."""
        plan, tiling = self.predictor.plan, self.predictor.tiling
        channels, item = self.image.header.channels, np.dtype(self.image.header.dtype).itemsize
        maps = sum(head.channels for head in plan.network.heads if head.of == "pixels")
        height = self.size[0]
        rows = min(tiling.tile[0], height)
        wide = prod(part.stop - part.start for part in self._wide((slice(0, height), *strip))[1:])
        read = min(rows + 2 * self.image.chunk[0], height + self.image.chunk[0])
        across = prod(
            min(part.stop - part.start + 2 * side, n)
            for part, side, n in zip(
                self._wide((slice(0, height), *strip))[1:], tiling.tile[1:], self.size[1:], strict=True
            )
        )
        reading = 2 * read * across * channels * item
        tiles = (
            QUEUED
            * tiling.batch
            * 4
            * prod(tiling.tile)
            * (channels + maps)
            * (2 if self.predictor.tta else 1)
        )
        band = rows * wide * maps * 4
        if self._reach:
            window = min(ROWS[len(self.size)] + 2 * self._reach + rows, height)
            decoding = window * wide * (2 * maps * 4 + DECODING)
        else:
            decoding = rows * wide * 16
        chunk = DECODED_AT_ONCE * prod(self.image.chunk) * channels * item
        return reading + chunk + tiles + band + decoding + WAITING


def _spread(axis: Axis, tiles: int, size: int) -> list[slice]:
    """The axis in parts of about `tiles` tiles."""
    parts = ceil(len(axis.starts) / tiles)
    edges = [max(axis.starts[round(i * len(axis.starts) / parts)], 0) for i in range(parts)] + [size]
    return [slice(a, b) for a, b in pairwise(edges)]


def _centred(boxes: Boxes, part: Box) -> Boxes:
    """The boxes whose middle lies in a part of the image."""
    low, high = (np.array([getattr(side, end) for side in part]) for end in ("start", "stop"))
    middle = (boxes.corners[:, : len(part)].astype(np.float64) + boxes.corners[:, len(part) :]) / 2
    return chosen(boxes, np.all((middle >= low) & (middle < high), axis=1))
