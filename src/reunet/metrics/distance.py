"""Distances of pixels from the edge of a mask."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


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
