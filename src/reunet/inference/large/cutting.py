"""How a large image is cut into strips, pieces and sections, and which pixels each of them depends on."""

from collections.abc import Sequence
from math import ceil

import numpy as np

from reunet.errors import PlanError
from reunet.inference.large.resized_parts import sides_of
from reunet.inference.predictor import Predictor, seen_size
from reunet.inference.sequence import AnyPredictor
from reunet.io.lazy import LazyImage
from reunet.sampling.resize import way_of
from reunet.slices import Slices, all_of, area_of, grid, grown

ROWS = {2: 1024, 3: 64}
"""Rows of the first axis in a section whose objects are decoded, by rank."""

HIGH = 8
"""Tiles that a piece is high, about."""

RESIZED = 2**27
"""Bytes of what a network says that are resized at a time, about."""


class Cutting:
    """An image as it is predicted section by section.

    Parameters
    ----------
    image: open; a volume that states no spacing counts as one of 1 mm. predictor: of the run. reach: pixels
    around a section that its decoding must see. where: names the image in errors.

    Attributes
    ----------
    size: of the image. seen: the size at which the network sees it, another where the plan has a spacing of
    its own. axes: how that is cut into tiles. maps: channels of what the network says of each pixel.
    inwards, outwards: how the pixels of the image become those of the network, and what the network says
    becomes pixels of the image.

    Raises PlanError for a network that sees all images at one size (`plan.input.size`).
    """

    def __init__(self, image: LazyImage, predictor: Predictor, reach: int, where: object) -> None:
        plan = predictor.plan
        self.image, self.predictor, self.reach, self.where = image, predictor, reach, where
        self.size = image.header.size
        if plan.input.size is not None:
            raise PlanError(
                "this run sees every image at one size, which cannot be done section by section",
                where=where,
                expected=f"an image that is resized to {' x '.join(map(str, plan.input.size))} pixels",
                received=f"{' x '.join(map(str, self.size))} pixels",
                fix="save it as TIFF or PNG, which are read as a whole, or at a smaller size",
            )
        self.seen = seen_size(self.size, plan, image.scale or image.header.voxel)
        self.axes = predictor.tiling.cut(self.seen)
        self.inwards = sides_of(self.size, self.seen, way_of(self.size, self.seen))
        self.outwards = sides_of(self.seen, self.size)
        self.maps = pixel_channels(predictor)

    @property
    def is_resized(self) -> bool:
        """Whether the network sees other pixels than those of the image."""
        return self.seen != self.size

    @property
    def chunk_rows(self) -> int:
        """Rows, as the network sees them, that are best read at a time."""
        return max(1, round(self.image.chunk[0] / self.stretch))

    @property
    def stretch(self) -> float:
        """Rows of the image per row that the network sees."""
        return self.size[0] / self.seen[0]

    def pieces(self, strips: list[Slices]) -> list[Slices]:
        """The image in parts that can be predicted apart from each other, each some tiles high: neighbours
        both compute the tiles at their border.
        """
        step = ROWS[len(self.size)]
        high = step * ceil(HIGH * self.predictor.tiling.tile[0] * self.stretch / step)
        columns = ((*all_of(self.size[:1]), *strip) for strip in strips)
        return [part for column in columns for part in grid(column, (high, *self.size[1:]))]

    def wide(self, core: Sequence[slice]) -> Slices:
        """A part of the image, or of its first axes, with what its decoding must see around it."""
        return grown(tuple(core), self.reach, self.size[: len(core)])

    def needed(self, window: Slices) -> Slices:
        """What the network must say for a part of the image, in its own pixels."""
        return tuple(side.source(part) for side, part in zip(self.outwards, window, strict=True))

    def as_seen(self, part: Slices) -> Slices:
        """A part of the image in pixels of the network; parts that touch still do, and do not overlap."""
        sizes = zip(part, self.size, self.seen, strict=True)
        return tuple(slice(round(p.start * m / n), round(p.stop * m / n)) for p, n, m in sizes)

    def step(self, wide: Slices) -> int:
        """Rows of a section: fewer where there is nothing to decode but what is resized would be large."""
        most = ROWS[len(self.size)]
        if self.reach:
            return most
        return int(np.clip(RESIZED // (area_of(wide[1:]) * self.maps * 4), 1, most))


def pixel_channels(predictor: AnyPredictor) -> int:
    """Channels of all heads that say something of each pixel, and of the uncertainty that is told of them."""
    heads = [head for head in predictor.plan.network.heads if head.of == "pixels"]
    unsure = isinstance(predictor, Predictor) and predictor.uncertainty
    return sum(head.channels + 3 * (unsure and head.has_classes) for head in heads)
