"""What is mended in a mask after it was decided: stray components and holes of a class."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Cleaning
from reunet.metrics.partitions import components


def cleaned(found: NDArray[np.uint8], labels: LabelMap, steps: Mapping[str, Cleaning]) -> NDArray[np.uint8]:
    """A mask (*space) of class indices, with the steps for each class by its name; the same where there are
    none. What is taken from a class becomes background, and holes are filled where they are background.
    """
    background = labels.background
    if not steps or background is None:
        return found
    result = found.copy()
    for name, step in steps.items():
        index = labels.names.index(name)
        inside = result == index
        kept = _kept(inside, step)
        result[inside & ~kept] = background
        if step.fill_holes:
            from scipy.ndimage import binary_fill_holes

            result[binary_fill_holes(kept) & (result == background)] = index
    return result


def _kept(inside: np.ndarray, step: Cleaning) -> np.ndarray:
    """The components of a class that stay, bool (*space)."""
    if not (step.largest_only or step.smallest > 1) or not inside.any():
        return inside
    parts = components(inside)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    stays = sizes >= step.smallest
    if step.largest_only:
        stays &= np.arange(len(sizes)) == sizes.argmax()
    stays[0] = False
    return np.asarray(stays[parts])
