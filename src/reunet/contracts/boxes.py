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
    """

    corners: NDArray[np.float32]
    classes: NDArray[np.uint8]
    scores: NDArray[np.float32] | None = None

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

    def chosen(self, which: np.ndarray) -> Boxes:
        """Some of the boxes, by a mask or by their numbers."""
        scores = None if self.scores is None else self.scores[which]
        return Boxes(self.corners[which], self.classes[which], scores)


def no_boxes() -> Boxes:
    """None at all, with scores."""
    return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), np.zeros(0, np.float32))
