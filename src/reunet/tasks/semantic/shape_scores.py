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
LENGTHS = ("truth", "prediction")
NUMBERS = len(SCORES) + len(LENGTHS)
MOST_PIXELS = 2**25
"""Of larger images shapes are not scored: distances there take minutes and gigabytes."""


@dataclass(frozen=True)
class Shapes:
    """The scores of the images of one split. names: of the classes (or regions) that count.

    images: (images, classes, NUMBERS), of each its `shape_scores`.
    """

    names: Sequence[str]
    images: NDArray[np.float64]

    def metrics(self) -> dict[str, Any]:
        """Fields of metrics.json, nan where undefined: means over images; lengths are sums over those with
        thin truth.
        """
        means, lengths = mean_defined(self.images, axis=0), np.nansum(self.images, axis=0)
        found: dict[str, Any] = {name: self._named(means[:, i]) for i, name in enumerate(SCORES)}
        thin = np.any(~np.isnan(self.images[..., -1:]), axis=0)
        cells = np.where(thin, lengths[:, -len(LENGTHS) :], np.nan).T
        found["skeleton_length"] = {
            side: dict(zip(self.names, cell, strict=True)) for side, cell in zip(LENGTHS, cells, strict=True)
        }
        return found

    def undefined(self) -> dict[str, int]:
        """In how many images no class has the score."""
        missing = np.isnan(self.images).all(axis=1).sum(axis=0)
        return {name: int(missing[i]) for i, name in enumerate(SCORES)}

    def intervals(self) -> dict[str, Any]:
        """95 % intervals of the means over classes."""
        images = self.images[..., : len(SCORES)]
        found = interval(images, lambda some: mean_defined(mean_defined(some, axis=0), axis=0))
        return dict(zip(SCORES, found.T, strict=True))

    def rows(self) -> list[dict[str, float]]:
        """Per image the means over classes, for metrics.csv."""
        means = mean_defined(self.images, axis=1)
        return [dict(zip(SCORES, row[: len(SCORES)], strict=True)) for row in means]

    def _named(self, means: NDArray[np.float64]) -> dict[str, Any]:
        by_name = dict(zip(self.names, means, strict=True))
        return {"per_class": by_name, "mean_foreground": mean_defined(means)}


def shape_scores(
    truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...] | None, labels: LabelMap
) -> NDArray[np.float64]:
    """SCORES and LENGTHS of each class (or region) that counts in an image, (classes, NUMBERS), or nan.

    truth, prediction: (*space) uint8 class indices, IGNORE in the truth. Distances are in millimetres where
    the spacing is known, else in pixels. The tolerance of the normalised surface distance is one pixel, the
    longest side of a voxel. Centre lines are scored where the truth is thin.
    """
    found = np.full((len(labels.counted), NUMBERS), np.nan)
    if truth.ndim not in (2, 3) or truth.size > MOST_PIXELS:
        return found
    known, membership = truth != IGNORE, labels.membership
    for row, index in zip(found, labels.counted, strict=True):
        inside = np.append(membership[:, index], np.zeros(256 - len(membership), bool))
        row[:] = of_mask(inside[truth] & known, inside[prediction] & known, spacing)
    return found


def of_mask(
    truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...] | None
) -> tuple[float, float, float, float, float]:
    """HD95, normalised surface distance, centre line Dice, true and predicted length of the centre lines of
    one mask, (*space) bool; nan where undefined, the last three where the truth is not thin.
    """
    nan = float("nan")
    if not truth.any() and not prediction.any():
        return nan, nan, nan, nan, nan
    distances = surface_distances(truth, prediction, spacing)
    near = normalised_surface_distance(distances, max(spacing or (1.0,)))
    if elongation(truth) < THIN:
        return hd95(distances), near, nan, nan, nan
    lines = skeleton(truth), skeleton(prediction)
    lengths = [skeleton_length(one, spacing) for one in lines]
    return hd95(distances), near, cl_dice(truth, prediction, *lines), lengths[0], lengths[1]
