"""Where the parts of a network stand: the U, the grid of UNet++ and the bundle of UNet 3+."""

from __future__ import annotations

from collections.abc import Callable

from reunet.drawing.captions import block_text, cell_name, fraction_text
from reunet.drawing.pen import Box, Pen, width_of

UPSAMPLINGS = {
    "transpose": "transposed convolution",
    "transpose_norm": "transposed convolution, normalisation, ReLU",
    "nearest_conv": "enlarged, then a convolution",
    "linear": "interpolated",
}


def u_shape(pen: Pen) -> None:
    """The U of Ronneberger et al. 2015, figure 1, with what the slots change of it."""
    config = pen.config
    features = encoder(pen)
    box = bottleneck(pen, features[-1])
    for level in reversed(range(len(features) - 1)):
        box = _climb(pen, box, features[level], level)
    if config.decoder == "slices":
        units = 2 * (config.recurrence.units or max(1, config.filters[0] // 2))
        box = pen.both_ways(box, 0, units, "through the slices, in both directions")
    pen.head(box, 0)


def encoder(pen: Pen) -> list[Box]:
    """The way down; returns the last feature map of every level."""
    config, features = pen.config, []
    if config.encoder not in ("plain", "recurrent"):
        return _pretrained(pen)
    box = pen.frames(0, 0, config.in_channels, "image")
    pen.size_label(box, 0)
    for level, filters in enumerate(config.filters):
        strided = level > 0 and config.downsampling == "stride"
        if level and not strided:
            pooled = pen.map(box.centre - width_of(box.channels) / 2, level, box.channels, label=None)
            pen.down(box, pooled)
            pen.canvas.explain("down", "maximum pooling")
            box = pooled
        start = box
        if config.encoder == "recurrent":
            box = pen.memory(box, level, filters)
        repeats = config.repeats[level] if config.repeats else 1
        box = pen.block(config.block, box, level, filters, strided=strided, repeats=repeats)
        if level:
            first = pen.place(start.centre - width_of(filters) / 2, level, filters) if strided else start
            pen.size_label(first, level)
        features.append(box)
    return features


def _pretrained(pen: Pen) -> list[Box]:
    """The features of an encoder from elsewhere, one per level; its layers are its own business."""
    box = pen.frames(0, 0, pen.config.in_channels, "image")
    features = [pen.map(box.right + pen.gap, 0, pen.config.filters[0], "copy", label=None)]
    pen.step(box, features[0])
    pen.size_label(box, 0)
    for level, filters in enumerate(pen.config.filters[1:], start=1):
        above = features[-1]
        features.append(pen.map(above.centre + pen.gap, level, filters, "copy", label=None))
        pen.down(above, features[-1])
        pen.size_label(features[-1], level)
    pen.canvas.explain("down", f"layers of {pen.config.encoder}")
    return features


def bottleneck(pen: Pen, box: Box) -> Box:
    """What happens to the deepest features."""
    config, level = pen.config, len(pen.config.filters) - 1
    filters, kind = config.filters[level], config.bottleneck
    units = config.recurrence.units or max(1, filters // 2)
    if kind == "conv":
        return pen.block("conv", box, level, filters)
    if kind == "dense":
        return _dense(pen, box, level)
    if kind == "sweep":
        ways = ("columns", "rows") if config.rank == 2 else ("depth", "columns", "rows")
        for _ in range(config.recurrence.layers):
            for way in ways:
                box = pen.panel(box, level, 2 * units, way)
        pen.canvas.explain("sweep", f"{cell_name(config)} along every {_and(ways)}, in both directions")
    if kind == "raster":
        box = pen.panel(box, level, 2 * units, "raster")
        pen.canvas.explain(
            "sweep", f"{cell_name(config)} through all pixels, row after row, in both directions"
        )
    if kind in ("recurrence", "half_recurrence"):
        units = config.recurrence.units or filters
        box = pen.memory(box, level, units if kind == "recurrence" else filters, half=kind != "recurrence")
    return box


def _dense(pen: Pen, box: Box, level: int) -> Box:
    """Further blocks, each of which sees the outputs of all before it."""
    config, seen = pen.config, [box]
    for _ in range(1, config.bottleneck_blocks):
        first = pen.place(seen[-1].right + pen.gap, level, config.filters[level])
        for earlier in seen[:-1]:
            low, bottom = first.bottom + 16, first.bottom + 1.5
            path = f"M{earlier.centre:.1f},{bottom:.1f}C{earlier.centre:.1f},{low:.1f} "
            path += f"{first.centre:.1f},{low:.1f} {first.centre:.1f},{bottom:.1f}"
            pen.canvas.line(path, "skip", width=1.2)
            pen.canvas.reach(first.x, low)
            pen.canvas.explain("sum", "concatenate: a block sees all before it")
        seen.append(pen.block(config.block, seen[-1], level, config.filters[level]))
    return seen[-1]


def _and(ways: tuple[str, ...]) -> str:
    names = {"columns": "column", "rows": "row", "depth": "line through the slices"}
    return " and ".join(names[way] for way in ways)


def _climb(pen: Pen, below: Box, skip: Box, level: int) -> Box:
    """One level of the way up: up, join the skip, convolve."""
    config, filters = pen.config, pen.config.filters[level]
    channels = below.channels if config.upsampling == "linear" else filters
    up = pen.place(below.centre - width_of(channels) / 2, level, channels)
    box = JOINS[config.skip](pen, skip, up, level)
    pen.map(up.x, level, channels, label=None if config.skip in LABELLED else "")
    pen.up(below, up)
    pen.canvas.explain("up", UPSAMPLINGS[config.upsampling])
    box = pen.block(config.decoder_block or config.block, box, level, filters)
    if config.decoder == "half_recurrence":
        box = pen.memory(box, level, filters, half=True)
    if config.deep_supervision and level:
        pen.head(box, level, supervised=True)
    return box


def _copy(pen: Pen, skip: Box, up: Box, level: int, *, apart: float = 0, label: str | None = None) -> Box:
    """The features of the encoder beside the upsampled ones, with the number of channels of both."""
    copy = pen.map(up.x - width_of(skip.channels) - apart, level, skip.channels, "copy", label=None)
    deep, text = pen.depth(up), label or str(skip.channels + up.channels)
    pen.canvas.text((copy.x + up.right + deep) / 2, up.y - 5 - deep, text, size=11, anchor="middle")
    return copy


def _none(pen: Pen, skip: Box, up: Box, level: int) -> Box:
    return up


def _concat(pen: Pen, skip: Box, up: Box, level: int) -> Box:
    pen.step(skip, _copy(pen, skip, up, level), "skip")
    cropped = "crop, " if pen.config.padding == "valid" else ""
    pen.canvas.explain("skip", f"{cropped}copy and concatenate")
    return up


def _add(pen: Pen, skip: Box, up: Box, level: int) -> Box:
    x = up.x - 9
    pen.canvas.arrow((skip.right + 1 + pen.depth(skip), up.middle), (x - 7, up.middle), "skip")
    pen.canvas.circle(x, up.middle, 6.5, "page", "+")
    pen.canvas.explain("skip", "sum with the features of the encoder")
    return up


def _attention(pen: Pen, skip: Box, up: Box, level: int) -> Box:
    copy = _copy(pen, skip, up, level)
    x, y = copy.x - 21, copy.middle
    pen.canvas.arrow((skip.right + 1 + pen.depth(skip), y), (x - 7, y), "skip")
    pen.canvas.arrow((x + 7, y), (copy.x - 1.5, y), "skip")
    pen.canvas.line(f"M{up.centre:.1f},{up.bottom + 15:.1f}H{x:.1f}V{y + 8:.1f}", "up", width=1.2)
    pen.canvas.circle(x, y, 6.5, "recurrent", "\u00d7")
    pen.canvas.explain("skip", "copy and concatenate")
    pen.canvas.explain("gate", "attention gate: the features from below weight every pixel of the skip")
    return up


def _recurrent(pen: Pen, skip: Box, up: Box, level: int) -> Box:
    pen.step(skip, _copy(pen, skip, up, level, apart=3, label=f"2 \u00d7 {up.channels}"), "skip")
    pen.canvas.explain("skip", "copy: the first of two steps of a sequence, the map from below is the second")
    spec = pen.config.recurrence
    units = spec.units or max(1, pen.config.filters[level] // 2)
    merged = {"sum": "in both directions, summed", "concat": "in both directions", "forward": "forward only"}
    return pen.both_ways(
        up,
        level,
        2 * units if spec.merge == "concat" else units,
        f"over the two steps, {merged[spec.merge]}",
        back=spec.merge != "forward",
    )


JOINS: dict[str, Callable[[Pen, Box, Box, int], Box]] = {
    "none": _none,
    "concat": _concat,
    "add": _add,
    "attention": _attention,
    "recurrent": _recurrent,
}

LABELLED = ("concat", "attention", "recurrent")
"""Skips that stand beside the map from below and share its label."""


def grid(pen: Pen) -> None:
    """UNet++ (Zhou et al. 2018, figure 1): node (i, j) stands right of row i's earlier nodes."""
    config, depth = pen.config, len(pen.config.filters) - 1
    pitch = 2 * pen.gap + 16
    nodes: dict[tuple[int, int], Box] = {}
    image = pen.frames(-pen.gap - 12, 0, config.in_channels, "image")
    pen.size_label(image, 0)
    for column in range(depth + 1):
        for level in range(depth + 1 - column):
            filters = config.filters[level]
            x = (level + 2 * column) * pitch - width_of(filters) / 2
            fill = "map" if column == 0 or level + column == depth else "top"
            nodes[level, column] = pen.map(x, level, filters, fill, label=None)
    pen.step(image, nodes[0, 0])
    pen.canvas.explain("node", f"a block: {block_text(config, config.block)}, twice")
    for (level, column), box in nodes.items():
        if column == 0:
            pen.canvas.text(box.x - 6, box.bottom + 3, str(config.filters[level]), size=11, anchor="end")
            if level:
                pen.canvas.text(
                    box.x - 6,
                    box.bottom + 16,
                    fraction_text(config, level),
                    size=11,
                    anchor="end",
                    fill="soft",
                )
            if level < depth:
                below = nodes[level + 1, 0]
                pen.canvas.arrow((box.right + 1, box.bottom + 2), (below.x - 1, below.y - 3), "down")
        else:
            below = nodes[level + 1, column - 1]
            pen.canvas.arrow((below.right + 1, below.y - 3), (box.x - 1, box.bottom + 3), "up")
            pen.canvas.arrow(
                (nodes[level, column - 1].right + 1, box.middle), (box.x - 1.5, box.middle), "skip"
            )
        for earlier in range(column - 1):
            start = nodes[level, earlier]
            high = box.y - 12 - 15 * (column - earlier - 1)
            path = f"M{start.centre:.1f},{start.y - 2:.1f}C{start.centre + 18:.1f},{high:.1f} "
            path += f"{box.centre - 18:.1f},{high:.1f} {box.centre - 2:.1f},{box.y - 2.5:.1f}"
            pen.canvas.line(path, "skip", width=1.2)
            pen.canvas.reach(start.centre, high + 8)
    pen.canvas.explain("down", "maximum pooling")
    pen.canvas.explain("up", UPSAMPLINGS[config.upsampling])
    pen.canvas.explain("skip", "copy and concatenate, with every earlier node of the row")
    _grid_heads(pen, nodes, depth)


def _grid_heads(pen: Pen, nodes: dict[tuple[int, int], Box], depth: int) -> None:
    last = nodes[0, depth]
    pen.head(last, 0)
    if not pen.config.deep_supervision:
        return
    high = -30 - 15 * (depth - 1)
    for column in range(1, depth):
        box = nodes[0, column]
        pen.canvas.arrow((box.centre + 3, box.y - 2), (box.centre + 3, high + 14), "head")
        pen.canvas.rect(box.centre - 4, high, 14, 12, "head")
    pen.canvas.explain("deep", "logits of the earlier nodes of the first row: supervised while training")


def bundle(pen: Pen) -> None:
    """UNet 3+ (Huang et al. 2020, figure 1): every decoder level joins maps of all scales."""
    config = pen.config
    features = encoder(pen)
    deepest, width = len(features) - 1, config.filters[0]
    found: dict[int, Box] = {deepest: features[-1]}
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
            _strand(pen, source, (x - 1.5, y + share / 2), kind)
        joined = Box(x, top, width_of(width), height, width * len(features))
        pen.canvas.text(joined.centre, top - 5, f"{len(features)}\u00b7{width}", size=11, anchor="middle")
        box = pen.block("conv", joined, level, width * len(features))
        if config.deep_supervision and level:
            pen.head(box, level, supervised=True)
        found[level] = previous = box
    pen.canvas.explain("down", "maximum pooling, and a convolution on the way to the decoder")
    pen.canvas.explain("up", "interpolated, then a convolution")
    pen.canvas.explain("skip", "convolution, then concatenate: every level sees every scale")
    pen.head(previous, 0)


def _strand(pen: Pen, source: Box, end: tuple[float, float], kind: str) -> None:
    x, y = source.right + 2, source.middle
    bend = 0.45 * (end[0] - x)
    path = (
        f"M{x:.1f},{y:.1f}C{x + bend:.1f},{y:.1f} {end[0] - bend:.1f},{end[1]:.1f} {end[0]:.1f},{end[1]:.1f}"
    )
    pen.canvas.line(path, kind, width=1.2, faint=0.85, beneath=True)


SHAPES: dict[str, Callable[[Pen], None]] = {"nested": grid, "full_scale": bundle}
"""The drawing of a decoder; the U for those that are not named here."""
