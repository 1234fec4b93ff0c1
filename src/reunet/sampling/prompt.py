"""Dots that ask for one thing in an image: how they are drawn from the truth, and how a network sees them."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Plan
from reunet.contracts.truth import Truth
from reunet.errors import UsageError

RADIUS = 3.0
"""Pixels, as the network sees them, over which a dot fades from 1 to 0."""

MOST_DOTS = 3
"""In training, one to so many on a thing."""

Points = Sequence[Sequence[float]]
"""Places (row, column), or (plane, row, column) of volumes, in pixels from 0."""


def dots(points: Points, size: tuple[int, ...]) -> np.ndarray:
    """The channel that shows points to a network, (*size, 1) float32 in 0..1."""
    found = np.zeros(size, np.float32)
    for point in points:
        corner = [max(0, int(place - RADIUS)) for place in point]
        part = tuple(slice(low, int(place + RADIUS) + 2) for low, place in zip(corner, point, strict=True))
        grid = np.indices(found[part].shape, np.float32)
        away = sum((axis + low - place) ** 2 for axis, low, place in zip(grid, corner, point, strict=True))
        found[part] = np.maximum(found[part], 1 - np.sqrt(away) / RADIUS)
    return found[..., None]


def draw(truth: Truth, labels: LabelMap, rng: np.random.Generator) -> tuple[Truth, Points]:
    """Dots on one thing, and the truth without all others.

    A thing is one of the objects of `truth`, or else a connected part of a foreground class. Where there is
    none the dot lies anywhere, and belongs to nothing.
    """
    if truth.labels is None:
        return truth, ()
    things = truth.objects if truth.objects is not None else _parts(truth.labels, labels)
    is_thing = np.isin(truth.labels, labels.foreground) & (things > 0)
    present = np.unique(things[is_thing])
    wanted = things == present[rng.integers(len(present))] if len(present) else np.zeros_like(is_thing)
    places = np.argwhere(wanted & is_thing) if len(present) else np.argwhere(~is_thing)
    chosen = places[rng.integers(len(places), size=rng.integers(1, MOST_DOTS + 1))] if len(places) else ()
    others = is_thing & ~wanted
    kept = np.where(others, np.uint8(labels.background or 0), truth.labels)
    return replace(truth, labels=kept), [tuple(map(float, place)) for place in chosen]


def asked(truth: Truth, plan: Plan, name: str) -> tuple[Truth, Points | None]:
    """What a network that is asked by points is asked of a held-out image, always the same, and what is to be
    found; of other networks the truth as it is.
    """
    if plan.prompt is None:
        return truth, None
    return draw(truth, plan.labels, np.random.default_rng((plan.seed, 7, zlib.crc32(name.encode()))))


def check_points(points: Any, plan: Plan, size: tuple[int, ...], where: object) -> Points:
    """The points that a network is asked by, of an image of `size`; none for a network that takes none.

    Raises UsageError for points that it does not take, for none, and for one that is outside of the image.
    """
    given = [] if points is None else list(points)
    axes = "row, column" if len(size) == 2 else "plane, row, column"
    if plan.prompt is None:
        if given:
            raise UsageError(
                "this run takes no points: it finds all that there is",
                where="--points",
                received=f"{len(given)} point(s)",
                fix="leave --points out, or train with --prompt points",
            )
        return []
    if not given:
        raise UsageError(
            "this run finds what points belong to, and was given none",
            where="--points",
            expected=f"at least one place ({axes}) in {where}",
            fix="reunet predict RUN IMAGE --points 120,34, or in Python model(image, points=[(120, 34)])",
        )
    return [_checked(point, size, axes, where) for point in given]


def _checked(point: Any, size: tuple[int, ...], axes: str, where: object) -> tuple[float, ...]:
    try:
        place = tuple(float(value) for value in point)
    except (TypeError, ValueError):
        place = ()
    inside = len(place) == len(size) and all(
        isfinite(at) and -0.5 <= at < side - 0.5 for at, side in zip(place, size, strict=True)
    )
    if not inside:
        last = ", ".join(f"0 to {side - 1}" for side in size)
        raise UsageError(
            "this point does not lie in the image",
            where=f"--points for {where}",
            expected=f"{axes}: {last}",
            received=f"{point!r}"[:80],
        )
    return place


def _parts(classes: np.ndarray, labels: LabelMap) -> np.ndarray:
    """(*space) int32: a number for each connected part of each foreground class, 0 elsewhere."""
    from scipy import ndimage

    found = np.zeros(classes.shape, np.int32)
    for index in labels.foreground:
        mask = classes == index
        parts, _ = ndimage.label(mask, np.ones((3,) * classes.ndim))
        found[mask] = parts[mask] + found.max()
    return found
