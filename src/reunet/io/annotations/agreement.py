"""The box, the outline and the area of an object held against each other, where a file tells several."""

import math
from pathlib import Path

from reunet.contracts.findings import Findings, some_of
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import is_number
from reunet.io.annotations.polygons import fill_rings

Corners = tuple[float, float, float, float]
"""y0, x0, y1, x1 of a box."""

_ROUNDING = 2.0  # pixels: corners are rounded, and so are widths; some programs count the last pixel
_SHARE = 0.1  # by which areas differ, as programs count the pixels of an outline differently
_SAME = 0.02  # by which the area of a box may be rounded
_HOLE = 0.01  # of the pixels of an object: smaller holes do not matter
_FEW = 3  # boxes of which none is told apart by chance


class Agreement:
    """The boxes of the file `path`: which contradict outlines or areas, and whether all are of another form.

    A box of x0, y0, x1, y1 where x, y, width, height are meant is seen by its outline, by its area, or, where
    all boxes of a file could be such, by boxes that reach out of their images.
    """

    def __init__(self, path: Path, problems: Findings) -> None:
        self._path, self._problems = path, problems
        self._differ: list[str] = []
        self._swapped: list[str] = []
        self._outside: list[str] = []
        self._holes: list[str] = []
        self._count = self._alike = self._seen = 0

    def add(
        self, name: str, box: Corners, size: tuple[int, int], shape: Shape | None = None, area: object = None
    ) -> None:
        """Look at the object `name` in an image of `size` (height, width); `area` as the file tells it."""
        y, x, height, width = other = box[0], box[1], box[2] - box[0], box[3] - box[1]
        is_box = height > y and width > x
        self._count += 1
        self._alike += is_box
        if max(abs(a - b) for a, b in zip(box, _inside(box, size), strict=True)) > _ROUNDING:
            self._outside.append(f"{name}: box {_shown(box)} in {size[1]} x {size[0]} pixels")
        outline = None if shape is None else shape.bounds(size[0])
        told = _area(area)
        if outline is not None and _apart(box, outline, size) > _ROUNDING:
            swapped, text = _apart(other, outline, size) <= _ROUNDING, f"outline {_shown(outline)}"
            self._seen += swapped
        elif told is not None and not _is_like(told, height * width) and not _has_area(shape, told, size):
            area_of_corners = (height - y) * (width - x)
            swapped = is_box and abs(told - area_of_corners) <= 1 + _SAME * area_of_corners
            text = f"area {told:g}"
        else:
            return
        (self._swapped if swapped else self._differ).append(f"{name}: box {_shown(box)}, {text}")

    def add_rings(self, name: str, shape: Shape, size: tuple[int, int], area: object) -> None:
        """Look whether the `area` of the object `name` leaves out what lies in rings within others."""
        told = _area(area)
        if len(shape.parts) < 2 or told is None or told >= (1 - _HOLE) * shape.area(size):
            return
        filled, cut = shape.pixels(size), int(fill_rings(shape.rings, size)[1].sum())
        if filled - cut >= _HOLE * filled and abs(told - cut) <= (filled - cut) / 4:
            self._holes.append(
                f"{name}: area {told:g}, and {filled} pixels in its rings, {cut} without holes"
            )

    def tell(self) -> None:
        """Add an error where boxes are of another form, a warning for those that contradict the rest, and for
        areas that take rings within others for holes.
        """
        form = "x, y, width, height"
        if 2 * len(self._swapped) > self._count and (self._seen or self._count >= _FEW):
            message = f"{len(self._swapped)} boxes are x0, y0, x1, y1, as outlines or areas tell"
            self._problems.error("box-corners", self._path, message, form, self._swapped[0])
        elif self._outside and self._alike == self._count >= _FEW:
            message = f"{len(self._outside)} boxes reach out of their images, and all could be x0, y0, x1, y1"
            self._problems.error("box-corners", self._path, message, form, self._outside[0])
        if differ := self._swapped + self._differ:
            message = f"{len(differ)} objects have a box that contradicts their outline or area"
            self._problems.warning("box-outline", self._path, message, "", some_of(differ, 5))
        if self._holes:
            message = f"{len(self._holes)} objects have an area that takes a ring within another for a hole"
            expected = "all that lies in one of the rings, as COCO's tools and reunet take it"
            self._problems.warning("hole-area", self._path, message, expected, some_of(self._holes, 5))


def _area(told: object) -> float | None:
    """An area that can be one; None for anything else."""
    return float(told) if is_number(told) and 0 < told < math.inf else None


def _inside(box: Corners, size: tuple[int, int]) -> list[float]:
    return [min(max(side, 0.0), float(most)) for side, most in zip(box, size * 2, strict=True)]


def _apart(one: Corners, other: Corners, size: tuple[int, int]) -> float:
    """Pixels by which a box lies off another one, inside the image."""
    return max(abs(a - b) for a, b in zip(_inside(one, size), _inside(other, size), strict=True))


def _has_area(shape: Shape | None, told: float, size: tuple[int, int]) -> bool:
    """Whether the pixels of a shape are as many as told, with or without holes; these are looked at where
    that matters.
    """
    if shape is None or _is_like(told, shape.area(size)):
        return shape is not None
    ways = (shape.pixels(size), int(fill_rings(shape.rings, size)[1].sum())) if shape.rings else ()
    return any(_is_like(told, way) for way in ways)


def _is_like(told: float, area: float) -> bool:
    return abs(told - area) <= _SHARE * area + 2 * _ROUNDING * max(area, 1.0) ** 0.5


def _shown(box: Corners) -> str:
    return f"x {box[1]:g} to {box[3]:g}, y {box[0]:g} to {box[2]:g}"
