"""Where DICOM's slices lie: their order, what is missing between them, and the volume that they make."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reunet.errors import ImageReadError
from reunet.io.header import Doubt
from reunet.io.volume_grid import Grid

EVEN = 0.02
"""Share of the usual step by which a step from slice to slice may differ: files round their places."""

PARALLEL = 1e-3
"""By which the directions of two slices may differ, and the steps from slice to slice lead aside."""

_TO_RIGHT_FORWARDS_UP = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM counts millimetres leftwards, backwards and upwards."""


class Plane(NamedTuple):
    """Where a slice lies. place: (3,) mm of the middle of its first pixel. along: (2, 3) directions of a row
    and of a column. sides: (2,) mm from row to row and from column to column.
    """

    place: np.ndarray
    along: np.ndarray
    sides: np.ndarray

    @property
    def normal(self) -> np.ndarray:
        """Where slices follow each other to."""
        return np.cross(*self.along)


def plane_of(place: Any, directions: Any, sides: Any) -> Plane:
    """Of the values of a file. Raises ValueError, TypeError for what is not numbers."""
    along = np.array(directions, np.float64).reshape(2, 3)
    plane = Plane(np.array(place, np.float64).reshape(3), along, np.array(sides, np.float64).reshape(2))
    found = np.concatenate([plane.place, along.ravel(), plane.sides])
    if not np.isfinite(found).all() or plane.sides.min() <= 0 or abs(np.linalg.norm(plane.normal) - 1) > 0.01:
        raise ValueError(f"Image Orientation {directions}, Pixel Spacing {sides}: no place in space")
    return plane


def check_parallel(path: Path, planes: Sequence[Plane]) -> None:
    """Raise ImageReadError where slices have other directions or pixels."""
    first = planes[0]
    for plane in planes[1:]:
        if np.abs(plane.along - first.along).max() > PARALLEL:
            raise _uneven(
                path, "the slices are not parallel", "one direction", "several: more than one stack"
            )
        if not np.allclose(plane.sides, first.sides, rtol=1e-3, atol=0):
            sides = [" x ".join(f"{side:g}" for side in one.sides) for one in (first, plane)]
            raise _uneven(
                path, "the slices have pixels of different sizes", f"{sides[0]} mm", f"{sides[1]} mm"
            )


def stacked(path: Path, planes: Sequence[Plane], size: tuple[int, int]) -> tuple[list[int], Grid]:
    """The order of slices from the first one up, and the grid that they make. size: rows and columns.

    Raises ImageReadError for slices that are not parallel, lie in one place, or lack others between them.
    """
    check_parallel(path, planes)
    heights = np.array([plane.place @ planes[0].normal for plane in planes])
    order = np.argsort(heights, kind="stable").tolist()
    steps = np.diff(heights[order])
    step = float(np.median(steps)) if len(steps) else 1.0
    if len(steps) and steps.min() <= EVEN * max(step, 1e-6):
        twice = int((steps <= EVEN * max(step, 1e-6)).sum())
        received = f"{twice} of {len(planes)} slices lie where another one does"
        raise _uneven(path, "several slices lie in one place", "one slice per place", received)
    wrong = np.flatnonzero(np.abs(steps - step) > EVEN * step)
    if len(wrong):
        raise _gap(path, heights[order], steps, step, wrong)
    first, last = planes[order[0]], planes[order[-1]]
    way = (last.place - first.place) / max(len(planes) - 1, 1) if len(planes) > 1 else first.normal * step
    return order, Grid(affine_of(first, way), (len(planes), *size), _tilted(first, way))


def affine_of(first: Plane, way: np.ndarray) -> np.ndarray:
    """(4, 4) from slice, row and column to mm rightwards, forwards, upwards. way: (3,) to the next slice."""
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 3] = way, first.place
    affine[:3, 1], affine[:3, 2] = first.along[1] * first.sides[0], first.along[0] * first.sides[1]
    return _TO_RIGHT_FORWARDS_UP @ affine


def _tilted(first: Plane, way: np.ndarray) -> tuple[Doubt, ...]:
    aside = np.abs(first.along @ (way / np.linalg.norm(way))).max()
    if aside <= 10 * PARALLEL:
        return ()
    what = "each slice lies aside of the one below: the gantry was tilted"
    return (Doubt(what, "the stack as it is stored", "one at right angles", grave=False),)


def _gap(
    path: Path, heights: np.ndarray, steps: np.ndarray, step: float, wrong: np.ndarray
) -> ImageReadError:
    at = int(wrong[0])
    missing = np.rint(steps[wrong] / step) - 1
    whole = np.abs(steps[wrong] / step - np.rint(steps[wrong] / step)).max() < 0.1 and missing.min() >= 1
    places = f"between {heights[at]:g} and {heights[at + 1]:g} mm"
    if whole:
        what, received = "slices are missing", f"{int(missing.sum())} missing, the first {places}"
    else:
        what, received = "the slices are not evenly spaced", f"{steps[at]:g} mm {places}"
    return _uneven(path, what, f"steps of {step:g} mm", received)


def _uneven(path: Path, what: str, expected: str, received: str) -> ImageReadError:
    fix = "export the whole series again, one series in a folder of its own"
    return ImageReadError(what, where=path, expected=expected, received=received, fix=fix)
