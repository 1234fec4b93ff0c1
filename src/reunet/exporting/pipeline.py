"""A whole prediction as one graph: from the pixels of an image to probabilities and labels.

What `inference/` does around a network in NumPy is written here once more in Keras operations, so that an
exported file does it too: resampling, normalisation, mirrored borders, tiles, blending, decisions.
Everything linear along an axis is a product with a matrix that is computed from the length of the axis.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
from keras import ops

from reunet.contracts.plan import Calibration, Intensity, Plan
from reunet.inference.predictor import tiling_of
from reunet.inference.tiling import Tiling, gaussian_window
from reunet.tasks.work import Work

Tensor = Any
Network = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]
"""From tiles (N, [T,] *tile, C), named `image`, and states to {head: (N, [T,] *output, K)} and states."""


@dataclass(frozen=True)
class Cut:
    """One axis of an image, `length` pixels of it, in tiles of `tile` whose outputs lack `edge` on each side,
    of which `halo` pixels at either side do not count, and which begin at multiples of `stride`.

    The same tiles as `inference.tiling.cut_axis` has.
    """

    length: Tensor
    tile: int
    edge: int
    overlap: float
    halo: int = 0
    stride: int = 1

    @property
    def inner(self) -> int:
        return self.tile - 2 * self.edge

    @property
    def count(self) -> Tensor:
        """Tiles along the axis."""
        step = max(int((self.inner - 2 * self.halo) * (1 - self.overlap)) // self.stride, 1)
        return ops.floor_divide(self._last + (step - 1), step) + 1

    @property
    def _last(self) -> Tensor:
        """Where the last tile begins, in strides."""
        beyond = ops.maximum(self.length - self.inner, 0)
        return ops.floor_divide(beyond + (self.stride - 1), self.stride)

    @property
    def _missing(self) -> Tensor:
        """Mirrored pixels before an axis that is shorter than a tile."""
        half = ops.floor_divide(ops.maximum(self.inner - self.length, 0), 2)
        return ops.floor_divide(half, self.stride) * self.stride

    def places(self) -> Tensor:
        """The pixels of the tiles' outputs, (count, inner) int32; starts at half a stride become even."""
        number, gaps = ops.arange(self.count, dtype="int32"), ops.maximum(self.count - 1, 1)
        down = ops.floor_divide(number * self._last, gaps)
        rest = number * self._last - down * gaps
        odd = down - 2 * ops.floor_divide(down, 2)
        starts = (down + ops.cast(2 * rest + odd > gaps, "int32")) * self.stride
        return ops.expand_dims(starts, 1) + ops.arange(self.inner, dtype="int32")

    def pixels(self) -> Tensor:
        """The pixels that all tiles read, one tile after the other, (count * tile,) int32; mirrored beyond
        the image.
        """
        starts = self.places()[:, :1] - self._missing - self.edge
        place = ops.abs(starts + ops.arange(self.tile, dtype="int32"))
        period = ops.maximum(2 * (self.length - 1), 1)
        place = place - period * ops.floor_divide(place, period)
        return ops.reshape(ops.minimum(place, period - place), (-1,))

    def blend(self) -> Tensor:
        """(length, count * inner) float32: the share that each output pixel of a tile has in each pixel."""
        place = ops.reshape(self.places() - self._missing, (1, -1))
        same = ops.equal(place, ops.expand_dims(ops.arange(self.length, dtype="int32"), 1))
        weights = ops.cast(same, "float32") * ops.reshape(self._windows(), (1, -1))
        return weights / ops.sum(weights, axis=1, keepdims=True)

    def _windows(self) -> Tensor:
        """(count, inner) float32: 0 in the halos, but those at the ends of the axis."""
        window = ops.ones_like(ops.cast(self.places(), "float32"))
        window = window * ops.convert_to_tensor(gaussian_window(self.inner))
        if not self.halo:
            return window
        number, pixel = ops.expand_dims(ops.arange(self.count), 1), ops.arange(self.inner)
        counts = ops.logical_and(
            ops.logical_or(pixel >= self.halo, ops.equal(number, 0)),
            ops.logical_or(pixel < self.inner - self.halo, ops.equal(number, self.count - 1)),
        )
        return window * ops.cast(counts, "float32")


