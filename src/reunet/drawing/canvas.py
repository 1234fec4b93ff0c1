"""Shapes of a drawing as SVG text, in colours that fit a light and a dark page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import inf

Point = tuple[float, float]

COLORS = {  # light, dark
    "page": ("#ffffff", "#161a21"),
    "ink": ("#1b2230", "#e6e9ef"),
    "soft": ("#5b6578", "#9aa5b8"),
    "map": ("#8fb8de", "#4f7fae"),
    "side": ("#6d9cc8", "#3b6791"),
    "top": ("#b5d2ec", "#6b9ac6"),
    "copy": ("#ffffff", "#232a35"),
    "image": ("#d9dde4", "#47505f"),
    "recurrent": ("#f2a65a", "#c9772b"),
    "head": ("#7cc9a4", "#3f9470"),
    "conv": ("#2b7bba", "#5fa8e0"),
    "down": ("#c4432f", "#ec7a66"),
    "up": ("#12946f", "#46c79c"),
    "skip": ("#7c8699", "#8e99ad"),
    "state": ("#d1670a", "#f2a257"),
}
"""Fills of rectangles and strokes of lines, by what they stand for."""

LINES = ("conv", "down", "up", "skip", "state", "head", "ink", "soft")


def style(name: str) -> str:
    """The colours as CSS for elements inside `svg.name`; no variables, which not every viewer knows."""

    def rules(shade: int) -> str:
        parts = []
        for key, colors in COLORS.items():
            parts.append(f".{name} .f-{key}{{fill:{colors[shade]}}}")
            if key in LINES:
                parts.append(f".{name} .l-{key}{{stroke:{colors[shade]}}}")
        return "".join([*parts, f".{name} text{{stroke:{COLORS['page'][shade]}}}"])

    return (
        f".{name} text{{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',"
        f"'DejaVu Sans',Arial,sans-serif;paint-order:stroke;stroke-width:3px;stroke-linejoin:round}}"
        f"{rules(0)}@media (prefers-color-scheme:dark){{{rules(1)}}}"
    )


def _at(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def text_width(text: str, size: float = 12) -> float:
    """About how wide a text is, in the units of `size`."""
    narrow = sum(letter in "il.,:;|!'()[]·tfjr " for letter in text)
    return size * (0.64 * (len(text) - narrow) + 0.35 * narrow)


@dataclass
class Canvas:
    """Elements in the order they are drawn, the room they take, and which kinds of lines there are."""

    elements: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    left: float = inf
    right: float = -inf
    top: float = inf
    bottom: float = -inf

    def reach(self, x: float, y: float) -> None:
        """Make the drawing large enough for a point."""
        self.left, self.right = min(self.left, x), max(self.right, x)
        self.top, self.bottom = min(self.top, y), max(self.bottom, y)

    def explain(self, kind: str, text: str) -> None:
        """What the legend says of a kind of sign."""
        self.kinds.setdefault(kind, text)

    def rect(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """A rectangle with its upper left corner at (x, y)."""
        self.elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1.5" '
            f'class="f-{fill} l-ink" stroke-width="0.8"/>'
        )
        self.reach(x, y)
        self.reach(x + width, y + height)

    def polygon(self, points: Sequence[Point], fill: str) -> None:
        """A filled shape with an outline."""
        where = " ".join(map(_at, points))
        self.elements.append(
            f'<polygon points="{where}" class="f-{fill} l-ink" stroke-width="0.8" stroke-linejoin="round"/>'
        )
        for x, y in points:
            self.reach(x, y)

    def circle(self, x: float, y: float, radius: float, fill: str, sign: str) -> None:
        """A circle with a sign in it, such as a plus."""
        self.elements.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="f-{fill} l-ink" stroke-width="0.9"/>'
        )
        self.text(x, y + radius * 0.52, sign, size=radius * 1.5, anchor="middle")
        self.reach(x - radius, y - radius)
        self.reach(x + radius, y + radius)

    def line(
        self, path: str, kind: str, *, width: float = 1.6, dash: str = "", head: bool = True,
        faint: float = 1, beneath: bool = False,
    ) -> None:  # fmt: skip
        """A path, with an arrow head at its end; `beneath` all that was drawn before."""
        marker = f' marker-end="url(#arrow-{kind})"' if head else ""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        opacity = f' opacity="{faint}"' if faint < 1 else ""
        place = 0 if beneath else len(self.elements)
        self.elements.insert(
            place,
            f'<path d="{path}" fill="none" class="l-{kind}" '
            f'stroke-width="{width}"{dashed}{opacity}{marker}/>',
        )

    def arrow(self, start: Point, end: Point, kind: str, **how: float | str | bool) -> None:
        """A straight arrow."""
        self.line(f"M{_at(start)}L{_at(end)}", kind, **how)  # type: ignore[arg-type]

    def curve(
        self, start: Point, first: Point, second: Point, end: Point, kind: str, **how: float | str | bool
    ) -> None:
        """An arrow along a cubic curve with two control points."""
        path = f"M{_at(start)}C{_at(first)} {_at(second)} {_at(end)}"
        self.line(path, kind, **how)  # type: ignore[arg-type]

    def loop(self, x: float, y: float, reach: float, wide: float, far: float, width: float = 1.6) -> None:
        """An arrow from right of x to left of it at y, by way of y = `far`: a state that comes back."""
        ends, controls = ((x + reach, y), (x - reach, y)), ((x + wide, far), (x - wide, far))
        self.curve(ends[0], *controls, ends[1], "state", width=width)

    def label(self, x: float, y: float, text: str, anchor: str = "middle", fill: str = "ink") -> None:
        """A small text."""
        self.text(x, y, text, size=11, anchor=anchor, fill=fill)

    def text(
        self, x: float, y: float, text: str, *, size: float = 12, anchor: str = "start", fill: str = "ink",
        bold: bool = False,
    ) -> None:  # fmt: skip
        """Text with its baseline at y."""
        weight = ' font-weight="600"' if bold else ""
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" class="f-{fill}"'
            f"{weight}>{escape(text)}</text>"
        )
        width = text_width(text, size)
        left = {"start": x, "middle": x - width / 2, "end": x - width}[anchor]
        self.reach(left, y - size)
        self.reach(left + width, y + size * 0.3)

    def document(self, name: str, title: str, width: float, height: float) -> str:
        """The whole drawing, `width` x `height` from (0, 0), on a ground of its own."""
        heads = "".join(
            f'<marker id="arrow-{kind}" viewBox="0 0 8 8" refX="6.6" refY="4" markerWidth="6.5" '
            f'markerHeight="6.5" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
            f'<path d="M0,0.6L7.4,4L0,7.4Z" class="f-{kind}"/></marker>'
            for kind in LINES
        )
        inside = "\n".join(self.elements)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" class="{name}" role="img" '
            f'aria-label="{escape(title)}">\n'
            f"<title>{escape(title)}</title>\n<style>{style(name)}</style>\n<defs>{heads}</defs>\n"
            f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" class="f-page"/>\n{inside}\n</svg>\n'
        )
