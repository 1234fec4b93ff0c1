"""A whole image from overlapping tiles, blended so that no seam shows, a few rows in memory at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from itertools import chain, product

import numpy as np

from reunet import signals
from reunet.errors import ModelFileError, PlanError
from reunet.inference.ahead import ahead
from reunet.slices import Slices, all_of, overlap, placed, size_of, within

Network = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Tiles (B, *tile, C) float32 to {head: (B, *output, K) float32}."""

Size = tuple[int, ...]
Outputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Axis:
    """How one axis of an image is cut: where the tiles' outputs begin, and how they are weighted.

    starts: first output pixel of each tile, negative where an image is smaller than a tile. weights:
    (tiles, tile output) float32; over all tiles the weights of a pixel sum to 1.
    """

    starts: tuple[int, ...]
    weights: np.ndarray

    def touching(self, part: slice) -> list[int]:
        """The tiles that count for some pixel of a part of the axis."""
        side = self.weights.shape[1]
        return [i for i, first in enumerate(self.starts) if first < part.stop and first + side > part.start]


@dataclass(frozen=True)
class Tiling:
    """How images are cut into tiles; one entry per axis of space, zeros (strides of one) when empty.

    tile: the size that the network gets. overlap: share of a tile's output that two tiles have in common.
    margin: pixels per side by which the output is smaller than the tile.
    halo: pixels at a side of a tile that do not count where the image goes on there. With at least half the
    receptive field, an output does not depend on where tiles begin and end.
    stride: of the network. Tiles begin at its multiples, so that its poolings see the same pixels together.
    batch: tiles per call of the network.
    """

    tile: Size
    overlap: float = 0.25
    margin: Size = ()
    halo: Size = ()
    stride: Size = ()
    batch: int = 8

    def __post_init__(self) -> None:
        for name, usual in (("margin", 0), ("halo", 0), ("stride", 1)):
            object.__setattr__(self, name, getattr(self, name) or (usual,) * len(self.tile))

    @property
    def outputs(self) -> Size:
        """Size of what the network says of a tile."""
        return tuple(side - 2 * edge for side, edge in zip(self.tile, self.margin, strict=True))

    @property
    def reach(self) -> Size:
        """Of the halo, whatever the place of a pixel: it sees further to one side than to the other, by its
        place among those that are pooled together.
        """
        return tuple(halo and halo + stride // 2 for halo, stride in zip(self.halo, self.stride, strict=True))

    def cut(self, size: Size) -> list[Axis]:
        """Tiles along each axis of an image. Raises PlanError for a halo that leaves nothing of a tile."""
        sides = zip(size, self.outputs, self.reach, self.stride, strict=True)
        return [cut_axis(n, tile, self.overlap, halo, stride) for n, tile, halo, stride in sides]


def everywhere(part: Slices) -> bool:
    """That something is to be found in any part of an image."""
    return True


@dataclass(frozen=True)
class Pixels:
    """An image that tiles are cut from.

    read: a part to its pixels (*part, C). rows: it is best read in so many rows of the first axis at a time.
    prepare: pixels (*any, C) as read to float32 as the network sees them. counts: whether something is to be
    found in a part; tiles without are not shown to the network, and nothing (0) is said of their pixels.
    """

    size: Size
    read: Callable[[Slices], np.ndarray]
    rows: int = 1
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray
    counts: Callable[[Slices], bool] = everywhere


@dataclass(frozen=True)
class Slab:
    """Rows of the first axis of an image or a part of it, done with.

    first: the row they begin with. heads: (rows, *others, K) float32, to be used before the next slab comes.
    whole: of heads that speak of whole images, the share of the tiles that begin in these rows, (K,).
    """

    first: int
    heads: Outputs
    whole: Outputs


def tile_positions(size: int, tile: int, overlap: float, halo: int = 0, stride: int = 1) -> tuple[int, ...]:
    """First pixels of the tiles that cover `size` pixels, multiples of `stride`, evenly spread.

    Two neighbours share at least `overlap` of a tile, its halos not counted. The last tile ends at `size`,
    or less than a stride later; a `size` of at most one tile gives (0,).
    """
    if size <= tile:
        return (0,)
    step = max(int((tile - 2 * halo) * (1 - overlap)) // stride, 1)
    last = -(-(size - tile) // stride)
    count = -(-last // step) + 1
    return tuple(round(i * last / (count - 1)) * stride for i in range(count))


def gaussian_window(tile: int) -> np.ndarray:
    """Weight of each pixel of a tile along one axis, (tile,) float32, 1 in the centre, always > 0.

    A Gaussian of sigma = tile / 8 (nnU-Net, Isensee et al. 2021): the border of a tile sees the least
    context, so it counts least.
    """
    distance = np.arange(tile) - (tile - 1) / 2
    window = np.exp(-0.5 * (distance / (tile / 8)) ** 2)
    return np.maximum(window, 1e-3).astype(np.float32)


def cut_axis(size: int, tile: int, overlap: float, halo: int = 0, stride: int = 1) -> Axis:
    """Tiles along one axis with weights that sum to 1 at every pixel; see `Tiling`.

    An image smaller than a tile lies in its middle, or less than a stride beside it. Raises PlanError when
    less than a stride of a tile's output counts.
    """
    if tile - 2 * halo < stride:
        raise PlanError(
            "the halo leaves nothing of a tile" if halo else "tiles are too small to lie side by side",
            where="inference.halo" if halo else "inference.tile",
            expected=f"an output of at least {stride + 2 * halo} pixels, beginning every {stride} pixels",
            received=f"an output of {tile} pixels, of which {halo} at each side do not count",
            fix="use larger tiles (inference.tile) or a smaller halo",
        )
    starts = tile_positions(size, tile, overlap, halo, stride)
    windows = np.tile(gaussian_window(tile), (len(starts), 1))
    windows[1:, :halo] = 0
    windows[:-1, tile - halo :] = 0
    total = np.zeros(starts[-1] + tile, np.float64)
    for start, window in zip(starts, windows, strict=True):
        total[start : start + tile] += window
    weights = np.stack([w / total[start : start + tile] for start, w in zip(starts, windows, strict=True)])
    before = max(tile - size, 0) // 2 // stride * stride
    return Axis(tuple(start - before for start in starts), weights.astype(np.float32))


def predict_tiled(
    network: Network,
    image: np.ndarray,
    tiling: Tiling,
    counts: Callable[[Slices], bool] = everywhere,
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Outputs:
    """Predict an image or a volume of any size that is in memory.

    image: (*space, C), every axis at least 1, float32 unless `prepare` makes it so. counts, prepare: see
    `Pixels`. Returns {head: (*space, K) float32}, and of a head that speaks of whole images the mean over the
    tiles, {head: (K,)}. Raises as `predict_slabs` does.
    """
    pixels = Pixels(image.shape[:-1], lambda part: image[part], prepare=prepare, counts=counts)
    heads: Outputs = {}
    whole: Outputs = {}
    for slab in predict_slabs(network, pixels, tiling, all_of(pixels.size)):
        for head, x in slab.heads.items():
            if head not in heads:
                heads[head] = np.empty((*pixels.size, x.shape[-1]), np.float32)
            heads[head][slab.first : slab.first + len(x)] = x
        add_up(whole, slab.whole)
    return heads | whole


def add_up(total: Outputs, more: Outputs) -> None:
    """Add to the values under each name, in place."""
    for head, x in more.items():
        total[head] = total.get(head, np.float32(0)) + x


def predict_slabs(
    network: Network, image: Pixels, tiling: Tiling, part: Slices, core: Slices | None = None
) -> Iterator[Slab]:
    """Predict a part of an image, rows after rows of its first axis: a tile's height of it is in memory.

    The image is mirrored at its borders where a tile reaches beyond it (the overlap-tile strategy of
    Ronneberger et al. 2015). Reading, the network and blending overlap, each in a thread of its own.
    core: the pixels of the part whose tiles count for heads of whole images; all of it by default. Raises
    ModelFileError, naming the tile, when the network gives NaN or infinity.
    """
    axes = tiling.cut(image.size)
    wanted = partial(_counts, image, axes, tiling.outputs)
    first, *others = product(*(axis.touching(side) for axis, side in zip(axes, part, strict=True)))
    grid = [first, *filter(wanted, others)]  # from one tile it is known what the network says at all
    groups = _groups(image, axes, grid, tiling)
    if len(grid) <= tiling.batch:  # nothing to overlap
        outputs: Iterator[list[tuple[Size, Outputs]]] = _outputs(network, groups)
    else:
        outputs = ahead(_outputs(network, ahead(groups)))
    return _Blend(axes, tiling.outputs, part, core or part, image.size, wanted).slabs(outputs)


def _counts(image: Pixels, axes: Sequence[Axis], side: Size, place: Size) -> bool:
    """Whether something is to be found in the tile at a place of the grid."""
    if image.counts is everywhere:
        return True
    start = tuple(axis.starts[i] for axis, i in zip(axes, place, strict=True))
    return image.counts(overlap(placed(start, side), all_of(image.size)))


def _groups(
    image: Pixels, axes: Sequence[Axis], grid: Sequence[Size], tiling: Tiling
) -> Generator[tuple[list[Size], np.ndarray], None, None]:
    """Batches of tiles, (B, *tile, C) float32, with their places in the grid."""
    rows = _Rows(image, axes, grid, tiling)
    for first in range(0, len(grid), tiling.batch):
        group = list(grid[first : first + tiling.batch])
        yield group, np.stack([rows.tile(place) for place in group])


def _outputs(
    network: Network, groups: Iterator[tuple[list[Size], np.ndarray]]
) -> Generator[list[tuple[Size, Outputs]], None, None]:
    for group, tiles in groups:
        found = network(tiles)
        yield [(place, {head: x[i] for head, x in found.items()}) for i, place in enumerate(group)]


class _Rows:
    """Cuts tiles in the order of the grid; holds what was read of the rows that the current tiles need."""

    def __init__(self, image: Pixels, axes: Sequence[Axis], grid: Sequence[Size], tiling: Tiling) -> None:
        self._image, self._axes, self._tiling = image, axes, tiling
        self._held: deque[tuple[slice, np.ndarray]] = deque()  # rows and their pixels, one after the other
        ends = [(min(place), max(place)) for place in list(zip(*grid, strict=True))[1:]]
        self._others = []
        for axis, (low, high) in enumerate(ends, 1):
            positions = np.concatenate([self._positions(axis, low), self._positions(axis, high)])
            self._others.append(slice(int(positions.min()), int(positions.max()) + 1))

    def _positions(self, axis: int, place: int) -> np.ndarray:
        first = self._axes[axis].starts[place] - self._tiling.margin[axis]
        return mirrored(first, first + self._tiling.tile[axis], self._image.size[axis])

    def tile(self, place: Size) -> np.ndarray:
        rows, *others = (self._positions(axis, i) for axis, i in enumerate(place))
        columns = tuple(p - part.start for p, part in zip(others, self._others, strict=True))
        first, stop = int(rows.min()), int(rows.max()) + 1
        self._hold(first, stop)
        pieces = []
        for part, pixels in self._held:
            low, high = max(first, part.start), min(stop, part.stop)
            if low < high:
                pieces.append(_taken(pixels[low - part.start : high - part.start], columns, axis=1))
        pixels = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return self._image.prepare(_taken(pixels, (rows - first,), axis=0))

    def _hold(self, first: int, stop: int) -> None:
        """Read what is missing of these rows and forget those before them."""
        step, length = self._image.rows, self._image.size[0]
        while self._held and self._held[0][0].stop <= first:
            self._held.popleft()
        if self._held and first < self._held[0][0].start:
            self._held.clear()
        end = self._held[-1][0].stop if self._held else first // step * step
        if stop > end:
            rows = slice(end, min(-(-stop // step) * step, length))
            self._held.append((rows, self._image.read((rows, *self._others))))


def _taken(pixels: np.ndarray, places: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """The pixels at some places of each axis from `axis` on; one piece where these follow each other."""
    if all(p[-1] - p[0] == len(p) - 1 for p in places):
        return pixels[(slice(None),) * axis + tuple(slice(p[0], p[-1] + 1) for p in places)]
    every = [np.arange(side) for side in pixels.shape[:axis]]
    return pixels[np.ix_(*every, *places)]


def mirrored(first: int, stop: int, size: int) -> np.ndarray:
    """The pixels 0 .. size - 1 that stand for the positions first .. stop - 1 of an axis that is mirrored at
    both ends, again and again.
    """
    if size == 1:
        return np.zeros(stop - first, np.intp)
    positions = np.arange(first, stop) % (2 * (size - 1))
    return np.where(positions < size, positions, 2 * (size - 1) - positions)


class _Blend:
    """Adds up tiles, weighted, as they come; holds the rows of the part that further tiles may touch.

    side: size of what the network says of a tile. core: see `predict_slabs`. size: of the image. wanted:
    whether the tile at a place of the grid counts.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        side: Size,
        part: Slices,
        core: Slices,
        size: Size,
        wanted: Callable[[Size], bool],
    ) -> None:
        self._axes, self._side, self._core, self._size, self._wanted = axes, side, core, size, wanted
        self._left = part  # what has not been given yet
        self._sums: Outputs = {}
        self._whole: Outputs = {}
        rows, *others = size_of(part)
        self._shape = (min(side[0], rows), *others)

    @cached_property
    def _tiles(self) -> np.float32:
        """How many of the image's tiles count."""
        return np.float32(
            max(1, sum(map(self._wanted, product(*(range(len(one.starts)) for one in self._axes)))))
        )

    def slabs(self, outputs: Iterator[list[tuple[Size, Outputs]]]) -> Iterator[Slab]:
        """The whole part, from what the network says of the tiles by their places in the grid."""
        row = -1
        for place, heads in chain.from_iterable(outputs):
            signals.check()
            if place[0] != row:
                row = place[0]
                yield from self._done(self._axes[0].starts[row])
            self._add(place, heads)
        yield from self._done(self._left[0].stop)

    def _add(self, place: Size, heads: Outputs) -> None:
        """What the network says of the tile at a place of the grid."""
        start = tuple(axis.starts[i] for axis, i in zip(self._axes, place, strict=True))
        tile = placed(start, self._side)
        both = overlap(tile, self._left)
        local, into = within(both, tile), within(both, self._left)
        weights = [axis.weights[i][part] for axis, i, part in zip(self._axes, place, local, strict=True)]
        for head, output in heads.items():
            if output.ndim == 1:
                if _begins_in(start, self._core, self._size) and self._wanted(place):
                    add_up(self._whole, {head: output / self._tiles})
                continue
            _check_finite(output, start, self._side)
            if head not in self._sums:
                self._sums[head] = np.zeros((*self._shape, output.shape[-1]), np.float32)
            self._sums[head][into] += _weighted(output[local], weights)

    def _done(self, up_to: int) -> Iterator[Slab]:
        """The rows before that one, if there are new ones: no further tile touches them."""
        rows, *others = self._left
        while (count := min(up_to, rows.stop, rows.start + self._shape[0]) - rows.start) > 0:
            yield Slab(rows.start, {head: x[:count] for head, x in self._sums.items()}, dict(self._whole))
            self._whole.clear()
            rows = slice(rows.start + count, rows.stop)
            self._left = (rows, *others)
            for x in self._sums.values():
                for i in range(len(x) - count):  # one by one, since NumPy copies what overlaps
                    x[i] = x[i + count]
                x[len(x) - count :] = 0


def _weighted(output: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """(*part, K) times the weights along each axis; K and the last of them as one axis, which is faster."""
    *others, last = weights
    lines = reduce(np.multiply.outer, [*others, np.repeat(last, output.shape[-1])])
    return (output.reshape(lines.shape) * lines).reshape(output.shape)


def _begins_in(start: Size, part: Slices, size: Size) -> bool:
    places = zip(start, size, part, strict=True)
    return all(side.start <= min(max(at, 0), n - 1) < side.stop for at, n, side in places)


def _check_finite(output: np.ndarray, start: Size, size: Size) -> None:
    # A sum is quick, and finite only where all values are; it may overflow where they are finite too.
    if not np.isfinite(output.sum()) and not np.isfinite(output).all():
        place = zip(("slice", "row", "column")[-len(start) :], start, strict=True)
        raise ModelFileError(
            "the network's output is not finite",
            where=f"tile at {', '.join(f'{name} {max(first, 0)}' for name, first in place)}, "
            f"{' x '.join(map(str, size))} pixels",
            expected="numbers",
            received=f"{np.count_nonzero(~np.isfinite(output))} values that are NaN or infinite",
            fix="try --precision f32; if it stays, the weights of this run are damaged: train again",
        )
