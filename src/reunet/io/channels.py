"""The channels of an image: those that are chosen by name, and those a network reads."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reunet.contracts.plan import InputSpec
from reunet.errors import ImageReadError, PlanError, UsageError
from reunet.io.header import ImageHeader


def listed_channels(told: str) -> tuple[str, ...]:
    """The channels of an option, such as "DAPI,GFP". Raises UsageError for none, and for one named twice."""
    names = tuple(name.strip() for name in told.split(","))
    if not all(names) or len({name.casefold() for name in names}) < len(names):
        raise UsageError(
            "the channels are not understood",
            where="--channels",
            expected="names or numbers, each once, separated by commas, such as DAPI,GFP or 1,3",
            received=told,
        )
    return names


def chosen_channels(
    header: ImageHeader, wanted: Sequence[str], where: object
) -> tuple[ImageHeader, slice | list[int]]:
    """The header of an image of which only some channels are read, and their places; all without `wanted`.

    wanted: names as the file tells them, in capitals or not, or numbers from 1. A file without names that has
    as many channels as are wanted holds these. Raises ImageReadError for what the image does not have.
    """
    if not wanted:
        return header, slice(None)
    told = [name.casefold() for name in header.channel_names]
    numbers = {str(number + 1): number for number in range(header.channels)}
    places = [told.index(name.casefold()) if told.count(name.casefold()) == 1 else numbers.get(name)
              for name in wanted]  # fmt: skip
    found = [place for place in places if place is not None]
    if len(found) < len(wanted):
        if not told and header.channels == len(wanted) and not found:
            return replace(header, channel_names=tuple(wanted)), slice(None)
        missing = ", ".join(name for name, place in zip(wanted, places, strict=True) if place is None)
        has = ", ".join(header.channel_names) or "the file does not name them"
        raise ImageReadError(
            f"the image has no channel {missing}",
            where=where,
            expected=f"channels {', '.join(wanted)}",
            received=f"{header.channels} channel(s): {has}",
            fix="name channels as the files do, or by number from 1: --channels 1,2",
        )
    names = tuple(header.channel_names[place] for place in found) if told else tuple(wanted)
    return replace(header, channels=len(found), channel_names=names), found


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
