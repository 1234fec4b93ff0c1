"""The objects that a file tells of one image: boxes, and the shapes to paint an instance map from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.findings import Findings
from reunet.io.annotations.crossings import Ring, ring_groups
from reunet.io.annotations.polygons import fill_rings
from reunet.io.annotations.rle import run_pixels

K = TypeVar("K")

_MOST_CLASSES = 254  # as many as a class list may have

_ROUNDING = 1.0  # pixels by which boxes reach over the edge of an image without anybody being wrong


@dataclass(frozen=True)
class Shape:
    """The pixels of one object, as `parts` or as `runs` (see `rle`).

    A part is rings of polygons, of which one within another is a hole. All that lies in one of the parts
    belongs to the object.
    """

    parts: tuple[tuple[Ring, ...], ...] = ()
    runs: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, *rings: Ring) -> Shape:
        """A shape of one part."""
        return cls((rings,))

    @property
    def rings(self) -> tuple[Ring, ...]:
        """Those of all parts."""
        return tuple(chain.from_iterable(self.parts))

    def area(self, size: tuple[int, int]) -> float:
        """About as many pixels as it has in an image of `size` (height, width)."""
        if self.runs is not None:
            return float(self.runs[1::2].sum())
        return sum(_area(part, size) for part in self.parts)

    def pixels(self, size: tuple[int, int]) -> int:
        """As many pixels as it has in an image of `size` (height, width)."""
        canvas = np.zeros(size, np.bool_)
        self.paint(canvas, True)
        return int(canvas.sum())

    def bounds(self, height: int) -> tuple[float, float, float, float]:
        """y0, x0, y1, x1 of the smallest box around it; empty for a shape without pixels."""
        if self.runs is None:
            points = np.concatenate(self.rings)
            (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
            return float(y0), float(x0), float(y1), float(x1)
        rows, columns = run_pixels(self.runs, height)
        if not rows.size:
            return 0.0, 0.0, 0.0, 0.0
        return float(rows.min()), float(columns.min()), float(rows.max() + 1), float(columns.max() + 1)

    def paint(self, canvas: np.ndarray, value: int) -> None:
        """Set its pixels in `canvas` (H, W)."""
        if self.runs is not None:
            canvas[run_pixels(self.runs, canvas.shape[0])] = value
        for part in self.parts:
            where, inside = fill_rings(part, (canvas.shape[0], canvas.shape[1]))
            canvas[where][inside] = value


def _area(rings: Sequence[Ring], size: tuple[int, int]) -> float:
    """About as many pixels as a part has; holes are not looked at."""
    if any(entangled for _, entangled in ring_groups(rings)):
        return float(fill_rings(rings, size)[1].sum())
    turned = ((x, np.roll(x, -1), y, np.roll(y, -1)) for x, y in map(np.transpose, rings))
    return sum(abs(float(np.sum(x * next_y - next_x * y))) / 2 for x, next_x, y, next_y in turned)


@dataclass(frozen=True)
class ObjectMap:
    """Objects as pixels.

    ids: (H, W) int32, 0 outside of all objects. classes: (max id + 1,) uint8 class index of each id.
    known: (H, W) bool, where objects are told; None for everywhere.
    """

    ids: NDArray[np.int32]
    classes: NDArray[np.uint8]
    known: NDArray[np.bool_] | None


@dataclass(frozen=True)
class AnnotatedImage:
    """What a file tells of one image.

    file: name of the image in the file, with "/". size: (height, width) as the file states it.
    boxes: of the objects, inside the image. shapes: for each box its pixels, where they are told.
    shaped: whether its file tells pixels of objects at all, so that an image without shapes has no objects.
    unknown: boxes (m, 4) float32 of areas where objects are not told one by one (crowds) or are no fair
    question (`difficult`), unknown_shapes: their pixels where told.
    """

    file: str
    size: tuple[int, int]
    boxes: Boxes
    shapes: tuple[Shape | None, ...]
    unknown: NDArray[np.float32]
    unknown_shapes: tuple[Shape | None, ...]
    shaped: bool = False

    def content(self) -> str:
        """SHA-256 of what is told."""
        digest = hashlib.sha256(f"{self.size} {self.shaped}".encode())
        for array in (self.boxes.corners, self.boxes.classes, self.unknown):
            digest.update(np.ascontiguousarray(array).tobytes())
        for shape in (*self.shapes, *self.unknown_shapes):
            parts = () if shape is None else (*shape.parts, *(() if shape.runs is None else ((shape.runs,),)))
            told = (b",".join(np.ascontiguousarray(one).tobytes() for one in part) for part in parts)
            digest.update(b"|" + b";".join(told))
        return digest.hexdigest()

    def known(self, ids: np.ndarray | None = None) -> NDArray[np.bool_] | None:
        """(H, W) bool, False in the unknown areas but for objects `ids` (H, W) there; None where there are
        none.
        """
        known = self._without(self.unknown, self.unknown_shapes)
        return known if known is None or ids is None else known | (ids > 0)

    def objects(self) -> ObjectMap | None:
        """The instance map, ids 1 .. n in the order of the boxes; None where the file tells no shapes.

        Where objects overlap, the smaller one lies on top. An object without a pixel, or with all of them
        hidden, is missing from the map; the box of one without a shape is unknown.
        """
        if not self.shaped:
            return None
        ids = np.zeros(self.size, np.int32)
        drawn = [(i + 1, shape) for i, shape in enumerate(self.shapes) if shape is not None]
        for number, shape in sorted(drawn, key=lambda one: -one[1].area(self.size)):
            shape.paint(ids, number)
        shapeless = [i for i, shape in enumerate(self.shapes) if shape is None]
        areas = np.concatenate([self.unknown, self.boxes.corners[shapeless]])
        known = self._without(areas, (*self.unknown_shapes, *(None for _ in shapeless)))
        if known is not None:
            known |= ids > 0
        return ObjectMap(ids, np.concatenate([np.zeros(1, np.uint8), self.boxes.classes]), known)

    def _without(self, boxes: np.ndarray, shapes: Sequence[Shape | None]) -> NDArray[np.bool_] | None:
        if not len(boxes):
            return None
        known = np.ones(self.size, bool)
        for (y0, x0, y1, x1), shape in zip(boxes, shapes, strict=True):
            if shape is not None:
                shape.paint(known, False)
            else:
                known[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = False
        return known


@dataclass(frozen=True)
class Annotations:
    """What annotation files tell: class names, and objects whose classes are indices into them."""

    classes: tuple[str, ...]
    images: tuple[AnnotatedImage, ...]

    @classmethod
    def of(cls, classes: Sequence[str], images: Sequence[AnnotatedImage]) -> Annotations:
        """With every image marked as shaped when one of them is."""
        return cls(tuple(classes), tuple(shaped_alike(dict(enumerate(images))).values()))


def shaped_alike(images: Mapping[K, AnnotatedImage]) -> dict[K, AnnotatedImage]:
    """The images, every one marked as shaped when one of them is."""
    shaped = any(one.shaped or any(shape is not None for shape in one.shapes) for one in images.values())
    return {name: replace(one, shaped=shaped) for name, one in images.items()}


def too_many(classes: Sequence[str], path: Path, problems: Findings) -> bool:
    """Whether a file names more classes than a class list may have, which is an error."""
    if len(classes) > _MOST_CLASSES:
        problems.error("class-list", path, "too many classes", f"at most {_MOST_CLASSES}", str(len(classes)))
    return len(classes) > _MOST_CLASSES


class ImageBuilder:
    """Collects the objects of one image that the annotation file `path` tells."""

    def __init__(self, path: Path, file: str, size: tuple[int, int], problems: Findings) -> None:
        self.path, self.file, self.size, self._problems = path, file, size, problems
        self._objects: list[tuple[tuple[float, ...], int, Shape | None, float | None]] = []
        self._unknown: list[tuple[tuple[float, ...], Shape | None]] = []

    def add(
        self,
        name: str,
        corners: tuple[float, float, float, float],
        category: int | None,
        shape: Shape | None = None,
        score: float | None = None,
    ) -> None:
        """Add an object, or an unknown area where `category` is None; `name` says which, as "annotation 7".

        corners: finite y0, x0, y1, x1. A box without area is left out with a warning, one that reaches out of
        the image is cut with a warning, one outside of it is an error: it belongs to another image or size.
        """
        y0, x0, y1, x1 = corners
        height, width = self.size
        inside = (max(y0, 0.0), max(x0, 0.0), min(y1, float(height)), min(x1, float(width)))
        told = f"x {x0:g} to {x1:g}, y {y0:g} to {y1:g}"
        image, expected = f"{self.file}, {name}", f"x 0 to {width}, y 0 to {height}"
        if y1 == y0 or x1 == x0:
            message = f"{image}: the box has no area and is left out"
            self._problems.warning("box-empty", self.path, message, "", told, "draw it again, or delete it")
        elif y1 < y0 or x1 < x0:
            message = f"{image}: the box ends before it starts"
            self._problems.error("box-reversed", self.path, message, "a width and height above 0", told)
        elif inside[2] <= inside[0] or inside[3] <= inside[1]:
            message = f"{image}: the box is outside the image"
            fix = "see whether the image was resized or the boxes are those of another image"
            self._problems.error("box-outside", self.path, message, expected, told, fix)
        else:
            if max(abs(a - b) for a, b in zip(inside, corners, strict=True)) > _ROUNDING:
                message = f"{image}: the box reaches out of the image and is cut"
                self._problems.warning("box-cut", self.path, message, expected, told)
            if category is None:
                self._unknown.append((inside, shape))
            else:
                self._objects.append((inside, category, shape, score))

    def build(self) -> AnnotatedImage:
        """The image with all its objects; scores only where every object has one. An error where all of them
        lie in the first pixel: their coordinates are shares of the image.
        """
        told = np.array([one[0] for one in self._objects])
        if len(told) and min(self.size) > 1 and told.max() <= 1 and (told % 1).any():
            message = f"{self.file}: the coordinates of all objects are shares of the image, not pixels"
            expected, fix = (
                f"0 to {max(self.size)}",
                "multiply x by the width of the image and y by its height",
            )
            self._problems.error("annotation", self.path, message, expected, f"at most {told.max():g}", fix)
        corners, classes, shapes, scores = zip(*self._objects, strict=True) if self._objects else ((),) * 4
        boxes = Boxes(
            np.array(corners, np.float32).reshape(-1, 4),
            np.array(classes, np.uint8),
            np.array(scores, np.float32) if scores and None not in scores else None,
        )
        unknown = np.array([one[0] for one in self._unknown], np.float32).reshape(-1, 4)
        areas = tuple(one[1] for one in self._unknown)
        return AnnotatedImage(self.file, self.size, boxes, shapes, unknown, areas)
