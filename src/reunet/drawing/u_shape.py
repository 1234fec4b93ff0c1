"""Where the parts of a network stand in a U: down the encoder, through the bottleneck, up the decoder."""

from collections.abc import Callable

from reunet.contracts.network import OWN_ENCODERS
from reunet.drawing.captions import cell_name
from reunet.drawing.pen import Pen, Rect, width_of

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
    rect = bottleneck(pen, features[-1])
    for level in reversed(range(config.output_level, len(features) - 1)):
        rect = _climb(pen, rect, features[level], level)
    if config.decoder == "slices":
        units = 2 * (config.recurrence.units or max(1, config.filters[0] // 2))
        rect = pen.both_ways(rect, 0, units, "through the slices, in both directions")
    rect = pen.head(rect, config.output_level)
    if config.output_level:
        whole = pen.map(rect.centre - rect.width / 2, 0, rect.channels, "head")
        pen.up(rect, whole)
        pen.canvas.explain("up", UPSAMPLINGS["linear"])


def encoder(pen: Pen) -> list[Rect]:
    """The way down; returns the last feature map of every level."""
    config, features = pen.config, []
    if config.encoder not in OWN_ENCODERS:
        return _pretrained(pen)
    rect = pen.frames(0, 0, config.in_channels, "image")
    pen.size_label(rect, 0)
    for level, filters in enumerate(config.filters):
        strided = level > 0 and config.downsampling == "stride"
        if level and not strided:
            pooled = pen.map(rect.centre - width_of(rect.channels) / 2, level, rect.channels, labelled=False)
            pen.down(rect, pooled)
            pen.canvas.explain("down", "maximum pooling")
            rect = pooled
        start = rect
        if config.encoder == "recurrent" and config.recurs_at(level):
            rect = pen.memory(rect, level, filters)
        repeats = config.repeats[level] if config.repeats else 1
        rect = pen.block(config.block, rect, level, filters, strided=strided, repeats=repeats)
        if level:
            first = pen.place(start.centre - width_of(filters) / 2, level, filters) if strided else start
            pen.size_label(first, level)
        features.append(rect)
    return features


def _pretrained(pen: Pen) -> list[Rect]:
    """The features of an encoder from elsewhere, one per level; its layers are its own business."""
    rect = pen.frames(0, 0, pen.config.in_channels, "image")
    features = [rect]
    if pen.config.output_level == 0:
        features = [pen.map(rect.right + pen.gap, 0, pen.config.filters[0], "copy", labelled=False)]
        pen.step(rect, features[0])
    pen.size_label(rect, 0)
    for level, filters in enumerate(pen.config.filters[1:], start=1):
        above = features[-1]
        features.append(pen.map(above.centre + pen.gap, level, filters, "copy", labelled=False))
        pen.down(above, features[-1])
        pen.size_label(features[-1], level)
    pen.canvas.explain("down", f"layers of {pen.config.encoder}")
    return features


def bottleneck(pen: Pen, rect: Rect) -> Rect:
    """What happens to the deepest features."""
    config, level = pen.config, len(pen.config.filters) - 1
    filters, kind = config.filters[level], config.bottleneck
    units = config.recurrence.units or max(1, filters // 2)
    if kind == "conv":
        return pen.block("conv", rect, level, filters)
    if kind == "dense":
        return _dense(pen, rect, level)
    if kind == "sweep":
        ways = {"columns": "column", "rows": "row"}
        if config.rank == 3:
            ways = {"depth": "line through the slices", **ways}
        for way in [*ways] * config.recurrence.layers:
            rect = pen.panel(rect, level, 2 * units, way)
        lines = " and ".join(ways.values())
        pen.canvas.explain("sweep", f"{cell_name(config)} along every {lines}, in both directions")
    if kind == "raster":
        rect = pen.panel(rect, level, 2 * units, "raster")
        text = f"{cell_name(config)} through all pixels, row after row, in both directions"
        pen.canvas.explain("sweep", text)
    if kind in ("recurrence", "half_recurrence"):
        units = config.recurrence.units or filters
        rect = pen.memory(rect, level, units if kind == "recurrence" else filters, half=kind != "recurrence")
    return rect


def _dense(pen: Pen, rect: Rect, level: int) -> Rect:
    """Further blocks, each of which sees the outputs of all before it."""
    config, seen = pen.config, [rect]
    for _ in range(1, config.bottleneck_blocks):
        first = pen.place(seen[-1].right + pen.gap, level, config.filters[level])
        for earlier in seen[:-1]:
            low, bottom, x, to = first.bottom + 16, first.bottom + 1.5, earlier.centre, first.centre
            pen.canvas.curve((x, bottom), (x, low), (to, low), (to, bottom), "skip", width=1.2)
            pen.canvas.reach(first.x, low)
            pen.canvas.explain("sum", "concatenate: a block sees all before it")
        seen.append(pen.block(config.block, seen[-1], level, config.filters[level]))
    return seen[-1]


def _climb(pen: Pen, below: Rect, skip: Rect, level: int) -> Rect:
    """One level of the way up: up, join the skip, convolve."""
    config, filters = pen.config, pen.config.filters[level]
    channels = below.channels if config.upsampling == "linear" else filters
    up = pen.place(below.centre - width_of(channels) / 2, level, channels)
    rect = JOINS[config.skip](pen, skip, up, level)
    pen.map(up.x, level, channels, labelled=config.skip not in LABELLED)
    pen.up(below, up)
    pen.canvas.explain("up", UPSAMPLINGS[config.upsampling])
    rect = pen.block(config.decoder_block or config.block, rect, level, filters)
    if config.decoder == "half_recurrence" and config.recurs_at(level):
        rect = pen.memory(rect, level, filters, half=True)
    if config.deep_supervision and level:
        pen.head(rect, level, supervised=True)
    return rect


def _copy(pen: Pen, skip: Rect, up: Rect, level: int, *, apart: float = 0, label: str | None = None) -> Rect:
    """The features of the encoder beside the upsampled ones, with the number of channels of both."""
    copy = pen.map(up.x - width_of(skip.channels) - apart, level, skip.channels, "copy", labelled=False)
    deep, text = pen.depth(up), label or str(skip.channels + up.channels)
    pen.canvas.label((copy.x + up.right + deep) / 2, up.y - 5 - deep, text)
    return copy


def _none(pen: Pen, skip: Rect, up: Rect, level: int) -> Rect:
    return up


def _concat(pen: Pen, skip: Rect, up: Rect, level: int) -> Rect:
    pen.step(skip, _copy(pen, skip, up, level), "skip")
    cropped = "crop, " if pen.config.padding == "valid" else ""
    pen.canvas.explain("skip", f"{cropped}copy and concatenate")
    return up


def _add(pen: Pen, skip: Rect, up: Rect, level: int) -> Rect:
    x = up.x - 9
    pen.canvas.arrow((skip.right + 1 + pen.depth(skip), up.middle), (x - 7, up.middle), "skip")
    pen.canvas.circle(x, up.middle, 6.5, "page", "+")
    pen.canvas.explain("skip", "sum with the features of the encoder")
    return up


def _attention(pen: Pen, skip: Rect, up: Rect, level: int) -> Rect:
    copy = _copy(pen, skip, up, level)
    x, y = copy.x - 21, copy.middle
    pen.canvas.arrow((skip.right + 1 + pen.depth(skip), y), (x - 7, y), "skip")
    pen.canvas.arrow((x + 7, y), (copy.x - 1.5, y), "skip")
    pen.canvas.line(f"M{up.centre:.1f},{up.bottom + 15:.1f}H{x:.1f}V{y + 8:.1f}", "up", width=1.2)
    pen.canvas.circle(x, y, 6.5, "recurrent", "\u00d7")
    pen.canvas.explain("skip", "copy and concatenate")
    pen.canvas.explain("gate", "attention gate: the features from below weight every pixel of the skip")
    return up


def _recurrent(pen: Pen, skip: Rect, up: Rect, level: int) -> Rect:
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


JOINS: dict[str, Callable[[Pen, Rect, Rect, int], Rect]] = {
    "none": _none,
    "concat": _concat,
    "add": _add,
    "attention": _attention,
    "recurrent": _recurrent,
}

LABELLED = ("concat", "attention", "recurrent")
"""Skips that stand beside the map from below and share its label."""
