"""Images of any size in bounded memory: predicted and decoded section by section.

A section is some rows of a strip of the image, which runs along the first axis and is as wide as memory
allows. Only the rows that a tile covers are held of what the network says, and where objects are decoded,
those of a section and around it. What belongs together across sections is put together at the end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.results import Prediction
from reunet.inference.ahead import ahead
from reunet.inference.large.cutting import Cutting
from reunet.inference.large.memory import strips_within
from reunet.inference.large.resized_parts import Side, resized_part
from reunet.inference.predictor import Predictor, as_image
from reunet.inference.tiling import Outputs, Pixels, Slab, add_up, predict_slabs
from reunet.io.channels import fit_channels
from reunet.io.lazy import LazyImage
from reunet.sampling.intensity import Statistics, scaled
from reunet.slices import Slices, corner_of, grid, seen_from, size_of, within
from reunet.tasks.base import Maps
from reunet.tasks.detection.decode import best, confident, suppressed
from reunet.tasks.instances.stitching import Stitcher
from reunet.tasks.work import Work


@dataclass(frozen=True, kw_only=True)
class Section(Prediction):
    """The result for a part of an image: labels, probabilities, uncertainty and instances, of which the ids
    are to be looked up in `Sections.ids` afterwards.
    """

    part: Slices


@dataclass
class Summary:
    """What sections tell beside their pixels. stitcher: of their objects. candidates: boxes of all scores, of
    one image. whole: of heads that speak of whole images, the share of the tiles seen.
    """

    stitcher: Stitcher
    candidates: Boxes | None = None
    whole: Outputs = field(default_factory=dict)

    def absorb(self, other: Summary) -> int:
        """Take over what others of the image tell; what is to be added to the ids of their objects."""
        self.gather(other.candidates)
        add_up(self.whole, other.whole)
        return self.stitcher.absorb(other.stitcher)

    def gather(self, boxes: Boxes | None) -> None:
        """Take over boxes, if there are any."""
        if boxes is not None:
            self.candidates = boxes if self.candidates is None else best([self.candidates, boxes])


class Sections:
    """An image predicted section by section: iterate over it once, then ask for what holds for all of it.

    Parameters
    ----------
    predictor: of the run. image: open; a volume that states no spacing counts as one of 1 mm.
    where: names it in errors.
    max_memory: bytes beside what the engine takes; None for what `memory.ACROSS` tiles need.
    keep_probabilities: give them along with the labels.
    piece: predict only this one of the `pieces` of the image, with the `intensity` of the whole image:
        offset and scale.

    The network does not see what is no tissue, and what is said of that is to be left out. Where it sees the
    image at another size, its pixels are resized part by part, and so is what the
    network says of them. Raises what calling the predictor does, PlanError for a network that sees all images
    at one size (`plan.input.size`), and TooLargeError when not even a strip of single tiles fits.
    """

    def __init__(
        self,
        predictor: Predictor,
        image: LazyImage,
        *,
        where: object,
        max_memory: int | None = None,
        keep_probabilities: bool = False,
        piece: Slices | None = None,
        intensity: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.predictor, self.image, self.where = predictor, image, where
        self._keep_probabilities = keep_probabilities
        plan, work = predictor.plan, predictor.work
        heads = {one.name: one.heads(work.classes, predictor.rank) for one in work.tasks}
        images = [name for name, told in heads.items() if all(head.of == "image" for head in told)]
        self._work = Work([name for name in plan.tasks if name not in images], work.classes)
        self._work_of_image = Work(images, work.classes)
        self._reach = max((task.reach[predictor.rank] for task in self._work.tasks), default=0)
        self.cut = Cutting(image, predictor, self._reach, where)
        self.size = self.cut.size
        foreground = plan.labels.foreground or [len(plan.labels.classes) - 1]
        self.summary = Summary(Stitcher(self.size, foreground))
        self._rows = slice(0, self.size[0]) if piece is None else piece[0]
        self.strips = strips_within(self.cut, max_memory) if piece is None else [piece[1:]]
        self._intensity = intensity

    def __iter__(self) -> Generator[Section, None, None]:
        pixels = self._pixels()
        for strip in self.strips:
            core = (self._rows, *strip)
            wide = self.cut.wide(core)
            needed = self.cut.needed(wide)
            slabs = predict_slabs(
                self.predictor.network, pixels, self.predictor.tiling, needed, self.cut.as_seen(core)
            )
            for rows, maps in self._windows(slabs, wide, needed):
                yield self._decoded((rows, *strip), maps)

    @property
    def pieces(self) -> list[Slices]:
        """Parts of the image that can be predicted apart from each other."""
        return self.cut.pieces(self.strips)

    @property
    def intensity(self) -> tuple[np.ndarray, np.ndarray]:
        """Offset and scale of the whole image, which is read for it once, unless the plan fixes them."""
        if self._intensity is None:
            self._intensity = self.intensity_of(self.statistics(piece) for piece in self.pieces)
        return self._intensity

    def intensity_of(self, statistics: Iterable[Statistics]) -> tuple[np.ndarray, np.ndarray]:
        """What the statistics of all pieces, in their order, tell of the whole image."""
        whole = Statistics(self.cut.seen, self.predictor.plan.input.intensity)
        for piece in statistics:
            whole.absorb(piece)
        return whole.affine()

    def statistics(self, piece: Slices) -> Statistics:
        """Of the intensities of a piece, as far as those of the image count."""
        found = Statistics(self.cut.seen, self.predictor.plan.input.intensity)
        if self.has_own_intensity:
            for part, pixels in ahead(self._parts(piece)):
                tissue = self.image.tissue
                found.add(part, pixels, None if tissue is None else tissue.at(part, self.cut.seen))
        return found

    @property
    def has_own_intensity(self) -> bool:
        """Whether the image has to be read to know how it is normalised."""
        return self.predictor.plan.input.intensity.method != "fixed"

    @property
    def ids(self) -> np.ndarray:
        """The final id, 1 .. n, of each id in the sections: (ids + 1,) int32."""
        return self.summary.stitcher.table()

    @property
    def objects(self) -> Mapping[str, np.ndarray]:
        """Class, area, centroid and box of all objects by final id, one array entry per object."""
        return self.summary.stitcher.objects()

    @property
    def boxes(self) -> Boxes | None:
        """The boxes of a detector, best first; None of other runs."""
        if (found := self.summary.candidates) is None:
            return None
        return confident(suppressed(found), self.predictor.plan.labels, self.predictor.calibration)

    @property
    def category(self) -> Prediction:
        """The class of the whole image, the mean over the tiles; nothing of runs without such classes."""
        if not self.summary.whole:
            return Prediction()
        return self._work_of_image.decode(Maps(self.summary.whole, self.size), self.predictor.calibration)

    def _pixels(self) -> Pixels:
        (offset, scale), given = self.intensity, self.predictor.plan.input.intensity
        prepare = partial(scaled, intensity=given, offset=offset, scale=scale)
        pixels = Pixels(self.cut.seen, self._read, self.cut.chunk_rows, prepare)
        if self.image.tissue is None:
            return pixels
        return replace(pixels, counts=partial(self.image.tissue.touches, size=self.cut.seen))

    def _read(self, part: Slices) -> np.ndarray:
        """Pixels as the network sees them, but for their intensities."""
        if not self.cut.is_resized:
            return self._stored(part)
        return resized_part(self._stored, self.cut.inwards, part)

    def _stored(self, part: Slices) -> np.ndarray:
        pixels = as_image(self.image.read(part), self.where, len(self.size))
        return fit_channels(pixels, self.predictor.plan.input, self.where)

    def _parts(self, piece: Slices) -> Generator[tuple[Slices, np.ndarray], None, None]:
        """A piece as the network sees it, in parts as large as what is read at a time while predicting."""
        step = self.cut.chunk_rows * ceil(self.predictor.tiling.tile[0] / self.cut.chunk_rows)
        for part in grid(self.cut.as_seen(piece), (step, *self.cut.seen[1:])):
            if self.image.tissue is None or self.image.tissue.touches(part, self.cut.seen):
                yield part, self._read(part)

    def _windows(
        self, slabs: Iterator[Slab], wide: Slices, needed: Slices
    ) -> Iterator[tuple[slice, PartOfMaps]]:
        """Rows of a section, and what the network says of all that its decoding sees.

        wide, needed: of the strip, in pixels of the image and of the network.
        """
        if not self._reach and not self.cut.is_resized:  # every pixel by itself: as they come
            for slab in self._noted(slabs):
                for x in list(slab.heads.values())[:1]:
                    rows = slice(slab.first, slab.first + len(x))
                    yield rows, self._maps(slab.heads, slab.first, (rows, *wide[1:]), needed)
            return
        held: Outputs = {}  # rows from `first`
        first = needed[0].start
        sections = [rows for (rows,) in grid((self._rows,), (self.cut.step(wide),))]
        for slab in self._noted(slabs):
            held = {h: np.concatenate([held[h], x]) if h in held else x.copy() for h, x in slab.heads.items()}
            stop = first + max((len(x) for x in held.values()), default=0)
            while sections:
                window = (*self.cut.wide(sections[:1]), *wide[1:])
                rows = self.cut.outwards[0].source(window[0])
                if rows.stop > stop:
                    break
                heads = {h: x[rows.start - first : rows.stop - first] for h, x in held.items()}
                yield sections.pop(0), self._maps(heads, rows.start, window, needed)
                kept = stop
                if sections:
                    kept = self.cut.outwards[0].source(self.cut.wide(sections[:1])[0]).start
                held = {h: x[kept - first :] for h, x in held.items()}
                first = kept

    def _maps(self, heads: Outputs, first: int, window: Slices, needed: Slices) -> PartOfMaps:
        corner = (first, *corner_of(needed)[1:])
        return PartOfMaps(heads, size_of(window), corner, window, self.cut.outwards)

    def _noted(self, slabs: Iterator[Slab]) -> Iterator[Slab]:
        for slab in slabs:
            add_up(self.summary.whole, slab.whole)
            yield slab

    def _decoded(self, part: Slices, maps: PartOfMaps) -> Section:
        window = maps.window
        found = self._work.decode(maps, self.predictor.calibration)
        inside = within(part, window)
        if found.candidates is not None:
            corner = np.array(corner_of(window) * 2, np.float32)
            moved = replace(found.candidates, corners=found.candidates.corners + corner)
            self.summary.gather(_centred(moved, part))
        probabilities = found.probabilities if self._keep_probabilities else None
        return Section(
            part=part,
            labels=None if found.labels is None else found.labels[inside],
            probabilities=None if probabilities is None else probabilities[inside].copy(),
            uncertainty=None if found.uncertainty is None else found.uncertainty[inside].copy(),
            instances=None
            if found.instances is None
            else self.summary.stitcher.add(found.instances, window, part, found.labels),
        )


@dataclass(frozen=True)
class PartOfMaps(Maps):
    """What a network says of a part of an image. size: of the part.

    corner: pixel of the network, in the whole image, that the heads begin with. window: the part, in pixels
    of the image. sides: how the axes of the network become those of the image.
    """

    corner: tuple[int, ...]
    window: Slices
    sides: tuple[Side, ...]

    @property
    def is_whole(self) -> bool:
        return False

    def full(self, head: str) -> np.ndarray:
        """A head at the size of the part, (*window, channels) float32."""
        x = self.heads[head]

        return resized_part(lambda part: x[seen_from(part, self.corner)], self.sides, self.window)

    def placed(self, boxes: Boxes, head: str) -> Boxes:
        """Boxes in pixels of a head, in those of the part."""
        scale = np.array([side.new / side.old for side in self.sides] * 2)
        first = np.array(corner_of(self.window) * 2)
        return replace(boxes, corners=((boxes.corners + self.corner * 2) * scale - first).astype(np.float32))


def _centred(boxes: Boxes, part: Slices) -> Boxes:
    """The boxes whose middle lies in a part of the image."""
    low, high = (np.array([getattr(side, end) for side in part]) for end in ("start", "stop"))
    middle = (boxes.corners[:, : len(part)].astype(np.float64) + boxes.corners[:, len(part) :]) / 2
    return boxes.chosen(np.all((middle >= low) & (middle < high), axis=1))
