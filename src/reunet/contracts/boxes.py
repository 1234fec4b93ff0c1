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
