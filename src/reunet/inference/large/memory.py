"""The memory that predicting takes, in bytes: of an image in one piece, or in strips as wide as it allows."""

from itertools import pairwise, product
from math import ceil, prod

import numpy as np

from reunet.errors import TooLargeError
from reunet.inference.large.cutting import Cutting, pixel_channels
from reunet.inference.large.resized_parts import Side
from reunet.inference.predictor import Predictor, seen_size
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.inference.tiling import Axis
from reunet.io.header import ImageHeader
from reunet.machine import resident_bytes
from reunet.slices import Slices, area_of, size_of

BASE = 300_000_000
"""What the process takes with an engine loaded, before any image."""

ACROSS = 64
"""Tiles in the cross-section of a strip, if memory allows: neighbouring strips both compute those at their
border.
"""

QUEUED = 4
"""Batches of tiles in hand at a time: being read, waiting, in the engine, being blended."""

DECODED_AT_ONCE = 10
"""Chunks that a format's library may decode at a time."""

WAITING = 2**27
"""Of results that wait to be written, for classes and for objects."""

DECODING = 40
"""Per pixel that decoding objects takes beside the maps."""


def of_engine(predictor: Predictor) -> int:
    """What the process takes with the engine at work; for volumes it may be more than the image."""
    tiling, channels = predictor.tiling, predictor.plan.input.channels
    predictor.runtime(np.zeros((tiling.batch, *tiling.tile, channels), np.float32))
    return max(BASE, resident_bytes() or 0)


def at_once(header: ImageHeader, predictor: AnyPredictor, *, keep_probabilities: bool = False) -> int:
    """What the process needs at most while predicting one file in one piece, estimated from its header.

    Per pixel of a page, or of what the network sees of it where that is more: the image as stored,
    normalised, flipped and padded; the heads' outputs, twice with test-time augmentation and once more while
    decoding; labels and overlay. Per pixel of the other pages: the labels, and the probabilities when they
    are to be written. Of a sequence all frames of a window are in memory, or the states of all tiles.
    """
    channels = max(header.channels, predictor.plan.input.channels)
    maps = 4 * pixel_channels(predictor)
    one_page = channels * (4 + 3 * 4) + maps * (3 if predictor.tta else 2) + 16
    if isinstance(predictor, SequencePredictor):
        one_page = one_page * predictor.window + predictor.state_bytes_per_pixel
    others = (header.pages - 1) * 2 * (1 + (maps if keep_probabilities else 0))
    pixels = max(prod(header.size), prod(seen_size(header.size, predictor.plan, header.voxel)))
    return BASE + pixels * (one_page + others)


def strips_within(cut: Cutting, max_memory: int | None) -> list[Slices]:
    """The strips of an image, parts of all its axes but the first, as wide as memory allows.

    Raises TooLargeError when single tiles need too much.
    """
    most = round(ACROSS ** (1 / len(cut.axes[1:])))
    counts = [min(len(axis.starts), most) for axis in cut.axes[1:]]
    while True:
        sides = [
            _spread(axis, n, outwards)
            for axis, n, outwards in zip(cut.axes[1:], counts, cut.outwards[1:], strict=True)
        ]
        strips: list[Slices] = list(product(*sides))
        needed = max(of_strip(cut, strip) for strip in strips)
        if max_memory is None or needed <= max_memory:
            return strips
        if max(counts) == 1:
            raise TooLargeError(
                "predicting this image would take more than the memory allowed",
                where=cut.where,
                expected=f"at most {max_memory // 10**6:,} MB beside the engine (--max-memory)",
                received=f"about {ceil(needed / 10**6):,} MB for the narrowest strips of it",
                fix="allow more memory, or save the image in smaller chunks",
            )
        counts[counts.index(max(counts))] = max(counts) // 2


def of_strip(cut: Cutting, strip: Slices) -> int:
    """What predicting a strip takes beside the engine; the formula of docs/scaling.md."""
    tiling, height, maps = cut.predictor.tiling, cut.seen[0], cut.maps
    channels, item = cut.image.header.channels, np.dtype(cut.image.header.dtype).itemsize
    wide = cut.wide((slice(0, cut.size[0]), *strip))
    needed = cut.needed(wide)
    across = prod(
        min(length + 2 * side, n)
        for length, side, n in zip(size_of(needed)[1:], tiling.tile[1:], cut.seen[1:], strict=True)
    )
    rows = min(tiling.tile[0], height)
    read = min(rows + 2 * cut.chunk_rows, height + cut.chunk_rows)
    reading = 2 * read * across * channels * (item if not cut.is_resized else 4)
    chunk = DECODED_AT_ONCE * prod(cut.image.chunk) * channels * item
    tiles = QUEUED * tiling.batch * 4 * prod(tiling.tile) * (channels + maps)
    width, wide_seen = area_of(wide[1:]), area_of(needed[1:])
    band = rows * wide_seen * maps * 4
    step = cut.step(wide) + 2 * cut.reach
    if cut.reach:
        decoding = min(step + rows, height) * width * (2 * maps * 4 + DECODING)
    else:
        decoding = rows * width * 16
    if cut.is_resized:
        reading += ceil(cut.chunk_rows * cut.stretch + 4) * area_of(strip) * channels * (item + 12)
        decoding += 3 * step * width * maps * 4 + band
    return reading + chunk + tiles * (2 if cut.predictor.tta else 1) + band + decoding + WAITING


def _spread(axis: Axis, tiles: int, side: Side) -> list[slice]:
    """An axis of the image in parts of about `tiles` tiles; `side` is that axis from network to image."""
    parts = ceil(len(axis.starts) / tiles)
    starts = [max(axis.starts[round(i * len(axis.starts) / parts)], 0) for i in range(parts)]
    edges = sorted({round(start * side.new / side.old) for start in starts} | {side.new})
    return [slice(a, b) for a, b in pairwise(edges)]
