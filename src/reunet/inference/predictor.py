"""From a raw image to its prediction: the one path of validation, `predict`, `evaluate` and Python."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from functools import partial
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from reunet.contracts.network import ENTROPY
from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.results import Prediction
from reunet.contracts.sizes import margin
from reunet.errors import DataError
from reunet.inference.following import followed
from reunet.inference.runtime import StepRuntime
from reunet.inference.thinking import thinking
from reunet.inference.tiling import Tiling, predict_tiled
from reunet.io.channels import fit_channels
from reunet.io.numbers import LARGEST, unusable
from reunet.sampling.intensity import affine, normalise, scaled
from reunet.sampling.prompt import Points, check_points
from reunet.sampling.resize import resampled, size_at, size_within
from reunet.tasks.base import Maps
from reunet.tasks.uncertainty import entropy
from reunet.tasks.work import Work

TILES = 8
"""Tiles per call of the engine, unless so many are larger than MOST_PIXELS."""

MOST_PIXELS = 2**21

MOST_RESIZED = 2**31
"""Pixels that an image may be enlarged to in memory."""

Spacing = tuple[float, ...]
Heads = dict[str, np.ndarray]


class Predictor:
    """A network with everything around it that turns an image into labels.

    Parameters
    ----------
    plan: of the run. runtime: the engine. calibration: thresholds of the run.
    tta: average over the mirrorings of the image (test-time augmentation): four times slower, eight times
        for volumes.
    iterations: of a network that thinks; None for as many as it takes, see `thinking.Thinking`.
    uncertainty: tell it too (`reunet.tasks.uncertainty`), from the networks of an ensemble and from the
        mirrorings where there are any; a single network is asked with all mirrorings.
    """

    def __init__(
        self,
        plan: Plan,
        runtime: StepRuntime,
        calibration: Calibration | None = None,
        *,
        tta: bool = False,
        iterations: int | None = None,
        uncertainty: bool = False,
    ) -> None:
        self.plan, self.runtime = plan, thinking(runtime, plan, iterations)
        self.calibration = calibration or Calibration()
        self.rank, self.uncertainty = plan.network.spatial_dims, uncertainty
        self.tta = tta or (uncertainty and not plan.network.members)
        self.tiling, self.work = tiling_of(plan), Work.of(plan)
        self._points: Points | None = None

    def asked(self, points: Points | None) -> Predictor:
        """The same predictor with points that each image is asked by."""
        other = copy(self)
        other._points = points
        return other

    def __call__(
        self,
        image: Any,
        *,
        where: object = "image",
        spacing: Spacing | None = None,
        points: Points | None = None,
    ) -> Prediction:
        """Predict one image, of any size and real dtype, as it was read.

        image: (H, W) or (H, W, C); (D, H, W) or (D, H, W, C) when the plan is for volumes.
        where: names the image in errors. spacing: size of the voxels in mm per axis; a volume without it
        is taken to have that of the plan. points: of a run with a prompt, places (row, column) on what is
        asked for.
        Raises UsageError for points that do not fit, DataError when it is not an image, PlanError when its
        channels do not fit the plan, ModelFileError when the network's output is not finite.
        """
        maps = self.maps(image, where=where, spacing=spacing, points=points)
        return self.work.decode(maps, self.calibration)

    def maps(
        self,
        image: Any,
        *,
        where: object = "image",
        spacing: Spacing | None = None,
        points: Points | None = None,
    ) -> Maps:
        """What the network says, before it is decoded. Raises as calling does."""
        pixels, size = _seen(image, self.plan, where, spacing)
        given = check_points(self._points if points is None else points, self.plan, size, where)
        offset, scale = affine(pixels, self.plan.input.intensity)
        prepare = partial(scaled, intensity=self.plan.input.intensity, offset=offset, scale=scale)
        if not given:  # tile by tile while the engine is at work
            return Maps(predict_tiled(self.network, pixels, self.tiling, prepare=prepare), size)
        pixels = prepare(pixels)
        factors = np.divide(pixels.shape[:-1], size)
        placed = [tuple((np.array(point) + 0.5) * factors - 0.5) for point in given]
        return Maps(followed(self.network, pixels, placed, self.tiling, self.plan.labels), size)

    def network(self, tiles: np.ndarray) -> Heads:
        """What the engine says of tiles (B, *tile, C): {head: (B, *output, K)}, the mean over their views."""
        return mean_of(self._view(tiles, axes) for axes in views_of(self.rank, self.tta))

    def _said(self, tiles: np.ndarray) -> Heads:
        """What the engine says, with the entropies of its members, or its own, only where they count."""
        heads = self.runtime(tiles)
        if not self.uncertainty:
            return {head: x for head, x in heads.items() if not head.endswith(ENTROPY)}
        own = (head for head in self.plan.network.heads if head.has_classes)
        return {one.name + ENTROPY: entropy(heads[one.name], one.activation) for one in own} | heads

    def _view(self, tiles: np.ndarray, axes: tuple[int, ...]) -> Heads:
        if not axes:
            return self._said(tiles)
        shifted = tuple(axis + 1 for axis in axes)  # after the axis of the batch
        heads = self._said(np.flip(tiles, shifted))
        return self.work.turned({h: np.flip(x, shifted) if x.ndim > 2 else x for h, x in heads.items()}, axes)


def tiling_of(plan: Plan, batch: int | None = None) -> Tiling:
    """How a plan cuts images into tiles; `batch` tiles per call, or as many as are not too large."""
    inference, network = plan.inference, plan.network
    return Tiling(
        inference.tile,
        inference.overlap,
        margin(network),
        inference.halo,
        network.total_stride[-network.spatial_dims :],
        batch or min(TILES, max(1, MOST_PIXELS // prod(inference.tile))),
    )


def network_input(
    image: Any, plan: Plan, where: object, spacing: Spacing | None = None
) -> tuple[np.ndarray, tuple[int, ...]]:
    """An image as the network sees it, (*space', C) float32, and its size as it was read.

    Raises DataError when it is not an image, PlanError when its channels do not fit the plan.
    """
    pixels, size = _seen(image, plan, where, spacing)
    return normalise(pixels, plan.input.intensity), size


def _seen(
    image: Any, plan: Plan, where: object, spacing: Spacing | None
) -> tuple[np.ndarray, tuple[int, ...]]:
    """The same before it is normalised, of any real dtype."""
    rank = plan.network.spatial_dims
    pixels = fit_channels(as_image(image, where, rank), plan.input, where)
    size = pixels.shape[:-1]
    seen = seen_size(size, plan, spacing)
    if prod(seen) > max(MOST_RESIZED, prod(size)):
        raise DataError(
            "this image would be too large at the spacing of the plan",
            where=where,
            expected=f"at most {MOST_RESIZED} pixels",
            received=" x ".join(map(str, seen)),
            fix=f"look at the spacing of the file, {spacing or 1}, and at that of plan.json, {plan.spacing}",
        )
    return pixels if seen == size else resampled(pixels, seen), size


def seen_size(size: tuple[int, ...], plan: Plan, spacing: Spacing | None = None) -> tuple[int, ...]:
    """The size at which the network sees an image of `size`, whose pixels are of `spacing`; see also
    `part_spacing`.
    """
    if plan.input.longest is not None and spacing is None:
        return size_within(size, plan.input.longest)
    return plan.input.size or size_at(size, spacing, plan.spacing)


def part_spacing(whole: tuple[int, ...], plan: Plan) -> Spacing | None:
    """What is told as the `spacing` of a part of an image of size `whole`, so that the network sees it as it
    would see the whole; None where the size of the whole does not count.
    """
    longest = plan.input.longest
    return None if longest is None else (longest / max(whole),) * len(whole)


def views_of(rank: int, tta: bool) -> list[tuple[int, ...]]:
    """Axes mirrored in the views of test-time augmentation; the first one is the image as it is, and the only
    one without.
    """
    return [axes for n in range(rank + 1 if tta else 1) for axes in combinations(range(rank), n)]


def mean_of(views: Iterable[Heads]) -> Heads:
    """The mean of what the network says of several views, head by head."""
    first, *others = views
    if not others:
        return first
    return {
        head: sum((view[head] for view in others), x) / np.float32(1 + len(others))
        for head, x in first.items()
    }


def as_image(image: Any, where: object = "image", rank: int = 2) -> np.ndarray:
    """Check that an array can be an image and return it as (*space, C), dtype unchanged.

    rank: axes of space, 2 for images and 3 for volumes. bool becomes uint8. Raises DataError for another
    number of axes, an empty axis, a dtype that is not a real number, NaN or infinity.
    """
    pixels = np.asarray(image)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if pixels.dtype.kind not in "uif":
        raise DataError(
            "this array does not hold pixels",
            where=where,
            expected="real numbers",
            received=f"dtype {pixels.dtype}",
        )
    if pixels.ndim not in (rank, rank + 1) or 0 in pixels.shape:
        sides = ", ".join(("depth", "height", "width")[-rank:])
        raise DataError(
            "this array is not an image" if rank == 2 else "this array is not a volume",
            where=where,
            expected=f"shape ({sides}) or ({sides}, channels), no axis empty",
            received=f"shape {pixels.shape}",
            fix="predict one image at a time, with a run that was trained on images with as many axes",
        )
    if count := unusable(pixels):
        raise DataError(
            "the image has pixels that are not numbers, or too large",
            where=where,
            expected="finite numbers",
            received=f"{count} pixels that are NaN or infinite, or beyond {LARGEST:g}",
            fix="replace them before predicting",
        )
    return pixels if pixels.ndim == rank + 1 else pixels[..., None]
