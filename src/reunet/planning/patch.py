"""How much of an image the network sees at a time."""

from math import prod

import numpy as np

from reunet.contracts.fingerprint import Fingerprint
from reunet.contracts.plan import ClipSpec
from reunet.io.units import in_micrometres
from reunet.planning.decision import Decision
from reunet.planning.resolution import choose_micrometres, in_units, times
from reunet.planning.topology import MAX_POOLINGS
from reunet.sampling.resize import size_at

PATCH_SIDE = 256
CLIP_SIDE = 160
"""A window of frames of this side costs about as much as one and a half patches of single images, and halves
evenly.
"""

MOST_VOXELS = 2**18
"""Voxels of a patch, at most (64 x 64 x 64): a CPU needs many small steps rather than few large ones."""

LONGEST, SHORTEST = 128, 32
"""Sides of images that are seen whole."""


def choose_patch(
    fingerprint: Fingerprint, spacing: tuple[float, ...] | None, clip: ClipSpec | None
) -> Decision[tuple[int, ...]]:
    """The median image as the network sees it, as far as it may be that large.

    spacing, clip: of the plan.
    """
    if fingerprint.rank == 3 and spacing is not None:
        return _of_volumes(fingerprint, spacing)
    step, size = 2**MAX_POOLINGS, fingerprint.median_size
    largest = CLIP_SIDE if clip else PATCH_SIDE
    seen = size_at(size, None, spacing)
    across = in_units(size, choose_micrometres(fingerprint).value)
    purpose = "a window of frames stays affordable" if clip else "a batch mixes many images"
    why = (
        f"the median image is {seen[0]} x {seen[1]} pixels as the network sees it{across}; patches are at "
        f"most {largest} a side, so that {purpose}, and multiples of {step}"
    )
    return Decision(tuple(min(largest, -(-side // step) * step) for side in seen), {"patch": why})


def _of_volumes(fingerprint: Fingerprint, spacing: tuple[float, ...]) -> Decision[tuple[int, ...]]:
    """The median volume, its longest side in mm shortened until MOST_VOXELS are not exceeded."""
    cases = [case for case in fingerprint.cases if case.split == "train"]
    sizes = [np.array(case.size) * (case.spacing or spacing) / spacing for case in cases]
    median = [max(1, round(side)) for side in np.median(sizes, axis=0)]
    patch = list(median)
    while prod(patch) > MOST_VOXELS:
        patch[int(np.argmax(np.array(patch) * spacing))] -= 1
    across = in_units(median, in_micrometres(spacing))
    why = (
        f"the median volume is {times(median)} voxels of {times(spacing)} mm{across}; patches have at most "
        f"{MOST_VOXELS} voxels, so that there is time for many steps, and fit the poolings"
    )
    return Decision(tuple(patch), {"patch": why})


def choose_whole(fingerprint: Fingerprint) -> Decision[tuple[int, ...]]:
    """The size that every image is brought to where networks only tell the class of an image, and see it
    whole: that of the median image, neither huge nor tiny.
    """
    step, median = 2**MAX_POOLINGS, fingerprint.median_size
    factor = min(1.0, LONGEST / max(median))
    size = tuple(max(SHORTEST, round(side * factor / step) * step) for side in median)
    why = (
        f"every image is brought to {times(size)} pixels, about the proportions of the median "
        f"image ({times(median)}), and seen whole"
    )
    return Decision(size, {"input.size": why})
