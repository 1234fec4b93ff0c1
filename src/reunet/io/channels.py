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
    return convert_channels(image, spec.channels, where, grey_to_rgb=spec.grey_to_rgb)


def convert_channels(image: np.ndarray, channels: int, where: object, *, grey_to_rgb: bool) -> np.ndarray:
    """The same with plain arguments."""
    received = image.shape[-1]
    if received == channels:
        return image
    if received == 1 and channels == 3 and grey_to_rgb:
        return np.repeat(image, 3, axis=-1)
    if received == 3 and channels == 1 and is_grey(image):
        return np.ascontiguousarray(image[..., :1])
    raise PlanError(
        "the image has another number of channels than the plan",
        where=where,
        expected=f"{channels} channel(s)",
        received=f"{received} channel(s), shape {image.shape}",
        fix="save the image as grey" if channels == 1 else "give RGB images, or train on images of this kind",
    )


def is_grey(image: np.ndarray) -> bool:
    """Whether the three channels of (H, W, 3) are equal everywhere."""
    return bool(
        np.array_equal(image[..., 0], image[..., 1], equal_nan=image.dtype.kind == "f")
        and np.array_equal(image[..., 0], image[..., 2], equal_nan=image.dtype.kind == "f")
    )
