"""How much each class of images weighs in training."""

from __future__ import annotations


def balanced_weights(counts: tuple[int, ...]) -> tuple[float, ...]:
    """Weights that let every class count the same: N / (classes n) for a class with n of N images.

    Their mean over the images is 1. A class without images has weight 0 and is not one of the `classes`.
    """
    present = sum(count > 0 for count in counts)
    return tuple(sum(counts) / (present * count) if count else 0.0 for count in counts)
