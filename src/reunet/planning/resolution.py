"""How large the pixels are that the network sees: images of large objects are made smaller first."""

from __future__ import annotations

from reunet.contracts.fingerprint import Fingerprint

ENOUGH_PIXELS = 20
"""Pixels across an object that tell all of its outline that a network draws."""

ENOUGH_FOR_BOXES = 10

MOST_SHRUNK = 4
SMALLEST_SIDE = 96
"""Shorter sides of images are not shrunk below this: a U-Net needs surroundings to look at."""


def choose_resolution(
    fingerprint: Fingerprint, tasks: tuple[str, ...], reasons: dict[str, str]
) -> tuple[float, ...] | None:
    """The pixels of an image file that one pixel of the network stands for, per axis; None for one each.

    Chosen by the thinnest foreground class. With half the pixels per side the network sees four times as
    many patches in the same minutes, and of each four times as much.
    """
    foreground = fingerprint.labels.foreground
    widths = [width for index, width in enumerate(fingerprint.thickness) if width and index in foreground]
    thinnest = min(widths, default=0.0)
    enough = ENOUGH_FOR_BOXES if set(tasks) <= {"detection", "classification"} else ENOUGH_PIXELS
    factor = int(min(MOST_SHRUNK, thinnest // enough, min(fingerprint.median_size) // SMALLEST_SIDE))
    if factor < 2:
        return None
    reasons["spacing"] = (
        f"images are made {factor} times smaller, and predictions as large as before: the thinnest class is "
        f"about {thinnest:.0f} pixels across, of which {enough} show enough, and in the same "
        "minutes the network sees more images and more of each"
    )
    return (float(factor),) * len(fingerprint.median_size)
