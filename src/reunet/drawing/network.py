"""A network as the U that people know from the paper, drawn from its configuration alone."""

from collections.abc import Callable

from reunet.contracts.network import NetworkConfig
from reunet.drawing.canvas import Canvas, text_width
from reunet.drawing.captions import equations
from reunet.drawing.dense_skips import bundle, grid
from reunet.drawing.pen import Pen
from reunet.drawing.u_shape import u_shape

SHAPES: dict[str, Callable[[Pen], None]] = {"nested": grid, "full_scale": bundle}
"""The drawing of a decoder; the U for those that are not named here."""

WIDTH = 800.0
MARGIN = 26.0
GAPS = (13.0, 46.0)
"""Least and largest space between two feature maps."""

LEGEND = (
    "conv",
    "node",
    "down",
    "up",
    "skip",
    "gate",
    "sum",
    "loop",
    "time",
    "both",
    "sweep",
    "head",
    "deep",
)
"""Order of the signs."""


def draw(config: NetworkConfig, title: str | None = None) -> str:
    """The network as an SVG document, 800 units wide.

    The height of a rectangle shows the resolution of a feature map, its width the number of channels, which
    stands above it. Only what the network has is in the legend.
    """
    shape = SHAPES.get(config.decoder, u_shape)
    pen = _fitting(config, shape)
    figure, page = pen.canvas, Canvas()
    scale = min(1.0, (WIDTH - 2 * MARGIN) / (figure.right - figure.left))
    page.text(MARGIN, 32, title or config.preset, size=17, bold=True)
    page.text(MARGIN, 52, subtitle(config), size=12.5, fill="soft")
    x = (WIDTH - scale * (figure.right - figure.left)) / 2 - scale * figure.left
    y = 78 - scale * figure.top
    inside = "\n".join(figure.elements)
    page.elements.append(f'<g transform="translate({x:.1f},{y:.1f}) scale({scale:.4f})">\n{inside}\n</g>')
    bottom = _legend(page, figure.kinds, y + scale * figure.bottom + 34)
    if {"loop", "time", "both", "sweep"} & figure.kinds.keys():
        bottom = _formula(page, config, bottom)
    return page.document("reunet-net", f"{title or config.preset}: {subtitle(config)}", WIDTH, bottom + 14)


def subtitle(config: NetworkConfig) -> str:
    """The network in a line."""
    axes = {2: "images (2D)", 3: "volumes (3D)"}[config.spatial_dims]
    if config.time != "none":
        axes = "sequences, time as an axis (2D+t)" if config.time == "axis" else "sequences of frames (2D)"
    low, high = min(config.filters), max(config.filters)
    norm = {"none": "no", "batch": "batch", "instance": "instance", "group": "group"}[config.normalisation]
    parts = [
        axes,
        f"{len(config.filters)} levels",
        f"{low} to {high} filters" if low < high else f"{low} filters",
        f"{norm} normalisation",
    ]
    return " \u00b7 ".join(parts)


def _fitting(config: NetworkConfig, shape: Callable[[Pen], None]) -> Pen:
    """Drawn with the gap that fills the width: the drawing grows in proportion to it."""

    def drawn(gap: float) -> Pen:
        pen = Pen(config, gap)
        shape(pen)
        return pen

    widths = [canvas.right - canvas.left for canvas in (drawn(gap).canvas for gap in GAPS)]
    slope = (widths[1] - widths[0]) / (GAPS[1] - GAPS[0])
    wanted = GAPS[0] + (WIDTH - 2 * MARGIN - widths[0]) / slope
    return drawn(min(GAPS[1], max(GAPS[0], wanted)))


def _legend(page: Canvas, kinds: dict[str, str], top: float) -> float:
    """The signs there are, in two columns where they fit; returns where it ends."""
    x, y = MARGIN, top
    for kind in LEGEND:
        if kind not in kinds:
            continue
        wide = 40 + text_width(kinds[kind], 12) + 22
        if x > MARGIN and x + wide > WIDTH - MARGIN + 22:
            x, y = MARGIN, y + 21
        _sign(page, kind, x, y)
        page.text(x + 36, y + 4, kinds[kind], size=12)
        x += wide
    return y + 14


def _sign(page: Canvas, kind: str, x: float, y: float) -> None:
    if kind in ("conv", "down", "up", "skip", "head"):
        page.arrow((x, y), (x + 27, y), kind)
    elif kind == "sum":
        page.curve((x + 2, y - 5), (x + 2, y + 8), (x + 25, y + 8), (x + 25, y - 5), "skip", width=1.2)
    elif kind == "loop":
        page.loop(x + 14, y + 6, 3, 15, y - 10, width=1.4)
    elif kind == "gate":
        page.circle(x + 14, y, 6.5, "recurrent", "\u00d7")
    elif kind == "time":
        page.rect(x + 9, y - 9, 10, 11, "recurrent")
        page.loop(x + 14, y + 2, 3, 12, y + 13)
    elif kind == "both":
        page.arrow((x + 2, y - 3), (x + 26, y - 3), "state", width=1.3)
        page.arrow((x + 26, y + 3), (x + 2, y + 3), "state", width=1.3)
    else:
        page.rect(x + 7, y - 7, 14, 14, {"sweep": "recurrent", "deep": "head"}.get(kind, "map"))


def _formula(page: Canvas, config: NetworkConfig, top: float) -> float:
    """The equations of the cell, broken where they are too long."""
    name, lines = equations(config)
    page.text(MARGIN, top + 16, f"{name}:", size=12.5, fill="soft")
    x = indent = MARGIN + text_width(f"{name}:", 12.5) + 12
    y = top + 16
    for equation in lines:
        wide = text_width(equation, 13) + 24
        if x > indent and x + wide > WIDTH - MARGIN + 24:
            x, y = indent, y + 21
        page.text(x, y, equation, size=13)
        x += wide
    return y + 4
