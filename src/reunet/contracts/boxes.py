"""Objects in an image, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Boxes:
    """Axis-aligned boxes of one image.

    corners: (n, 4) float32 y0, x0, y1, x1 in pixels, edges: the box of the single pixel (0, 0) is 0, 0, 1, 1.
    classes: (n,) uint8 indices into the dataset's classes. scores: (n,) float32 in 0..1, None for a truth.
    is_rated: whether the scores are confidences, fitted probabilities that a box is right at an IoU of 0.5.
    """

    corners: NDArray[np.float32]
    classes: NDArray[np.uint8]
    scores: NDArray[np.float32] | None = None
    is_rated: bool = False

    def __len__(self) -> int:
        return len(self.corners)

    @property
    def sureness(self) -> NDArray[np.float64]:
        """The scores, 1 where there are none: (n,)."""
        return np.ones(len(self)) if self.scores is None else self.scores.astype(np.float64)

    @property
    def areas(self) -> NDArray[np.float64]:
        """Height times width, in pixels: (n,)."""
        return (self.corners[:, 2:].astype(np.float64) - self.corners[:, :2]).prod(axis=1)

    def share_in(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The part of each box's area where `mask` (H, W) is True: (n,) in 0..1; beyond the mask is False."""
        sums = np.zeros([side + 1 for side in mask.shape], np.int32)  # of what is above and left of a corner
        np.cumsum(np.cumsum(mask, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
        y0, x0, y1, x1 = np.clip(self.corners.astype(np.float64), 0, mask.shape * 2).T
        inside = _between(sums, y1, x1) - _between(sums, y0, x1) - _between(sums, y1, x0)
        return (inside + _between(sums, y0, x0)) / np.maximum(self.areas, np.finfo(np.float64).tiny)

    def fill(self, mask: NDArray[np.bool_], *, value: bool) -> None:
        """Set the pixels of `mask` (H, W) that the boxes touch."""
        ends = np.concatenate([np.floor(self.corners[:, :2]), np.ceil(self.corners[:, 2:])], axis=1)
        for y0, x0, y1, x1 in np.maximum(ends, 0).astype(int).tolist():
            mask[y0:y1, x0:x1] = value

    def chosen(self, which: np.ndarray) -> Boxes:
        """Some of the boxes, by a mask or by their numbers."""
        scores = None if self.scores is None else self.scores[which]
        return Boxes(self.corners[which], self.classes[which], scores, self.is_rated)


def no_boxes() -> Boxes:
    """None at all, with scores."""
    return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.float32))


def _between(sums: np.ndarray, y: np.ndarray, x: np.ndarray) -> NDArray[np.float64]:
    """`sums` (H + 1, W + 1) at positions between its entries, linear along both axes: (n,)."""
    ends = zip((y, x), sums.shape, strict=True)
    top, left = (np.minimum(np.floor(place).astype(np.intp), n - 2) for place, n in ends)
    down, along = y - top, x - left
    rows = [sums[at, left] * (1 - along) + sums[at, left + 1] * along for at in (top, top + 1)]
    return np.asarray(rows[0] * (1 - down) + rows[1] * down)