def pipeline(
    network: Network, plan: Plan, calibration: Calibration, inputs: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What a prediction of `plan` gives.

    inputs: `image` (B, *space, C) float32 pixels as in the file, of a network for windows of frames (B, T,
    *space, C); states (1, ...) or (B * tiles, ...) by name, zeros before the first frame.

    Returns every head after its activation, (B, [T,] *space, K) float32 or (B, K) of whole images; `mask`
    (B, [T,] *space) uint8 or uint16 with the ids of classes where the task is semantic; `category` (B,) int32
    and `category_probabilities` (B, classes) float32 where it is classification; and the states.
    """
    pixels, states = inputs["image"], {name: x for name, x in inputs.items() if name != "image"}
    frames = plan.clip.frames if plan.clip is not None and not plan.network.causal else None
    if frames is not None:
        pixels = ops.moveaxis(pixels, 1, -2)  # (B, *space, T, C), cut like an image
    rank = plan.network.spatial_dims
    axes = tuple(range(1, rank + 1))
    own = ops.shape(pixels)[1 : rank + 1]
    pixels = normalised(resampled(pixels, plan), plan.input.intensity, axes)
    cuts = cuts_of(tiling_of(plan), ops.shape(pixels)[1 : rank + 1])
    tiles = cut_tiles(pixels, cuts)
    if frames is not None:
        tiles = ops.moveaxis(tiles, -2, 1)
    alike = ops.zeros_like(ops.reshape(tiles, (ops.shape(tiles)[0], -1))[:, 0])
    for name, state in states.items():
        states[name] = state + ops.reshape(alike, (-1,) + (1,) * (len(state.shape) - 1))
    outputs, work = dict(network({"image": tiles, **states})), Work.of(plan)
    found: dict[str, Tensor] = {}
    for head in plan.network.heads:
        values = outputs[head.name]
        if head.of == "image":
            found[head.name] = ops.mean(ops.reshape(values, (_count(pixels), -1, head.channels)), axis=1)
            continue
        joined = blended(values if frames is None else ops.moveaxis(values, 1, -2), cuts, _count(pixels))
        for axis, (size, length) in enumerate(zip(own, ops.shape(joined)[1 : rank + 1], strict=True), 1):
            if plan.resizes_images and head.name not in work.small:
                joined = along(linear(length, size), joined, axis)
        found[head.name] = joined if frames is None else ops.moveaxis(joined, -2, 1)
    decided: dict[str, Tensor] = {}
    for one in work.tasks:
        decided |= one.exports.decide(found, work.classes, calibration, ops)
    return found | decided | {name: outputs[name] for name in states}


def cuts_of(tiling: Tiling, size: Sequence[Tensor]) -> list[Cut]:
    """How an image of this size is cut, axis by axis."""
    sides = zip(size, tiling.tile, tiling.margin, tiling.reach, tiling.stride, strict=True)
    return [Cut(n, tile, edge, tiling.overlap, halo, stride) for n, tile, edge, halo, stride in sides]


@dataclass(frozen=True)
class Whole:
    """A prediction that is ready to be exported on the backend that Keras runs on.

    model: with its variables. function: see `pipeline`. shapes: of its inputs by name, None where any size
    goes.
    """

    model: keras.Model
    function: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    shapes: dict[str, tuple[int | None, ...]]


def whole_prediction(plan: Plan, weights: Path, calibration: Calibration) -> Whole:
    """The prediction of a run with these weights."""
    from reunet.inference.keras_runtime import load_network
    from reunet.networks import probability_model

    model = probability_model(load_network(plan, weights), plan.network)
    carries = isinstance(model.input, dict)
    states = {name: x.shape for name, x in model.input.items() if name != "image"} if carries else {}
    count = plan.thinking.iterations if plan.thinking is not None else None
    time = () if plan.clip is None or plan.network.causal else (plan.clip.frames,)
    image = (None, *time, *(None,) * plan.network.spatial_dims, plan.input.channels)

    def network(inputs: dict[str, Tensor]) -> Mapping[str, Tensor]:
        if count is not None:  # as often as while training: a file of one graph has one number of iterations
            return iterated(model, inputs["image"], states, count)
        return model(inputs if carries else inputs["image"], training=False)

    inputs = {"image": image} if count is not None else {"image": image, **states}
    return Whole(model, partial(pipeline, network, plan, calibration), inputs)


def iterated(
    model: keras.Model, image: Tensor, shapes: Mapping[str, tuple[int | None, ...]], count: int
) -> Mapping[str, Tensor]:
    """What a network that thinks says of tiles after `count` iterations. shapes: of its states."""
    alike = ops.zeros_like(ops.reshape(image, (ops.shape(image)[0], -1))[:, 0])
    states = {
        name: ops.reshape(alike, (-1,) + (1,) * (len(shape) - 1)) + ops.zeros((1, *shape[1:]), "float32")
        for name, shape in shapes.items()
    }
    for _ in range(count):
        outputs = model({"image": image, **states}, training=False)
        states = {name: outputs[name] for name in states}
    return outputs


def _count(pixels: Tensor) -> Any:
    return ops.shape(pixels)[0]


def normalised(pixels: Tensor, intensity: Intensity, axes: tuple[int, ...]) -> Tensor:
    """As `sampling.intensity.normalise`, of each image alone; `image_percentile` is left to the caller."""
    if intensity.method == "fixed":
        offset, scale = (
            ops.convert_to_tensor(list(values), "float32") for values in (intensity.offset, intensity.scale)
        )
        pixels = (pixels - offset) / scale
    elif intensity.method == "image_zscore":
        mean = ops.mean(pixels, axis=axes, keepdims=True)
        centred = pixels - mean
        rest = ops.mean(centred, axis=axes, keepdims=True)  # what rounding left in the mean
        centred = centred - rest
        scale = ops.sqrt(ops.mean(ops.square(centred), axis=axes, keepdims=True))
        flat = scale <= 1e-6 * ops.maximum(1e-6, ops.abs(mean))
        pixels = centred / ops.where(flat, ops.ones_like(scale), scale)
    return pixels if intensity.limit is None else ops.clip(pixels, *intensity.limit)


def cut_tiles(pixels: Tensor, cuts: list[Cut]) -> Tensor:
    """(B, *space, ...) to (B * tiles, *tile, ...)."""
    for axis, cut in enumerate(cuts, 1):
        pixels = ops.take(pixels, cut.pixels(), axis=axis)
    rank, rest = len(cuts), tuple(pixels.shape[1 + len(cuts) :])
    split = [side for cut in cuts for side in (cut.count, cut.tile)]
    apart = ops.reshape(pixels, (_count(pixels), *split, *rest))
    order = (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2))
    apart = ops.transpose(apart, (*order, *range(2 * rank + 1, 2 * rank + 1 + len(rest))))
    return ops.reshape(apart, (-1, *(cut.tile for cut in cuts), *rest))


def blended(values: Tensor, cuts: list[Cut], batch: Any) -> Tensor:
    """(B * tiles, *inner, ...) to (B, *space, ...), the mean of the tiles weighted by their Gaussians."""
    rank, rest = len(cuts), tuple(values.shape[1 + len(cuts) :])
    apart = ops.reshape(values, (batch, *(cut.count for cut in cuts), *(cut.inner for cut in cuts), *rest))
    order = [0, *(axis for i in range(1, rank + 1) for axis in (i, i + rank))]
    apart = ops.transpose(apart, (*order, *range(2 * rank + 1, 2 * rank + 1 + len(rest))))
    joined = ops.reshape(apart, (batch, *(cut.count * cut.inner for cut in cuts), *rest))
    for axis, cut in enumerate(cuts, 1):
        joined = along(cut.blend(), joined, axis)
    return joined


def along(matrix: Tensor, values: Tensor, axis: int) -> Tensor:
    """The product of `matrix` (new, old) with every column of `values` along `axis`."""
    shape = ops.shape(values)
    flat = ops.reshape(values, (*shape[: axis + 1], -1))
    product = ops.matmul(matrix, flat)
    return ops.reshape(product, (*shape[:axis], ops.shape(matrix)[0], *shape[axis + 1 :]))


def resampled(pixels: Tensor, plan: Plan) -> Tensor:
    """Images at the size that the network sees, as `sampling.resize.resampled`; volumes as they are."""
    given = plan.input
    if not plan.resizes_images:
        return pixels
    lengths = ops.shape(pixels)[1:3]
    if given.size is not None:
        sizes: tuple[Tensor, ...] = given.size
    else:
        sides = [ops.cast(n, "float32") for n in lengths]
        if given.longest is not None:
            sides = [n * given.longest / ops.maximum(*sides) for n in sides]
        else:
            sides = [n / side for n, side in zip(sides, plan.spacing or (1.0, 1.0), strict=True)]
        sizes = tuple(ops.maximum(ops.cast(ops.round(n), "int32"), 1) for n in sides)
    shrinks = ops.logical_and(*(size < n for size, n in zip(sizes, lengths, strict=True)))
    for axis, (size, n) in enumerate(zip(sizes, lengths, strict=True), 1):
        pixels = along(ops.where(shrinks, area(n, size), cubic(n, size)), pixels, axis)
    return pixels


def _grid(length: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels after (size, 1) and before (1, length) as float32, and how many of these one of those covers."""
    after = ops.expand_dims(ops.cast(ops.arange(size, dtype="int32"), "float32"), 1)
    before = ops.expand_dims(ops.cast(ops.arange(length, dtype="int32"), "float32"), 0)
    return after, before, ops.cast(length, "float32") / ops.cast(size, "float32")


def area(length: Tensor, size: Tensor) -> Tensor:
    """(size, length): the mean of what a pixel covers (OpenCV's INTER_AREA)."""
    after, before, ratio = _grid(length, size)
    covered = ops.minimum((after + 1) * ratio, before + 1) - ops.maximum(after * ratio, before)
    covered = ops.maximum(covered, 0.0)
    return covered / ops.sum(covered, axis=1, keepdims=True)


def linear(length: Tensor, size: Tensor) -> Tensor:
    """(size, length): linear interpolation, the edge going on as its last pixel (OpenCV's INTER_LINEAR)."""
    after, before, ratio = _grid(length, size)
    place = ops.clip((after + 0.5) * ratio - 0.5, 0.0, ops.cast(length, "float32") - 1)
    return ops.maximum(1 - ops.abs(place - before), 0.0)


def cubic(length: Tensor, size: Tensor) -> Tensor:
    """(size, length): cubic convolution with a = -0.75, the edge going on as its last pixel (INTER_CUBIC;
    Keys 1981, "Cubic Convolution Interpolation").
    """
    after, before, ratio = _grid(length, size)
    place, last = (after + 0.5) * ratio - 0.5, ops.cast(length, "float32") - 1
    matrix = 0.0
    for step in (-1.0, 0.0, 1.0, 2.0):
        tap = ops.floor(place) + step
        t = ops.abs(place - tap)
        near = (1.25 * t - 2.25) * t * t + 1
        far = ((-0.75 * t + 3.75) * t - 6) * t + 3
        weight = near if step in (0.0, 1.0) else far
        same = ops.equal(ops.clip(tap, 0.0, last), before)
        matrix = matrix + weight * ops.cast(same, "float32")
    return matrix
