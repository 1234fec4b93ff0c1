"""Boxes along with the pixels: where they are in a patch, at another size, or cut."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes

REACH = 8.0
"""Slopes of an elastic map are taken over so many pixels to both sides: the size of a small object."""

FOLDED = 4.0
"""A place whose area an elastic field changes by more than this factor is not believed."""

BARELY = 0.01
"""A box that reaches less than that into a patch, in pixels, is outside of it."""

STEPS = 6
"""Newton steps that look for a position; elastic fields are smooth, so few are needed."""


def boxes_in_patch(boxes: Boxes, coordinates: NDArray[np.float32]) -> Boxes:
    """The boxes of an image in a patch that is read along `coordinates` (h, w, 2), see `coordinate_map`.

    A turned object has another box, which its old one does not tell. It is taken to be the ellipse inscribed
    in the old box, under the linear map at its centre: exact for ellipses under affine maps, and for any
    object under mirroring, quarter turns and scaling. The box around the turned corners would be up to twice
    as large as the object.

    Boxes are kept whole, also where they reach out of the patch: a box cut by the patch would have its
    centre elsewhere than in the patch beside it. Those that do not touch the patch are dropped.
    """
    boxes = _near(boxes, coordinates)
    if not len(boxes):
        return boxes
    low, high = boxes.corners[:, :2].astype(np.float64), boxes.corners[:, 2:].astype(np.float64)
    position, to_image = _located((low + high) / 2 - 0.5, coordinates)
    half = np.linalg.inv(to_image) * ((high - low) / 2)[:, None, :]
    reach = np.sqrt((half**2).sum(axis=2))  # of the ellipse {half u, |u| <= 1} along each axis
    corners = np.concatenate([position + 0.5 - reach, position + 0.5 + reach], axis=1)
    visible = np.clip(corners, 0, np.array(coordinates.shape[:2] * 2))
    moved = replace(boxes, corners=corners.astype(np.float32))
    return moved.chosen(np.all(visible[:, 2:] - visible[:, :2] > BARELY, axis=1))


def shown(coordinates: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) bool: which pixels of a patch lie in the image of that size; the others mirror its content,
    without its boxes.
    """
    last = np.array(size, np.float32) - 0.5
    return np.all((coordinates >= -0.5) & (coordinates <= last), axis=-1)


def resized(boxes: Boxes, factors: tuple[float, float]) -> Boxes:
    """The boxes of an image whose height and width were multiplied by `factors`."""
    return replace(boxes, corners=(boxes.corners * np.array(factors * 2)).astype(np.float32))


def _near(boxes: Boxes, coordinates: NDArray[np.float32]) -> Boxes:
    """Those that can touch the patch however they are turned: a large image has many that cannot."""
    low, high = boxes.corners[:, :2], boxes.corners[:, 2:]
    room = np.linalg.norm(high - low, axis=1, keepdims=True)
    ends = [[find(coordinates[..., axis]) for axis in (0, 1)] for find in (np.min, np.max)]
    near = (high + room >= ends[0]) & (low - room <= ends[1])
    return boxes.chosen(near.all(axis=1))


def _located(
    wanted: NDArray[np.float64], coordinates: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where in the patch the image positions (n, 2) are shown, and the linear map (n, 2, 2) from the patch
    to the image there; outside the patch the map goes on as the linear one that fits best.
    """
    size = np.array(coordinates.shape[:2])
    some = [np.unique(np.linspace(0, side - 1, 16).astype(np.intp)) for side in size]
    grid = np.stack(np.meshgrid(*some, indexing="ij"), axis=-1).reshape(-1, 2)
    shows = coordinates[grid[:, 0], grid[:, 1]].astype(np.float64)
    columns = np.column_stack([grid, np.ones(len(grid))])
    fit = np.linalg.lstsq(columns, shows, rcond=None)[0]
    linear, shift = fit[:2].T, fit[2]
    position: np.ndarray = np.linalg.solve(linear, (wanted - shift).T).T
    local: np.ndarray = np.broadcast_to(linear, (len(wanted), 2, 2))
    if np.abs(columns @ fit - shows).max() < 1e-2:  # affine
        return position, local
    nearest = position
    for _ in range(STEPS):
        inside = np.clip(position, 0, size - 1)
        local = _slopes(coordinates, inside)
        missed = wanted - _read(coordinates, inside) - (position - inside) @ linear.T
        position = position + (np.linalg.pinv(local) @ missed[..., None])[..., 0]
    # Where a strong field folds the image a place has no neighbourhood; the linear map is left.
    stretch = np.linalg.det(local) / np.linalg.det(linear)
    clear = (np.abs(missed).max(axis=1) < 1) & (stretch > 1 / FOLDED) & (stretch < FOLDED)
    return np.where(clear[:, None], position, nearest), np.where(clear[:, None, None], local, linear)


def _slopes(coordinates: NDArray[np.float32], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivatives (n, 2, 2) of the coordinates by y and x."""
    size, columns = np.array(coordinates.shape[:2]), []
    for axis in (0, 1):
        step = np.eye(2)[axis] * REACH
        ends = [np.clip(position + sign * step, 0, size - 1) for sign in (-1, 1)]
        width = np.maximum((ends[1] - ends[0])[:, axis : axis + 1], 1e-6)
        columns.append((_read(coordinates, ends[1]) - _read(coordinates, ends[0])) / width)
    return np.stack(columns, axis=2)


def _read(coordinates: NDArray[np.float32], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation at patch positions (n, 2) inside the patch: (n, 2)."""
    y, x = position.astype(np.float32).T.reshape(2, -1, 1)
    return cv2.remap(coordinates, x, y, cv2.INTER_LINEAR)[:, 0].astype(np.float64)
