"""One coordinate map for all geometric changes of a patch, and one resampling with it.

Flip, rotation, scale, shear and elastic deformation are composed into a map from patch pixels to image
positions; the image is read once along that map. A chain of resamplings would blur at every link.
"""

from itertools import combinations

import cv2
import numpy as np

from reunet.contracts.augmentation import Augmentation
from reunet.sampling.resize import CUBIC, resize

ELASTIC_SPACING = 48
"""Distance in pixels between the control points of the elastic field."""

Spacing = tuple[float, ...]


def coordinate_map(
    size: tuple[int, ...],
    center: tuple[float, ...],
    augmentation: Augmentation | None,
    rng: np.random.Generator,
    spacing: Spacing | None = None,
) -> np.ndarray:
    """Image positions of the patch pixels: (*size, rank) float32, last axis (z,) y, x, as array indices.

    center: the image position that the middle of the patch shows, in pixels from the image's corner (the
    middle of its first pixel is 0.5); a plain crop is moved to whole pixels.
    augmentation: None for a plain crop. spacing: of the voxels of a volume, in which angles are true.
    """
    axes = [np.arange(side, dtype=np.float32) - (side - 1) / 2 for side in size]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    middle = np.array(
        [round(c) - 0.5 if side % 2 == 0 else np.floor(c) for c, side in zip(center, size, strict=True)]
    )
    if augmentation is None:
        return (grid + middle).astype(np.float32)
    if augmentation.elastic and rng.random() < augmentation.geometry_probability:
        grid += elastic_field(size, augmentation.elastic * rng.random(), rng)
    return (grid @ linear_map(augmentation, rng, len(size), spacing).T + middle).astype(np.float32)


def linear_map(
    augmentation: Augmentation, rng: np.random.Generator, rank: int = 2, spacing: Spacing | None = None
) -> np.ndarray:
    """A random composition of flip, rotation, scale and shear: (rank, rank) float64 acting on (z,) y, x.

    Rotation and shear act in every pair of axes. In a volume they are made in millimetres, with angles up
    to `tilt` in the planes that contain the axis of the coarsest spacing.
    """
    may_flip = np.array(augmentation.flips(rank))
    matrix = np.diag(np.where(may_flip & (rng.random(rank) < 0.5), -1.0, 1.0))
    if rank == 2 and may_flip.all() and augmentation.rotation >= 90 and rng.random() < 0.5:
        matrix = matrix[::-1]  # with the flips: all eight symmetries of the square
    if rng.random() < augmentation.geometry_probability:
        planes, coarsest = list(combinations(range(rank), 2)), int(np.argmax(spacing or (1.0,) * rank))
        tilted = [rank == 3 and coarsest in plane for plane in planes]
        limits = [augmentation.tilt if is_tilted else augmentation.rotation for is_tilted in tilted]
        rotation = np.eye(rank)
        for plane, limit in zip(planes, limits, strict=True):
            rotation = rotation @ plane_rotation(rank, plane, np.deg2rad(rng.uniform(-limit, limit)))
        low, high = np.log(augmentation.scale)
        factor = np.exp(rng.uniform(low, high))
        shear = np.eye(rank)
        for plane in planes:
            shear[plane] = rng.uniform(-augmentation.shear, augmentation.shear)
        turned = rotation @ shear
        if spacing is not None:
            turned = turned * np.array(spacing) / np.array(spacing)[:, None]
        matrix = turned @ matrix / factor
    return matrix


def plane_rotation(rank: int, plane: tuple[int, int], angle: float) -> np.ndarray:
    """Rotation by `angle` in radians that takes the second axis of `plane` towards minus the first."""
    first, second = plane
    matrix = np.eye(rank)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def elastic_field(size: tuple[int, ...], amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random displacement: (*size, rank) float32 in pixels, standard deviation `amplitude`.

    Random vectors on a coarse grid, interpolated (as Ronneberger et al. 2015, section 3.1).
    """
    points = [side // ELASTIC_SPACING + 3 for side in size]
    coarse = rng.standard_normal((*points, len(size))).astype(np.float32) * np.float32(amplitude)
    return resize(coarse, size, CUBIC)


def resample(array: np.ndarray, coordinates: np.ndarray, *, nearest: bool = False) -> np.ndarray:
    """Read `array` (*space) or (*space, C) along `coordinates` (*size, rank); mirrored beyond the edge.

    nearest: for labels. Otherwise linear, and the result is float32.
    """
    rank = coordinates.shape[-1]
    needed = tuple(_needed(coordinates[..., axis], array.shape[axis]) for axis in range(rank))
    block = np.ascontiguousarray(array[needed])
    if not nearest:
        block = block.astype(np.float32, copy=False)
    if rank == 3:
        return _read_volume(block, coordinates - [part.start for part in needed], nearest=nearest)
    rows, columns = needed
    result = cv2.remap(
        block,
        coordinates[..., 1] - np.float32(columns.start),
        coordinates[..., 0] - np.float32(rows.start),
        cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return result if array.ndim == 2 else result.reshape(*coordinates.shape[:2], array.shape[2])


def _read_volume(volume: np.ndarray, coordinates: np.ndarray, *, nearest: bool) -> np.ndarray:
    from scipy import ndimage

    positions, order = np.moveaxis(coordinates, -1, 0), 0 if nearest else 1
    if volume.ndim == 3:
        return ndimage.map_coordinates(volume, positions, order=order, mode="mirror")
    channels = [_read_volume(one, coordinates, nearest=nearest) for one in np.moveaxis(volume, -1, 0)]
    return np.stack(channels, axis=-1)


def _needed(positions: np.ndarray, length: int) -> slice:
    """The part of an axis that the positions, and their mirror images at the edges, can touch."""
    low, high = int(np.floor(positions.min())) - 1, int(np.ceil(positions.max())) + 2
    mirrored_low, mirrored_high = low, high
    if low < 0:
        mirrored_high = max(high, -low + 2)
    if high > length:
        mirrored_low = min(low, 2 * length - high - 2)
    return slice(max(mirrored_low, 0), min(mirrored_high, length))
