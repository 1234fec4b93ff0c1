"""How large the pixels are that the network sees: volumes get one voxel size, large objects fewer pixels."""

from collections.abc import Iterable, Sequence

import numpy as np

from reunet.contracts.fingerprint import Fingerprint
from reunet.io.header import SAME_SIZE
from reunet.io.units import lengths
from reunet.planning.decision import Decision
from reunet.tasks import task

MOST_SHRUNK = 4
SMALLEST_SIDE = 96
"""Shorter sides of images are not shrunk below this: a U-Net needs surroundings to look at."""

ANISOTROPIC = 3.0
"""A spacing this many times the next one means thick slices."""

THICK_SLICES_PERCENTILE = 10

VARIED = 1.5
"""Photographs are of many sizes from this ratio of their longer sides on."""


def choose_spacing(fingerprint: Fingerprint, tasks: tuple[str, ...]) -> Decision[tuple[float, ...] | None]:
    """The `spacing` of the plan: of volumes in mm, of images in pixels of the file; None takes these as they
    are.
    """
    return _of_volumes(fingerprint) if fingerprint.rank == 3 else _of_images(fingerprint, tasks)


def _of_images(fingerprint: Fingerprint, tasks: tuple[str, ...]) -> Decision[tuple[float, ...] | None]:
    """Chosen by the thinnest foreground class. With half the pixels per side the network sees four times as
    many patches in the same minutes, and of each four times as much.
    """
    foreground = fingerprint.labels.foreground
    widths = [width for index, width in enumerate(fingerprint.thickness) if width and index in foreground]
    thinnest = min(widths, default=0.0)
    enough = max(task(name).pixels_across for name in tasks)
    factor = int(min(MOST_SHRUNK, thinnest // enough, min(fingerprint.median_size) // SMALLEST_SIDE))
    if factor < 2:
        return Decision(None)
    across = in_units((thinnest,), choose_micrometres(fingerprint).value)
    why = (
        f"images are made {factor} times smaller, and predictions as large as before: the thinnest class is "
        f"about {thinnest:.0f} pixels{across} across, of which {enough} show enough, and in the same "
        "minutes the network sees more images and more of each"
    )
    return Decision((float(factor),) * fingerprint.rank, {"spacing": why})


def choose_longest(fingerprint: Fingerprint, spacing: tuple[float, ...] | None) -> Decision[int | None]:
    """The `input.longest` of the plan: photographs have no size of a pixel, so where theirs are of many sizes
    each is seen as large as the median one. spacing: what would be planned if all were of one size.
    """
    longer = [max(case.size) for case in fingerprint.cases if case.split == "train"]
    measured = any(case.spacing or case.on_map for case in fingerprint.cases)
    if not fingerprint.has_many_hues or fingerprint.axis or measured or max(longer) < VARIED * min(longer):
        return Decision(None)
    longest = round(max(fingerprint.median_size) / (spacing[0] if spacing else 1))
    why = (
        f"photographs whose longer sides have {min(longer)} to {max(longer)} pixels: each is seen with "
        f"{longest}, so that things are of like sizes, and predictions as large as the image"
    )
    return Decision(longest, {"input.longest": why})


def _of_volumes(fingerprint: Fingerprint) -> Decision[tuple[float, ...]]:
    """The median of the training cases, as in nnU-Net; of thick slices the 10th percentile, but not below the
    other axes, since most volumes would otherwise have to be invented between their slices or lose some.
    """
    cases = [case for case in fingerprint.cases if case.split == "train"]
    known = np.array([case.spacing or (1.0,) * len(case.size) for case in cases])
    target, sizes = np.median(known, axis=0), np.array(fingerprint.median_size)
    coarsest = int(target.argmax())
    others = np.delete(target, coarsest)
    thick = target[coarsest] > ANISOTROPIC * others.max()
    if thick and sizes[coarsest] * ANISOTROPIC < np.delete(sizes, coarsest).min():
        percentile = float(np.percentile(known[:, coarsest], THICK_SLICES_PERCENTILE))
        target[coarsest] = max(percentile, others.max())
    spacing = tuple(float(f"{side:.6g}") for side in target)
    lowest, highest = known.min(0), known.max(0)
    alike = np.allclose(lowest, highest, rtol=1e-3)
    why = f"{times(spacing)} mm: " + (
        "the voxel size of all volumes, so nothing is resampled"
        if alike
        else f"the median of the volumes (between {times(lowest)} and {times(highest)}); each is resampled "
        "to it, and its prediction back"
    )
    return Decision(spacing, {"spacing": why})


def choose_micrometres(fingerprint: Fingerprint) -> Decision[tuple[float, ...] | None]:
    """The `micrometres` of the plan: the median of the training images that state the size of a pixel."""
    cases = [case for case in fingerprint.cases if case.split == "train"]
    known = np.array([case.spacing for case in cases if case.spacing and len(case.size) == 2])
    if not len(known):
        return Decision(None)
    usual = tuple(float(f"{side:.6g}") for side in np.median(known, axis=0))
    why = f"{lengths(*usual)} is what a pixel measures in "
    if np.allclose(known, known[0], rtol=SAME_SIZE, atol=0):
        some = f"the {len(known)} of {len(cases)} images that say it"
        why += "all images" if len(known) == len(cases) else some
    else:
        ends = f"{lengths(*known.min(0))} and {lengths(*known.max(0))}"
        why += f"the median image, between {ends}: sizes of objects in pixels differ accordingly"
    return Decision(usual, {"micrometres": why})


def in_units(pixels: Sequence[float], micrometres: Sequence[float] | None) -> str:
    """` (12 x 20 µm)` of a size in pixels, nothing where these have no size."""
    if micrometres is None:
        return ""
    sides = (float(f"{n * side:.3g}") for n, side in zip(pixels, micrometres[-len(pixels) :], strict=True))
    return f" ({lengths(*sides)})"


def times(sides: Iterable[float]) -> str:
    """Sides for people: `2 x 0.5 x 0.5`."""
    return " x ".join(f"{side:g}" for side in sides)
