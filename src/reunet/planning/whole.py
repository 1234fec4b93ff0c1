"""The rules for networks that only tell the class of an image: they see it whole, at one size."""

from __future__ import annotations

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.plan import Augmentation

LONGEST, SHORTEST = 128, 32


def choose_size(fingerprint: Fingerprint, step: int, reasons: dict[str, str]) -> tuple[int, ...]:
    """The size that every image is brought to: that of the median image, neither huge nor tiny."""
    median = fingerprint.median_size
    factor = min(1.0, LONGEST / max(median))
    size = tuple(max(SHORTEST, round(side * factor / step) * step) for side in median)
    reasons["input.size"] = (
        f"every image is brought to {' x '.join(map(str, size))} pixels, about the proportions of the median "
        f"image ({' x '.join(map(str, median))}), and seen whole"
    )
    return size


def choose_whole_augmentation(reasons: dict[str, str]) -> Augmentation:
    """Changes that leave what an image shows alone, whatever that is."""
    reasons["augmentation"] = (
        "mirrored left to right, turned and scaled a little: what is up may tell the class"
    )
    return Augmentation(
        flip_vertical=False, rotation=10.0, scale=(0.85, 1.15), shear=0.05, geometry_probability=0.8
    )
