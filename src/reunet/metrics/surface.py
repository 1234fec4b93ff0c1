"""Distances between the surfaces of two masks, in an image or a volume, in the units of the spacing."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""Relative: distances are roots of sums of squares, which may be off in the last digits."""


def distance_to_outside(mask: np.ndarray, spacing: Sequence[float] | None = None) -> np.ndarray:
    """How far the middle of each pixel is from that of the nearest one outside of the mask, 0 outside.

    mask: (H, W) or (D, H, W) bool, with a pixel outside. spacing: size of a pixel along each axis, None
    for 1. Returns (*space) float64 in units of the spacing.
    """
    spacing = (1.0,) * mask.ndim if spacing is None else spacing
    if mask.ndim == 2 and spacing[0] == spacing[1]:  # much faster than SciPy's
        distance = cv2.distanceTransform(
            np.ascontiguousarray(mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        # Its square root differs in the last bit from call to call, and is not as exact as the spacing.
        return np.asarray(np.sqrt(np.rint(np.square(distance.astype(np.float64)))) * spacing[0])
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(mask, sampling=spacing))


@dataclass(frozen=True)
class SurfaceDistances:
    """How far each element of one surface is from the nearest one of the other.

    truth: (2, n) distances of the elements of the true surface from the predicted one, and their areas
    (lengths in an image). prediction: (2, m) the other way. inf where the other surface is empty.
    """

    truth: Floats
    prediction: Floats


def surface_distances(
    truth: np.ndarray, prediction: np.ndarray, spacing: Sequence[float] | None = None
) -> SurfaceDistances:
    """Distances between two surfaces, element by element (Nikolov et al. 2018, arXiv:1809.04430).

    The elements lie between the pixels, where the 4 (in a volume 8) around them are not all on the same side;
    beyond the edge of the image is outside. The area of an element is that of marching squares or cubes.

    Parameters
    ----------
    truth, prediction: (H, W) or (D, H, W) bool.
    spacing: size of a pixel along each axis, such as millimetres; None for 1.

    Raises ValueError for another shape or number of axes.
    """
    from scipy import ndimage

    spacing = (1.0,) * truth.ndim if spacing is None else tuple(map(float, spacing))
    if truth.shape != prediction.shape or len(spacing) != truth.ndim or truth.ndim not in (2, 3):
        raise ValueError(f"shapes {truth.shape} and {prediction.shape} with the spacing {spacing}")
    any_of_both = ((truth != 0) | (prediction != 0)).astype(np.uint8)
    box = (ndimage.find_objects(any_of_both) or [()])[0]  # no distance is longer than that
    codes = [_codes(mask[box] != 0) for mask in (truth, prediction)]
    areas = [_areas(spacing)[code] for code in codes]
    surfaces = [(code > 0) & (code < len(_areas(spacing)) - 1) for code in codes]
    fields = [distance_to_outside(~s, spacing) if s.any() else np.full(s.shape, np.inf) for s in surfaces]
    sides = [np.stack([fields[1 - k][surfaces[k]].astype(np.float64), areas[k][surfaces[k]]]) for k in (0, 1)]
    return SurfaceDistances(*sides)


def hd95(distances: SurfaceDistances) -> float:
    """95th percentile of the Hausdorff distance: the larger of the percentiles of both directions.

    A percentile is the distance within which 95 % of the area lies. nan when one of the masks is empty: there
    is no distance to nothing.
    """
    ends = []
    for far, area in (distances.truth, distances.prediction):
        if not far.size or np.isinf(far[0]):
            return float("nan")
        order = np.argsort(far)
        reached = np.cumsum(area[order])
        ends.append(far[order][np.searchsorted(reached, 0.95 * reached[-1])])
    return float(max(ends))


def normalised_surface_distance(distances: SurfaceDistances, tolerance: float) -> float:
    """Share of the area of both surfaces within the tolerance of the other one, also known as surface Dice.

    1 is perfect. tolerance: in the units of the spacing; a distance equal to it but for rounding is within.
    nan without any surface, 0 when one of the masks is empty.
    """
    far, area = np.concatenate([distances.truth, distances.prediction], axis=1)
    near = far <= tolerance * (1 + ROUNDING)
    return float(area[near].sum() / area.sum()) if area.size else float("nan")


def _codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Which of the 2 ** axes pixels around each point between pixels are inside, a bit for each."""
    padded = np.pad(mask, 1)
    codes = np.zeros([size + 1 for size in mask.shape], np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=mask.ndim)):
        part = padded[tuple(slice(c, c + size + 1) for c, size in zip(corner, mask.shape, strict=True))]
        codes |= part.astype(np.uint8) << bit
    return codes


@lru_cache(maxsize=64)
def _areas(spacing: tuple[float, ...]) -> Floats:
    """Area of the surface between the pixels of each code, from one cell of marching squares or cubes."""
    from skimage.measure import find_contours, marching_cubes, mesh_surface_area

    axes = len(spacing)
    corners = 1 << axes
    areas = np.zeros(1 << corners)
    for code in range(1, len(areas) - 1):
        cell = np.array([code >> bit & 1 for bit in range(corners)], np.float32).reshape((2,) * axes)
        if axes == 3:
            vertices, faces, _, _ = marching_cubes(cell, 0.5, spacing=spacing)
            areas[code] = mesh_surface_area(vertices, faces)
        else:
            lines = [np.diff(line * spacing, axis=0) for line in find_contours(cell, 0.5)]
            areas[code] = sum(np.linalg.norm(line, axis=1).sum() for line in lines)
    return areas
