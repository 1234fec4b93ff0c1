"""The parts of a drawn network: feature maps as boxes, blocks of convolutions, recurrences, heads."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from reunet.contracts.network import NetworkConfig
from reunet.drawing.canvas import Canvas
from reunet.drawing.captions import block_text, cell_name, fraction_text

CONVOLUTIONS = {"none": 0, "conv": 1}
"""Convolutions of a block; two where it is not named here."""

TALLEST = 118.0
BETWEEN_LEVELS, BETWEEN_LOOPS = 50.0, 62.0
"""Space between two levels: for an arrow and numbers, and for loops as well."""


@dataclass(frozen=True)
class Box:
    """Where a feature map is drawn."""

    x: float
    y: float
    width: float
    height: float
    channels: int

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def centre(self) -> float:
        return self.x + self.width / 2

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def width_of(channels: int) -> float:
    """Wider for more channels, by the square root."""
    return 3 + 0.75 * channels**0.5


@dataclass
class Pen:
    """Draws the parts of one network; `gap` is the space between two boxes, where an arrow is."""

    config: NetworkConfig
    gap: float
    canvas: Canvas = field(default_factory=Canvas)

    def level(self, level: int) -> tuple[float, float]:
        """Top and height of the feature maps of a level: lower for a lower resolution, by its power 0.55."""
        between = BETWEEN_LOOPS if self.config.block == "recurrent" else BETWEEN_LEVELS
        return sum(self._height(above) + between for above in range(level)), self._height(level)

    def _height(self, level: int) -> float:
        strides = self.config.strides[:level]
        shrunk = prod(prod(stride) for stride in strides) ** (1 / self.config.rank)
        return max(13.0, TALLEST / shrunk**0.55)

    # -- feature maps -------------------------------------------------------------------------------

    def place(self, x: float, level: int, channels: int) -> Box:
        """Where a feature map of a level stands, with its left side at x."""
        top, height = self.level(level)
        return Box(x, top, width_of(channels), height, channels)

    def map(
        self,
        x: float,
        level: int,
        channels: int,
        fill: str = "map",
        *,
        label: str | None = "",
        lift: float = 0,
    ) -> Box:
        """One feature map with its number of channels above it; `label` is another text, None no text."""
        box = self.place(x, level, channels)
        deep = self.depth(box)
        if self.config.rank == 3:
            self._solid(box, deep, fill)
        self.canvas.rect(box.x, box.y, box.width, box.height, fill)
        if label is not None:
            self.canvas.text(
                box.centre + deep / 2,
                box.y - deep - 5 - lift,
                label or str(channels),
                size=11,
                anchor="middle",
            )
        return box

    def depth(self, box: Box) -> float:
        """How far a box with a third axis reaches up and to the right of its front."""
        return max(3.0, min(9.0, 0.1 * box.height)) if self.config.rank == 3 else 0.0

    def _solid(self, box: Box, deep: float, fill: str) -> None:
        """The upper and the right face of a box with a third axis."""
        x, y, right, bottom = box.x, box.y, box.right, box.bottom
        sides = ("top", "side") if fill == "map" else (fill, fill)
        self.canvas.polygon([(x, y), (x + deep, y - deep), (right + deep, y - deep), (right, y)], sides[0])
        self.canvas.polygon(
            [(right, y), (right + deep, y - deep), (right + deep, bottom - deep), (right, bottom)], sides[1]
        )

    def frames(self, x: float, level: int, channels: int, fill: str, label: str | None = "") -> Box:
        """A feature map of a sequence: the frames behind it are seen."""
        top, height = self.level(level)
        if self.config.time == "frames":
            for behind in (8, 4):
                self.canvas.rect(x + behind, top - behind, width_of(channels), height, fill)
        lift = 8 if self.config.time == "frames" else 0
        return self.map(x, level, channels, fill, label=label, lift=lift)

    def size_label(self, box: Box, level: int) -> None:
        """The resolution of a level, left of its first box."""
        text = fraction_text(self.config, level)
        self.canvas.text(box.x - 12, box.middle + 4, text, size=11, anchor="end", fill="soft")

    # -- steps between feature maps -----------------------------------------------------------------

    def step(self, start: Box, end: Box, kind: str = "conv") -> None:
        """An arrow to the right."""
        at = end.middle
        behind = 8 if self.config.time == "frames" and start.y == end.y == start.x == 0 else self.depth(start)
        self.canvas.arrow((start.right + 1 + behind, at), (end.x - 1.5, at), kind)

    def block(
        self, name: str, start: Box, level: int, filters: int, *, strided: bool = False, repeats: int = 1
    ) -> Box:
        """The feature maps of a block, to the right of `start`; with `strided` the first lies below it."""
        box, first = start, start
        lift = 13 if name == "recurrent" else 0
        if name == "recurrent":
            first = box = self._next(start, level, filters, strided=strided, lift=lift)
            self.canvas.explain("conv", block_text(self.config, name))
        for number in range(CONVOLUTIONS.get(name, 2)):
            below = strided and number == 0 and name != "recurrent"
            box = self._next(box, level, filters, strided=below, lift=lift)
            self.canvas.explain("conv", block_text(self.config, name))
            if name == "recurrent":
                self._loop_above(box)
        if name in ("residual", "pre_residual", "recurrent"):
            self._shortcut(first, box, strided=strided and name != "recurrent")
        if repeats > 1:
            x = (box.x - self.gap / 2) if box is not first else box.centre
            self.canvas.text(x, box.middle - 5, f"\u00d7{repeats}", size=11, anchor="middle", fill="soft")
        return box

    def _next(self, box: Box, level: int, filters: int, *, strided: bool, lift: float = 0) -> Box:
        if strided:
            new = self.map(box.centre - width_of(filters) / 2, level, filters, label=None)
            self.canvas.text(
                new.right + 5 + self.depth(new), new.y + 2, str(filters), size=11, anchor="start"
            )
            self.down(box, new)
            self.canvas.explain("down", "convolution with a stride")
            return new
        new = self.map(box.right + self.gap, level, filters, lift=lift)
        self.step(box, new)
        return new

    def down(self, upper: Box, lower: Box) -> None:
        """To the level below."""
        end = (lower.centre, lower.y - self.depth(lower) - 2)
        self.canvas.arrow((upper.centre, upper.bottom + 2), end, "down")

    def up(self, lower: Box, upper: Box) -> None:
        """To the level above."""
        start = lower.y - self.depth(lower) - (30 if self.config.block == "recurrent" else 17)
        self.canvas.arrow((lower.centre, start), (lower.centre, upper.bottom + 2.5), "up")

    def _shortcut(self, start: Box, end: Box, *, strided: bool) -> None:
        """The sum with the input of a block, drawn below it; with `strided` that lies a level higher."""
        bottom, x = end.bottom, end.x + 0.25 * end.width
        low, begin = bottom + 13, start.centre
        path = f"M{begin:.1f},{bottom + 1:.1f}"
        if strided:
            above, begin = end.y - 17 - self.depth(end), start.centre - width_of(end.channels) / 2 - 7
            path = f"M{start.centre:.1f},{above:.1f}C{begin:.1f},{above:.1f} {begin:.1f},{above:.1f} "
            path += f"{begin:.1f},{above + 12:.1f}V{bottom:.1f}"
        path += f"C{begin:.1f},{low:.1f} {x:.1f},{low:.1f} {x:.1f},{bottom + 1.5:.1f}"
        self.canvas.line(path, "skip", width=1.2)
        self.canvas.explain("sum", "sum with the input of the block")

    def _loop_above(self, box: Box) -> None:
        """A convolution that is applied again to its own output."""
        wide, top = max(4.5, box.width / 2), box.y - 1.5 - self.depth(box)
        path = (
            f"M{box.centre + 2.5:.1f},{top:.1f}C{box.centre + wide + 5:.1f},{top - 15:.1f} "
            f"{box.centre - wide - 5:.1f},{top - 15:.1f} {box.centre - 2.5:.1f},{top:.1f}"
        )
        self.canvas.line(path, "state", width=1.4)
        spec = self.config.recurrence
        kernels = "one kernel for input and state" if spec.tied else "a kernel each for input and state"
        self.canvas.explain("loop", f"{spec.steps} recurrent steps, {kernels}")

    # -- recurrences --------------------------------------------------------------------------------

    def memory(self, start: Box, level: int, channels: int, *, half: bool = False) -> Box:
        """A recurrence over the frames of a sequence, of all channels or of half of them."""
        box = self.map(start.right + self.gap, level, channels, "map" if half else "recurrent")
        if half:
            part = box.height / 2
            self.canvas.rect(box.x, box.y + part, box.width, part, "recurrent")
        self.step(start, box)
        wide, low = max(box.width / 2, 5) + 6, box.bottom + 17
        path = (
            f"M{box.centre + 3:.1f},{box.bottom + 1.5:.1f}C{box.centre + wide:.1f},{low:.1f} "
            f"{box.centre - wide:.1f},{low:.1f} {box.centre - 3:.1f},{box.bottom + 1.5:.1f}"
        )
        self.canvas.line(path, "state")
        of = "half of the channels" if half else "the state"
        self.canvas.explain("time", f"{cell_name(self.config)}: {of} carried from frame to frame")
        return box

    def both_ways(self, start: Box, level: int, channels: int, text: str, *, back: bool = True) -> Box:
        """A convolutional recurrence that runs through a sequence of maps, forward and, with `back`, back."""
        box = self.map(start.right + self.gap, level, channels, "recurrent", lift=12)
        self.step(start, box, "state")
        top, reach = box.y - 4 - self.depth(box), max(7.0, box.width / 2)
        self.canvas.arrow((box.centre - reach, top - 6), (box.centre + reach, top - 6), "state", width=1.3)
        if back:
            self.canvas.arrow((box.centre + reach, top), (box.centre - reach, top), "state", width=1.3)
        self.canvas.explain("both", f"{cell_name(self.config)} {text}")
        return box

    def panel(self, start: Box, level: int, channels: int, way: str) -> Box:
        """A map whose rows, columns or pixels in raster order are read by a recurrence."""
        top, height = self.level(level)
        side = 38.0
        box = Box(start.right + self.gap, top + height / 2 - side / 2, side, side, channels)
        self.canvas.rect(box.x, box.y, side, side, "recurrent")
        for third in (1, 2, 3):
            offset = side * third / 4
            if way == "rows":
                self._both(box.x + 4, box.y + offset, box.right - 4, box.y + offset)
            elif way == "columns":
                self._both(box.x + offset, box.y + 4, box.x + offset, box.bottom - 4)
            elif way == "depth":
                self._both(box.x + offset - 7, box.y + 27, box.x + offset + 7, box.y + 11)
        if way == "raster":
            lines = "".join(
                f"M{box.x + 5:.1f},{box.y + 8 + 7.4 * row:.1f}H{box.right - 6:.1f}" for row in range(4)
            )
            turns = "".join(
                f"M{box.right - 6:.1f},{y:.1f}L{box.x + 5:.1f},{y + 7.4:.1f}"
                for y in (box.y + 8 + 7.4 * row for row in range(3))
            )
            self.canvas.line(turns, "ink", width=0.7, head=False, dash="2 2")
            self.canvas.line(lines, "ink", width=1.2)
        self.canvas.text(box.centre, box.y - 5, str(channels), size=11, anchor="middle")
        self.step(start, box)
        return box

    def _both(self, x: float, y: float, to_x: float, to_y: float) -> None:
        middle = ((x + to_x) / 2, (y + to_y) / 2)
        for end in ((x, y), (to_x, to_y)):
            self.canvas.arrow(middle, end, "ink", width=1.1)

    # -- the end ------------------------------------------------------------------------------------

    def head(self, start: Box, level: int, *, supervised: bool = False) -> Box:
        """The 1x1 convolution to the classes."""
        channels = sum(head.channels for head in self.config.heads)
        box = self.frames(start.right + self.gap, level, channels, "head")
        self.step(start, box, "head")
        ones = "\u00d7".join("1" * self.config.rank)
        self.canvas.explain("head", f"{ones} convolution: one logit per class")
        if supervised:
            self.canvas.explain("deep", "coarser logits: supervised while training")
        return box
