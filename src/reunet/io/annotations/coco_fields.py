"""What single fields of COCO JSON hold, as programs of all kinds write them; else LabelError is raised."""

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any, TypeGuard

import numpy as np

from reunet.errors import LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.crossings import ring_groups
from reunet.io.annotations.rle import check_runs, decompress_runs, union_runs
from reunet.io.header import MAX_PIXELS

_FARTHEST = 1e7  # pixels: no polygon of an image reaches as far
_WIDEST = 1e6  # degrees: nothing is turned as far

Id = int | str


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: Any) -> int | None:
    """A whole number, also one that is written as 3.0 or "3"; None for anything else."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return int(value)
    return int(value) if is_number(value) and abs(value) < 1e300 and value == int(value) else None


def identity(value: Any) -> Id | None:
    """An id, which is a whole number or, as some programs have it, a text; None for anything else."""
    number = whole(value)
    return value if number is None and isinstance(value, str) and value else number


def image_size(entry: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width of an image, None where they are not told: missing, null or 0."""
    told = entry.get("height"), entry.get("width")
    if all(side in (None, 0, "", "0") for side in told):
        return None
    height, width = map(whole, told)
    if height is None or width is None or min(height, width) < 1 or height * width > MAX_PIXELS:
        expected = f"whole numbers above 0, at most {MAX_PIXELS:,} pixels"
        received = f"{str(told[0])[:20]}, {str(told[1])[:20]}"
        raise LabelError("its height and width cannot be used", expected=expected, received=received)
    return height, width


def is_unknown(entry: Mapping[str, Any]) -> bool:
    """Whether an annotation is an area in which objects are not told one by one, or not asked for: `iscrowd`,
    or `ignore` as sets of pedestrians and faces have it. 0 and 1, as numbers, as texts, as false and true,
    null for 0.
    """
    return _flag(entry, "iscrowd") or _flag(entry, "ignore")


def _flag(entry: Mapping[str, Any], name: str) -> bool:
    value = entry.get(name)
    if value is None or value in (0, 1):
        return bool(value)
    if whole(value) not in (0, 1):
        raise LabelError(f"{name} is neither 0 nor 1", expected="0 or 1", received=value)
    return whole(value) == 1


def corners_of(box: Any) -> tuple[float, float, float, float] | None:
    """y0, x0, y1, x1 of a box, None without one."""
    if box is None or box == []:
        return None
    numbers = _numbers(box, "the box").tolist()
    if len(numbers) != 4:
        raise LabelError("the box has not four numbers", expected="x, y, width, height", received=box)
    x, y, width, height = numbers
    return y, x, y + height, x + width


def score_of(value: Any) -> float | None:
    """A score, None without one."""
    if value is None:
        return None
    if not is_number(value) or not 0 <= value <= 1:
        raise LabelError("the score cannot be used", expected="a number in 0..1", received=value)
    return float(value)


def angle_of(told: Any, unit: float = 1.0) -> float:
    """The degrees of an angle that is a number or a text, 0 where it is not told. unit: how many degrees one
    of what it counts has. Raises LabelError for what is no number, not finite, or beyond 1e6 degrees.
    """
    if told is None or told == "":
        return 0.0
    try:
        angle = float(told) * unit
    except (OverflowError, TypeError, ValueError):
        angle = math.nan
    if not abs(angle) <= _WIDEST:  # true for NaN, too
        expected, received = f"a number, at most {_WIDEST:,.0f} degrees", str(told)[:40]
        raise LabelError(
            "its angle cannot be used", expected=expected, received=received, fix="draw it again"
        )
    return angle


def shape_of(told: Any, size: tuple[int, int]) -> tuple[Shape | None, list[int]]:
    """The pixels of an object in an image of `size`, None where not told; the points of polygons of too few.

    Run lengths may be in a list; polygons may be a list of numbers or of points, in any number of lists. All
    that lies in one of the polygons belongs to the object, as COCO's tools take it: none is a hole.
    """
    if not told:
        return None, []
    parts = told if isinstance(told, list) else [told]
    if all(isinstance(part, dict) for part in parts):
        return Shape(runs=union_runs([_runs(part, size) for part in parts], size)), []
    if not isinstance(told, list):
        raise LabelError("the segmentation cannot be read", expected="polygons or run lengths", received=told)
    rings = [ring_of(ring) for ring in _polygons(told)]
    usable = [ring for ring in rings if len(ring) >= 3]
    groups = [group for group, _ in ring_groups(usable)] if len(usable) > 1 else [[0]] * len(usable)
    shape = Shape(tuple(tuple(usable[i] for i in group) for group in groups)) if groups else None
    return shape, [len(ring) for ring in rings if len(ring) < 3]


def _polygons(told: list[Any]) -> list[list[Any]]:
    """The polygons in lists of lists, each as a list of numbers."""
    if not all(isinstance(part, list) for part in told):
        return [told]
    if told and all(len(part) == 2 and not isinstance(part[0], list) for part in told):
        return [list(chain.from_iterable(told))]  # of points
    return list(chain.from_iterable(map(_polygons, told)))


def _numbers(value: Any, what: str) -> np.ndarray:
    """Finite float64 numbers."""
    if not isinstance(value, list) or not all(map(is_number, value)):
        raise LabelError(f"{what} is no list of numbers", received=value)
    if not all(abs(x) <= _FARTHEST for x in value):  # false for NaN, too
        raise LabelError(f"{what} has a number beyond any image", received=value)
    return np.array(value, np.float64)


def ring_of(told: Any) -> np.ndarray:
    """(n, 2) x, y of a polygon, told as x, y, x, y ... Raises LabelError."""
    numbers = _numbers(told, "a polygon")
    if len(numbers) % 2:
        received = f"{len(numbers)} numbers"
        raise LabelError("a polygon has an x without its y", expected="x, y, x, y ...", received=received)
    return numbers.reshape(-1, 2)


def _runs(told: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Run lengths that fill an image of `size`."""
    if told.get("size") != list(size):
        raise LabelError(
            "the run lengths are of another size", expected=f"{list(size)}", received=told.get("size")
        )
    counts = told.get("counts")
    if isinstance(counts, str):
        runs = decompress_runs(counts, size)
    else:
        numbers = [whole(one) for one in counts] if isinstance(counts, list) else [None]
        if not all(one is not None and 0 <= one <= MAX_PIXELS for one in numbers):
            raise LabelError("the run lengths are no whole numbers", received=counts)
        runs = np.array(numbers, np.int64)
    check_runs(runs, size)
    return runs
