"""One coordinate map for all geometric changes of a patch, and one resampling with it.

Flip, rotation, scale, shear and elastic deformation are composed into a map from patch pixels to image
positions; the image is read once along that map. A chain of resamplings would blur at every link.
"""

from __future__ import annotations

import cv2
import numpy as np

from reunet.contracts.plan import Augmentation

ELASTIC_SPACING = 48
"""Distance in pixels between the control points of the elastic field."""


def coordinate_map(
    size: tuple[int, int],
    center: tuple[float, float],
    augmentation: Augmentation | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Image positions of the patch pixels: (h, w, 2) float32, last axis (y, x), as array indices.

    center: the image position that the middle of the patch shows, in pixels from the image's corner (the
    middle of its first pixel is 0.5); a plain crop is moved to whole pixels.
    augmentation: None for a plain crop.
    """
    rows = np.arange(size[0], dtype=np.float32) - (size[0] - 1) / 2
    columns = np.arange(size[1], dtype=np.float32) - (size[1] - 1) / 2
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    middle = np.array(
        [round(c) - 0.5 if side % 2 == 0 else np.floor(c) for c, side in zip(center, size, strict=True)]
    )
    if augmentation is None:
        return (grid + middle).astype(np.float32)
    if augmentation.elastic and rng.random() < augmentation.geometry_probability:
        grid += elastic_field(size, augmentation.elastic * rng.random(), rng)
    return (grid @ linear_map(augmentation, rng).T + middle).astype(np.float32)


def linear_map(augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """A random composition of flip, rotation, scale and shear: (2, 2) float64 acting on (y, x)."""
    matrix = np.eye(2)
    may_flip = np.array([augmentation.flip_vertical, augmentation.flip_horizontal])
    matrix = np.diag(np.where(may_flip & (rng.random(2) < 0.5), -1.0, 1.0)) @ matrix
    if may_flip.all() and augmentation.rotation >= 90 and rng.random() < 0.5:
        matrix = matrix[::-1]  # with the flips: all eight symmetries of the square
    if rng.random() < augmentation.geometry_probability:
        angle = np.deg2rad(rng.uniform(-augmentation.rotation, augmentation.rotation))
        low, high = np.log(augmentation.scale)
        factor = np.exp(rng.uniform(low, high))
        shear = rng.uniform(-augmentation.shear, augmentation.shear)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = rotation @ np.array([[1.0, shear], [0.0, 1.0]]) @ matrix / factor
    return matrix


def elastic_field(size: tuple[int, int], amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random displacement: (h, w, 2) float32 in pixels, standard deviation `amplitude`.

    Random vectors on a coarse grid, interpolated (as Ronneberger et al. 2015, section 3.1).
    """
    points = [side // ELASTIC_SPACING + 3 for side in size]
    coarse = rng.standard_normal((*points, 2)).astype(np.float32) * np.float32(amplitude)
    return cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


def resample(array: np.ndarray, coordinates: np.ndarray, *, nearest: bool = False) -> np.ndarray:
    """Read `array` (H, W) or (H, W, C) along `coordinates` (h, w, 2); beyond the edge it is mirrored.

    nearest: for labels. Otherwise linear, and the result is float32.
    """
    y, x = coordinates[..., 0], coordinates[..., 1]
    rows, columns = _needed(y, array.shape[0]), _needed(x, array.shape[1])
    block = np.ascontiguousarray(array[rows, columns])
    if not nearest:
        block = block.astype(np.float32, copy=False)
    result = cv2.remap(
        block,
        x - np.float32(columns.start),
        y - np.float32(rows.start),
        cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return result if array.ndim == 2 else result.reshape(*coordinates.shape[:2], array.shape[2])


def _needed(positions: np.ndarray, length: int) -> slice:
    """The part of an axis that the positions, and their mirror images at the edges, can touch."""
    low, high = int(np.floor(positions.min())) - 1, int(np.ceil(positions.max())) + 2
    mirrored_low, mirrored_high = low, high
    if low < 0:
        mirrored_high = max(high, -low + 2)
    if high > length:
        mirrored_low = min(low, 2 * length - high - 2)
    return slice(max(mirrored_low, 0), min(mirrored_high, length))
