"""Boxes along with the pixels: where they are in a patch, at another size, or cut."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reunet.contracts.objects import Boxes

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
    low, high = boxes.corners[:, :2].astype(np.float64), boxes.corners[:, 2:].astype(np.float64)
    position, to_image = _located((low + high) / 2 - 0.5, coordinates)
    half = np.linalg.inv(to_image) * ((high - low) / 2)[:, None, :]
    reach = np.sqrt((half**2).sum(axis=2))  # of the ellipse {half u, |u| <= 1} along each axis
    corners = np.concatenate([position + 0.5 - reach, position + 0.5 + reach], axis=1)
    touches = (corners[:, 2:] > 0).all(axis=1) & (corners[:, :2] < coordinates.shape[:2]).all(axis=1)
    return _some(boxes, corners, touches)


def shown(coordinates: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) bool: which pixels of a patch lie in the image of that size; the others mirror its content,
    without its boxes.
    """
    return ((coordinates >= -0.5) & (coordinates <= np.array(size, np.float32) - 0.5)).all(axis=-1)


def resized(boxes: Boxes, factors: tuple[float, float]) -> Boxes:
    """The boxes of an image whose height and width were multiplied by `factors`."""
    return _some(boxes, boxes.corners * np.array(factors * 2), np.ones(len(boxes), np.bool_))


def cut(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """The boxes cut at the edges of an image of that size; those without an area in it are dropped."""
    corners = np.clip(boxes.corners, 0, np.array(size * 2))
    return _some(boxes, corners, (corners[:, 2:] > corners[:, :2]).all(axis=1))


def _near(boxes: Boxes, coordinates: NDArray[np.float32]) -> Boxes:
    """Those that can touch the patch however they are turned: a large image has many that cannot."""
    low, high = boxes.corners[:, :2], boxes.corners[:, 2:]
    room = np.linalg.norm(high - low, axis=1, keepdims=True)
    near = (high + room >= coordinates.min(axis=(0, 1))) & (low - room <= coordinates.max(axis=(0, 1)))
    return _some(boxes, boxes.corners, near.all(axis=1))


def _located(
    wanted: NDArray[np.float64], coordinates: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where in the patch the image positions (n, 2) are shown, and the linear map (n, 2, 2) from the patch
    to the image there; outside the patch the map goes on as the linear one that fits best.
    """
    size = np.array(coordinates.shape[:2])
    grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1).reshape(-1, 2)
    every = slice(None, None, max(1, len(grid) // 1000))
    known = np.column_stack([grid[every], np.ones(len(grid[every]))])
    fit = np.linalg.lstsq(known, coordinates.reshape(-1, 2)[every].astype(np.float64), rcond=None)[0]
    linear, shift = fit[:2].T, fit[2]
    position = np.linalg.solve(linear, (wanted - shift).T).T
    local = np.broadcast_to(linear, (len(wanted), 2, 2))
    if np.abs(known @ fit - coordinates.reshape(-1, 2)[every]).max() > 1e-2:  # not affine
        for _ in range(STEPS):
            inside = np.clip(position, 0, size - 1)
            here = _read(coordinates, inside) + (position - inside) @ linear.T
            local = _slopes(coordinates, inside)
            position = position + np.linalg.solve(local, (wanted - here)[..., None])[..., 0]
    return position, local


def _slopes(coordinates: NDArray[np.float32], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivatives (n, 2, 2) of the coordinates by y and x, over a few pixels."""
    size, columns = np.array(coordinates.shape[:2]), []
    for axis in (0, 1):
        step = np.eye(2)[axis] * 3.0
        ends = [np.clip(position + sign * step, 0, size - 1) for sign in (-1, 1)]
        width = np.maximum((ends[1] - ends[0])[:, axis : axis + 1], 1e-6)
        columns.append((_read(coordinates, ends[1]) - _read(coordinates, ends[0])) / width)
    return np.stack(columns, axis=2)


def _read(coordinates: NDArray[np.float32], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation at patch positions (n, 2) inside the patch: (n, 2)."""
    y, x = position.astype(np.float32).T.reshape(2, -1, 1)
    return cv2.remap(coordinates, x, y, cv2.INTER_LINEAR)[:, 0].astype(np.float64)


def _some(boxes: Boxes, corners: np.ndarray, chosen: np.ndarray) -> Boxes:
    scores = None if boxes.scores is None else boxes.scores[chosen]
    return Boxes(corners[chosen].astype(np.float32), boxes.classes[chosen], scores)
