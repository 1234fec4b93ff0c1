"""Distances between the surfaces of two masks, in an image or a volume, in the units of the spacing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Distances = tuple[NDArray[np.float64], NDArray[np.float64]]


def surface_distances(
    truth: np.ndarray, prediction: np.ndarray, spacing: Sequence[float] | None = None
) -> Distances:
    """Distances of each surface pixel of one mask from the surface of the other.

    The surface of a mask are its pixels with a neighbour along an axis that is outside of it, beyond the edge
    of the image included; distances are between centres of pixels.

    Parameters
    ----------
    truth, prediction: (*space) bool.
    spacing: size of a pixel along each axis, such as millimetres; None for 1.

    Returns the distances from the true surface to the predicted one and the other way, 1-D float64; inf where
    the other mask is empty. Raises ValueError for another shape or number of axes.
    """
    spacing = (1.0,) * truth.ndim if spacing is None else tuple(spacing)
    if truth.shape != prediction.shape or len(spacing) != truth.ndim:
        raise ValueError(f"shapes {truth.shape} and {prediction.shape} with the spacing {spacing}")
    from scipy import ndimage

    box = _bounds(truth | prediction)  # no distance is longer than that
    masks = truth[box].astype(bool), prediction[box].astype(bool)
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in masks]
    fields = [
        ndimage.distance_transform_edt(~s, sampling=spacing) if s.any() else np.full(s.shape, np.inf)
        for s in surfaces
    ]
    return fields[1][surfaces[0]], fields[0][surfaces[1]]


def hd95(distances: Distances) -> float:
    """95th percentile of the Hausdorff distance: the larger of the percentiles of both directions.

    distances: of `surface_distances`. nan when one of the masks is empty: there is no distance to nothing.
    """
    if not all(len(d) for d in distances):
        return float("nan")
    return float(max(np.percentile(d, 95) for d in distances))


def normalised_surface_distance(distances: Distances, tolerance: float) -> float:
    """Share of both surfaces that lies within the tolerance of the other (Nikolov et al. 2018), 1 is perfect.

    Also known as surface Dice. distances: of `surface_distances`; tolerance: in the units of the spacing. nan
    without any surface, 0 when one of the masks is empty.
    """
    both = np.concatenate(distances)
    return float((both <= tolerance).mean()) if both.size else float("nan")


def _bounds(mask: np.ndarray) -> tuple[slice, ...]:
    """The box around all true pixels."""
    used = [np.flatnonzero(mask.any(axis=tuple(set(range(mask.ndim)) - {axis}))) for axis in range(mask.ndim)]
    return tuple(slice(u[0], u[-1] + 1) if u.size else slice(0, 0) for u in used)
