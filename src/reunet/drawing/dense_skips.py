"""Where the parts of a network stand whose skips are dense: the grid of UNet++ and the bundle of UNet 3+."""

from reunet.drawing.captions import block_text, fraction_text
from reunet.drawing.pen import Pen, Rect, width_of
from reunet.drawing.u_shape import UPSAMPLINGS, encoder

Grid = dict[tuple[int, int], Rect]
"""Nodes by level and column."""


def grid(pen: Pen) -> None:
    """UNet++ (Zhou et al. 2018, figure 1): node (i, j) stands right of row i's earlier nodes."""
    config, canvas = pen.config, pen.canvas
    image = pen.frames(-pen.gap - 12, 0, config.in_channels, "image")
    pen.size_label(image, 0)
    nodes = _nodes(pen)
    pen.step(image, nodes[0, 0])
    for (level, column), node in nodes.items():
        if column == 0:
            canvas.label(node.x - 6, node.bottom + 3, str(config.filters[level]), "end")
            if level:
                canvas.label(node.x - 6, node.bottom + 16, fraction_text(config, level), "end", "soft")
            if below := nodes.get((level + 1, 0)):
                canvas.arrow((node.right + 1, node.bottom + 2), (below.x - 1, below.y - 3), "down")
        else:
            below, before = nodes[level + 1, column - 1], nodes[level, column - 1]
            canvas.arrow((below.right + 1, below.y - 3), (node.x - 1, node.bottom + 3), "up")
            canvas.arrow((before.right + 1, node.middle), (node.x - 1.5, node.middle), "skip")
        for earlier in range(column - 1):
            start, high = nodes[level, earlier], node.y - 12 - 15 * (column - earlier - 1)
            first, second = (start.centre + 18, high), (node.centre - 18, high)
            ends = (start.centre, start.y - 2), (node.centre - 2, node.y - 2.5)
            canvas.curve(ends[0], first, second, ends[1], "skip", width=1.2)
            canvas.reach(start.centre, high + 8)
    canvas.explain("node", f"a block: {block_text(config, config.block)}, twice")
    canvas.explain("down", "maximum pooling")
    canvas.explain("up", UPSAMPLINGS[config.upsampling])
    canvas.explain("skip", "copy and concatenate, with every earlier node of the row")
    _grid_heads(pen, nodes)


def _nodes(pen: Pen) -> Grid:
    filters = pen.config.filters
    depth, pitch = len(filters) - 1, 2 * pen.gap + 16
    nodes = {}
    for column in range(depth + 1):
        for level in range(depth + 1 - column):
            x = (level + 2 * column) * pitch - width_of(filters[level]) / 2
            fill = "map" if column == 0 or level + column == depth else "top"
            nodes[level, column] = pen.map(x, level, filters[level], fill, labelled=False)
    return nodes


def _grid_heads(pen: Pen, nodes: Grid) -> None:
    depth = len(pen.config.filters) - 1
    pen.head(nodes[0, depth], 0)
    if not pen.config.deep_supervision:
        return
    high = -30 - 15 * (depth - 1)
    for column in range(1, depth):
        rect = nodes[0, column]
        pen.canvas.arrow((rect.centre + 3, rect.y - 2), (rect.centre + 3, high + 14), "head")
        pen.canvas.rect(rect.centre - 4, high, 14, 12, "head")
    pen.canvas.explain("deep", "logits of the earlier nodes of the first row: supervised while training")


def bundle(pen: Pen) -> None:
    """UNet 3+ (Huang et al. 2020, figure 1): every decoder level joins maps of all scales."""
    config = pen.config
    features = encoder(pen)
    deepest, width = len(features) - 1, config.filters[0]
    found: dict[int, Rect] = {deepest: features[-1]}
    previous = features[-1]
    for level in reversed(range(deepest)):
        top, height = pen.level(level)
        x = previous.right + 1.6 * pen.gap
        share = height / len(features)
        for other in range(len(features)):
            y = top + share * other
            fill = "copy" if other <= level else "top"
            pen.canvas.rect(x, y, width_of(width), share, fill)
            source, kind = (features[other], "skip") if other <= level else (found[other], "up")
            if other < level:
                kind = "down"
            start, end = (source.right + 2, source.middle), (x - 1.5, y + share / 2)
            bend = 0.45 * (end[0] - start[0])
            first, second = (start[0] + bend, start[1]), (end[0] - bend, end[1])
            pen.canvas.curve(start, first, second, end, kind, width=1.2, faint=0.85, beneath=True)
        joined = Rect(x, top, width_of(width), height, width * len(features))
        pen.canvas.label(joined.centre, top - 5, f"{len(features)}\u00b7{width}")
        rect = pen.block("conv", joined, level, width * len(features))
        if config.deep_supervision and level:
            pen.head(rect, level, supervised=True)
        found[level] = previous = rect
    pen.canvas.explain("down", "maximum pooling, and a convolution on the way to the decoder")
    pen.canvas.explain("up", "interpolated, then a convolution")
    pen.canvas.explain("skip", "convolution, then concatenate: every level sees every scale")
    pen.head(previous, 0)
