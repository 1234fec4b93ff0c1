"""The channels of an image against those a network reads."""

from __future__ import annotations

import numpy as np

from reunet.contracts.plan import InputSpec
from reunet.errors import PlanError


def fit_channels(image: np.ndarray, spec: InputSpec, where: object) -> np.ndarray:
    """(H, W, C) to (H, W, spec.channels), dtype unchanged.

    Grey is repeated to RGB only when the plan says so (`grey_to_rgb`); RGB becomes grey only when its
    three channels are equal. Raises PlanError otherwise.
    """
    received = image.shape[-1]
    if received == spec.channels:
        return image
    if received == 1 and spec.channels == 3 and spec.grey_to_rgb:
        return np.repeat(image, 3, axis=-1)
    if received == 3 and spec.channels == 1 and is_grey(image):
        return np.ascontiguousarray(image[..., :1])
    rgb = "give RGB images, or train on images of this kind"
    raise PlanError(
        "the image has another number of channels than the plan",
        where=where,
        expected=f"{spec.channels} channel(s)",
        received=f"{received} channel(s), shape {image.shape}",
        fix="save the image as grey" if spec.channels == 1 else rgb,
    )


def is_grey(image: np.ndarray) -> bool:
    """Whether the three channels of (H, W, 3) are equal everywhere."""
    return bool(
        np.array_equal(image[..., 0], image[..., 1], equal_nan=image.dtype.kind == "f")
        and np.array_equal(image[..., 0], image[..., 2], equal_nan=image.dtype.kind == "f")
    )
