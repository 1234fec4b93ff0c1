"""Scores of the shape of masks: distances between surfaces, centre lines of thin structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.metrics.bootstrap import interval
from reunet.metrics.overlap import mean_defined
from reunet.metrics.skeleton import cl_dice, elongation, skeleton, skeleton_length
from reunet.metrics.surface import hd95, normalised_surface_distance, surface_distances

THIN = 10.0
"""Elongation from which a mask has centre lines worth scoring: a line ten times as long as wide."""

SCORES = ("hd95", "nsd", "cl_dice")
PENALISED = tuple(f"{name}_penalised" for name in SCORES)
"""The same with the worst value, the diagonal of the image or 0, where a class was missed or invented."""

NAMED = (*SCORES, *PENALISED)
LENGTHS = ("truth", "prediction")
NUMBERS = len(NAMED) + len(LENGTHS)
MOST_PIXELS = 2**25
"""Of larger images shapes are not scored: distances there take minutes and gigabytes."""

TOO_LARGE = np.inf
"""Stands for all numbers of such an image."""


@dataclass(frozen=True)
class Shapes:
    """The scores of the images of one split. names: of the classes (or regions) that count.

    images: (images, classes, NUMBERS), of each its `shape_scores`, nan for those that were too large.
    too_large: how many those are.
    """

    names: Sequence[str]
    images: NDArray[np.float64]
    too_large: int = 0

    @classmethod
    def of(cls, names: Sequence[str], images: Sequence[np.ndarray]) -> Shapes:
        """From the `shape_scores` of each; invented lines count of a class that is thin elsewhere."""
        found = np.array(images, np.float64).reshape(-1, len(names), NUMBERS)
        large = (found == TOO_LARGE).any(axis=(1, 2))
        found[large] = np.nan
        thick = np.isnan(found[..., SCORES.index("cl_dice")]).all(axis=0)
        found[:, thick, NAMED.index("cl_dice_penalised")] = np.nan
        return cls(names, found, int(large.sum()))

    def metrics(self) -> dict[str, Any]:
        """Fields of metrics.json, nan where undefined: means over images; lengths are sums over those with
        thin truth. penalised: the mean of that variant. left_out: of how many images with a class in truth or
        prediction the plain mean says nothing.
        """
        means, lengths = mean_defined(self.images, axis=0), np.nansum(self.images, axis=0)
        found: dict[str, Any] = {}
        for i, (name, left_out) in enumerate(zip(SCORES, self._left_out.sum(axis=0).T, strict=True)):
            penalised = self._named(means[:, i + len(SCORES)])
            told = {"penalised": penalised, "left_out": self._by_name(left_out)}
            found[name] = self._named(means[:, i]) | told
        thin = np.any(~np.isnan(self.images[..., -1:]), axis=0)
        cells = np.where(thin, lengths[:, -len(LENGTHS) :], np.nan).T
        found["skeleton_length"] = {
            side: self._by_name(cell) for side, cell in zip(LENGTHS, cells, strict=True)
        }
        return found

    def undefined(self) -> dict[str, int]:
        """In how many images a class that is there, or every class, lacks the score; how many were too large
        for any.
        """
        undefined = np.isnan(self.images[..., : len(SCORES)])
        lacking = self._left_out.any(axis=1) | undefined.all(axis=1)
        return {**dict(zip(SCORES, lacking.sum(axis=0).tolist(), strict=True)), "too_large": self.too_large}

    def intervals(self) -> dict[str, Any]:
        """95 % intervals of the means over classes."""
        images = self.images[..., : len(SCORES)]
        found = interval(images, lambda some: mean_defined(mean_defined(some, axis=0), axis=0))
        return dict(zip(SCORES, found.T, strict=True))

    def rows(self) -> list[dict[str, float]]:
        """Per image the means over classes, for metrics.csv."""
        means = mean_defined(self.images, axis=1)
        return [dict(zip(SCORES, row[: len(SCORES)], strict=True)) for row in means]

    @property
    def _left_out(self) -> NDArray[np.bool_]:
        """(images, classes, SCORES) where a score is undefined though the class was missed or invented."""
        plain, penalised = np.split(self.images[..., : len(NAMED)], 2, axis=-1)
        return np.isnan(plain) & ~np.isnan(penalised)

    def _by_name(self, values: np.ndarray) -> dict[str, Any]:
        return dict(zip(self.names, values, strict=True))

    def _named(self, means: NDArray[np.float64]) -> dict[str, Any]:
        return {"per_class": self._by_name(means), "mean_foreground": mean_defined(means)}


def shape_scores(
    truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...] | None, labels: LabelMap
) -> NDArray[np.float64]:
    """NAMED and LENGTHS of each class (or region) that counts in an image, (classes, NUMBERS), or nan;
    TOO_LARGE for all of an image of more than MOST_PIXELS.

    truth, prediction: (*space) uint8 class indices, IGNORE in the truth. Distances are in millimetres where
    the spacing is known, else in pixels. The tolerance of the normalised surface distance is one pixel, the
    longest side of a voxel. Centre lines are scored where the truth is thin.
    """
    found = np.full((len(labels.counted), NUMBERS), np.nan)
    if truth.ndim not in (2, 3) or truth.size > MOST_PIXELS:
        return np.full_like(found, TOO_LARGE) if truth.ndim in (2, 3) else found
    known, membership = truth != IGNORE, labels.membership
    for row, index in zip(found, labels.counted, strict=True):
        inside = np.append(membership[:, index], np.zeros(256 - len(membership), bool))
        row[:] = of_mask(inside[truth] & known, inside[prediction] & known, spacing)
    return found


def of_mask(
    truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...] | None
) -> tuple[float, ...]:
    """HD95, normalised surface distance, centre line Dice, the same penalised, true and predicted length of
    the centre lines of one mask, (*space) bool. nan where undefined: all without the mask, the plain distance
    when only one side has it, and what is of centre lines where the truth is not thin.
    """
    nan = float("nan")
    if not truth.any() and not prediction.any():
        return (nan,) * NUMBERS
    distances = surface_distances(truth, prediction, spacing)
    far, near = hd95(distances), normalised_surface_distance(distances, max(spacing or (1.0,)))
    along, lengths = nan, [nan, nan]
    if elongation(truth) >= THIN:
        lines = skeleton(truth), skeleton(prediction)
        lengths = [skeleton_length(one, spacing) for one in lines]
        along = cl_dice(truth, prediction, *lines)
    diagonal = float(np.linalg.norm(np.multiply(truth.shape, spacing or 1.0)))
    worst = diagonal if np.isnan(far) else far, near, along if truth.any() else 0.0
    return far, near, along, *worst, *lengths
