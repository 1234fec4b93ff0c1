"""The parts of a drawn network: feature maps as rectangles, blocks of convolutions, recurrences, heads."""

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
class Rect:
    """Where a feature map is drawn: its height shows the resolution, its width the number of channels."""

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
    """Draws the parts of one network, each to the right of one that is drawn, and returns where they stand.

    config: what is drawn. gap: the space between two feature maps, where an arrow is.
    """

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

    def place(self, x: float, level: int, channels: int) -> Rect:
        """Where a feature map of a level stands, with its left side at x."""
        top, height = self.level(level)
        return Rect(x, top, width_of(channels), height, channels)

    def map(
        self,
        x: float,
        level: int,
        channels: int,
        fill: str = "map",
        *,
        labelled: bool = True,
        lift: float = 0,
    ) -> Rect:
        """One feature map, perhaps with its number of channels `lift` above it."""
        rect = self.place(x, level, channels)
        deep = self.depth(rect)
        if self.config.rank == 3:
            self._solid(rect, deep, fill)
        self.canvas.rect(rect.x, rect.y, rect.width, rect.height, fill)
        if labelled:
            self.canvas.label(rect.centre + deep / 2, rect.y - deep - 5 - lift, str(channels))
        return rect

    def depth(self, rect: Rect) -> float:
        """How far a map with a third axis reaches up and to the right of its front."""
        return max(3.0, min(9.0, 0.1 * rect.height)) if self.config.rank == 3 else 0.0

    def _solid(self, rect: Rect, deep: float, fill: str) -> None:
        """The upper and the right face of a map with a third axis."""
        x, y, right, bottom = rect.x, rect.y, rect.right, rect.bottom
        sides = ("top", "side") if fill == "map" else (fill, fill)
        self.canvas.polygon([(x, y), (x + deep, y - deep), (right + deep, y - deep), (right, y)], sides[0])
        self.canvas.polygon(
            [(right, y), (right + deep, y - deep), (right + deep, bottom - deep), (right, bottom)], sides[1]
        )

    def frames(self, x: float, level: int, channels: int, fill: str) -> Rect:
        """A feature map of a sequence: the frames behind it are seen."""
        top, height = self.level(level)
        if self.config.time == "frames":
            for behind in (8, 4):
                self.canvas.rect(x + behind, top - behind, width_of(channels), height, fill)
        lift = 8 if self.config.time == "frames" else 0
        return self.map(x, level, channels, fill, lift=lift)

    def size_label(self, rect: Rect, level: int) -> None:
        """The resolution of a level, left of its first map."""
        self.canvas.label(rect.x - 12, rect.middle + 4, fraction_text(self.config, level), "end", "soft")

    # -- steps between feature maps -----------------------------------------------------------------

    def step(self, start: Rect, end: Rect, kind: str = "conv") -> None:
        """An arrow to the right."""
        at = end.middle
        behind = 8 if self.config.time == "frames" and start.y == end.y == start.x == 0 else self.depth(start)
        self.canvas.arrow((start.right + 1 + behind, at), (end.x - 1.5, at), kind)

    def block(
        self, name: str, start: Rect, level: int, filters: int, *, strided: bool = False, repeats: int = 1
    ) -> Rect:
        """The feature maps of a block, to the right of `start`; with `strided` the first lies below it."""
        rect, first = start, start
        lift = 13 if name == "recurrent" else 0
        if name == "recurrent":
            first = rect = self._next(start, level, filters, strided=strided, lift=lift)
            self.canvas.explain("conv", block_text(self.config, name))
        for number in range(CONVOLUTIONS.get(name, 2)):
            below = strided and number == 0 and name != "recurrent"
            rect = self._next(rect, level, filters, strided=below, lift=lift)
            self.canvas.explain("conv", block_text(self.config, name))
            if name == "recurrent":
                self._loop_above(rect)
        if name in ("residual", "pre_residual", "recurrent"):
            self._shortcut(first, rect, strided=strided and name != "recurrent")
        if repeats > 1:
            x = (rect.x - self.gap / 2) if rect is not first else rect.centre
            self.canvas.label(x, rect.middle - 5, f"\u00d7{repeats}", fill="soft")
        return rect

    def _next(self, rect: Rect, level: int, filters: int, *, strided: bool, lift: float = 0) -> Rect:
        if strided:
            new = self.map(rect.centre - width_of(filters) / 2, level, filters, labelled=False)
            self.canvas.label(new.right + 5 + self.depth(new), new.y + 2, str(filters), "start")
            self.down(rect, new)
            self.canvas.explain("down", "convolution with a stride")
            return new
        new = self.map(rect.right + self.gap, level, filters, lift=lift)
        self.step(rect, new)
        return new

    def down(self, upper: Rect, lower: Rect) -> None:
        """To the level below."""
        end = (lower.centre, lower.y - self.depth(lower) - 2)
        self.canvas.arrow((upper.centre, upper.bottom + 2), end, "down")

    def up(self, lower: Rect, upper: Rect) -> None:
        """To the level above."""
        start = lower.y - self.depth(lower) - (30 if self.config.block == "recurrent" else 17)
        self.canvas.arrow((lower.centre, start), (lower.centre, upper.bottom + 2.5), "up")

    def _shortcut(self, start: Rect, end: Rect, *, strided: bool) -> None:
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

    def _loop_above(self, rect: Rect) -> None:
        """A convolution that is applied again to its own output."""
        wide, top = max(4.5, rect.width / 2), rect.y - 1.5 - self.depth(rect)
        self.canvas.loop(rect.centre, top, 2.5, wide + 5, top - 15, width=1.4)
        spec = self.config.recurrence
        kernels = "one kernel for input and state" if spec.tied else "a kernel each for input and state"
        self.canvas.explain("loop", f"{spec.steps} recurrent steps, {kernels}")

    # -- recurrences --------------------------------------------------------------------------------

    def memory(self, start: Rect, level: int, channels: int, *, half: bool = False) -> Rect:
        """A recurrence over the frames of a sequence, of all channels or of half of them."""
        rect = self.map(start.right + self.gap, level, channels, "map" if half else "recurrent")
        if half:
            part = rect.height / 2
            self.canvas.rect(rect.x, rect.y + part, rect.width, part, "recurrent")
        self.step(start, rect)
        wide, low = max(rect.width / 2, 5) + 6, rect.bottom + 17
        self.canvas.loop(rect.centre, rect.bottom + 1.5, 3, wide, low)
        of = "half of the channels" if half else "the state"
        self.canvas.explain("time", f"{cell_name(self.config)}: {of} carried from frame to frame")
        return rect

    def both_ways(self, start: Rect, level: int, channels: int, text: str, *, back: bool = True) -> Rect:
        """A convolutional recurrence that runs through a sequence of maps, forward and, with `back`, back."""
        rect = self.map(start.right + self.gap, level, channels, "recurrent", lift=12)
        self.step(start, rect, "state")
        top, reach = rect.y - 4 - self.depth(rect), max(7.0, rect.width / 2)
        self.canvas.arrow((rect.centre - reach, top - 6), (rect.centre + reach, top - 6), "state", width=1.3)
        if back:
            self.canvas.arrow((rect.centre + reach, top), (rect.centre - reach, top), "state", width=1.3)
        self.canvas.explain("both", f"{cell_name(self.config)} {text}")
        return rect

    def panel(self, start: Rect, level: int, channels: int, way: str) -> Rect:
        """A map whose rows, columns or pixels in raster order are read by a recurrence."""
        top, height = self.level(level)
        side = 38.0
        rect = Rect(start.right + self.gap, top + height / 2 - side / 2, side, side, channels)
        self.canvas.rect(rect.x, rect.y, side, side, "recurrent")
        for third in (1, 2, 3):
            offset = side * third / 4
            if way == "rows":
                self._both(rect.x + 4, rect.y + offset, rect.right - 4, rect.y + offset)
            elif way == "columns":
                self._both(rect.x + offset, rect.y + 4, rect.x + offset, rect.bottom - 4)
            elif way == "depth":
                self._both(rect.x + offset - 7, rect.y + 27, rect.x + offset + 7, rect.y + 11)
        if way == "raster":
            left, right, rows = rect.x + 5, rect.right - 6, [rect.y + 8 + 7.4 * row for row in range(4)]
            lines = "".join(f"M{left:.1f},{y:.1f}H{right:.1f}" for y in rows)
            turns = "".join(f"M{right:.1f},{y:.1f}L{left:.1f},{y + 7.4:.1f}" for y in rows[:3])
            self.canvas.line(turns, "ink", width=0.7, head=False, dash="2 2")
            self.canvas.line(lines, "ink", width=1.2)
        self.canvas.label(rect.centre, rect.y - 5, str(channels))
        self.step(start, rect)
        return rect

    def _both(self, x: float, y: float, to_x: float, to_y: float) -> None:
        middle = ((x + to_x) / 2, (y + to_y) / 2)
        for end in ((x, y), (to_x, to_y)):
            self.canvas.arrow(middle, end, "ink", width=1.1)

    # -- the end ------------------------------------------------------------------------------------

    def head(self, start: Rect, level: int, *, supervised: bool = False) -> Rect:
        """The 1x1 convolution to the classes."""
        channels = sum(head.channels for head in self.config.heads)
        rect = self.frames(start.right + self.gap, level, channels, "head")
        self.step(start, rect, "head")
        ones = "\u00d7".join("1" * self.config.rank)
        self.canvas.explain("head", f"{ones} convolution: one logit per class")
        if supervised:
            self.canvas.explain("deep", "coarser logits: supervised while training")
        return rect
