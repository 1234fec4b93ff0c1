"""The classes of a dataset, and how the values in its mask files stand for them."""

from __future__ import annotations

import colorsys
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from reunet.contracts.base import Contract

IGNORE = 255
"""Value of an unlabelled pixel in label arrays inside reunet; classes are 0 .. n-1 (at most 254)."""

BACKGROUND_NAMES = frozenset({"background", "bg", "void", "none", "other", "unlabeled", "unlabelled"})
_UNNAMED = re.compile(r"background|foreground|object|class_[0-9]+")
"""What classes are called that nobody named."""

BOUNDARY_NAMES = frozenset({"membrane", "boundary", "border", "edge", "cell_boundary"})

_Component = Annotated[int, Field(ge=0, le=255)]
Color = tuple[_Component, _Component, _Component]
"""Red, green, blue."""

PALETTE: tuple[Color, ...] = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (0, 114, 178), (213, 94, 0), (204, 121, 167), (153, 153, 153), (117, 112, 179),
)  # fmt: skip
"""Colours of the first classes, safe for colour-blind readers (Okabe and Ito 2008), then two more."""


class ClassInfo(Contract):
    """One class: the value `id` that stands for it in mask files, its name and colour.

    `foreground` classes enter the mean scores; a `boundary` class (membranes) separates regions, so
    that the regions it leaves are scored as well (V_rand).
    """

    id: int = Field(ge=0, le=65535)  # what a 16-bit mask file can hold
    name: str = Field(min_length=1)
    color: Color
    foreground: bool
    boundary: bool = False


class Region(Contract):
    """Several classes taken as one thing, such as a whole tumour; regions may overlap.

    classes: indices of those it is made of. paints: index of the class that a pixel gets in a label image
    where this region is the last one there and no class lies in just the regions that are there.
    """

    name: str = Field(min_length=1)
    color: Color
    classes: tuple[int, ...] = Field(min_length=1)
    paints: int


class LabelMap(Contract):
    """The class list of a dataset.

    encoding: how mask files store a class: `index` (pixel value = id; palette files too),
    `binary_255` (0 and 255 for the two classes) or `rgb` (pixel colour = class colour).
    ignore: pixel value in mask files that means unlabelled, or None.
    ignore_color: the same for `rgb` masks.
    regions: what is learned and scored instead of the classes, where there are any.
    partial: class indices that some images are annotated with, where these are not all; see `Truth.classes`.
    """

    classes: tuple[ClassInfo, ...] = Field(min_length=1, max_length=254)
    regions: tuple[Region, ...] = Field(default=(), max_length=8)
    partial: tuple[tuple[int, ...], ...] = ()
    ignore: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    ignore_color: Color | None = None
    encoding: Literal["index", "binary_255", "rgb"] = "index"

    @model_validator(mode="after")
    def _unique(self) -> LabelMap:
        for field in ("id", "name"):
            values = [getattr(entry, field) for entry in self.classes]
            if len(set(values)) != len(values):
                raise ValueError(f"two classes share one {field}")
        if self.ignore is not None and self.ignore in {entry.id for entry in self.classes}:
            raise ValueError("the ignore value is also the id of a class")
        if self.ignore_color is not None and self.ignore_color in {entry.color for entry in self.classes}:
            raise ValueError("the ignore colour is also the colour of a class")
        return self

    @model_validator(mode="after")
    def _indices(self) -> LabelMap:
        names = [*self.names, *(region.name for region in self.regions)]
        if len(set(names)) != len(names):
            raise ValueError("two regions, or a region and a class, share one name")
        made_of = [index for region in self.regions for index in (*region.classes, region.paints)]
        if any(
            not 0 <= i < len(self.classes) for i in [*made_of, *(i for some in self.partial for i in some)]
        ):
            raise ValueError("a region, or a partial annotation, names a class that is not there")
        if self.regions and self.partial:
            raise ValueError("regions cannot be annotated partially")
        if len(self.classes) + len(self.partial) > 254:
            raise ValueError("too many classes and partial annotations: 254 in all")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, in class order."""
        return tuple(entry.name for entry in self.classes)

    @property
    def foreground(self) -> tuple[int, ...]:
        """Indices of the foreground classes."""
        return tuple(i for i, entry in enumerate(self.classes) if entry.foreground)

    @property
    def background(self) -> int | None:
        """Index of the first class that is not foreground, or None."""
        return next((i for i, entry in enumerate(self.classes) if not entry.foreground), None)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What a network tells at each pixel, a channel each: the regions by name, or else the classes."""
        return tuple(region.name for region in self.regions) or self.names

    @property
    def counted(self) -> tuple[int, ...]:
        """Indices of those of `outputs` that enter mean scores."""
        return tuple(range(len(self.regions))) or self.foreground

    @property
    def membership(self) -> NDArray[np.bool_]:
        """(classes, outputs) whether a class lies in a region; the identity without regions."""
        if not self.regions:
            return np.eye(len(self.classes), dtype=bool)
        inside = [[i in region.classes for region in self.regions] for i in range(len(self.classes))]
        return np.array(inside, bool)

    @property
    def boundary(self) -> int | None:
        """Index of the boundary class, or None; there is none where regions are told apart."""
        if self.regions:
            return None
        return next((i for i, entry in enumerate(self.classes) if entry.boundary), None)

    @property
    def stated_colors(self) -> dict[tuple[int, ...], int]:
        """Ids by the colour of their class, of those that somebody chose."""
        return {e.color: e.id for i, e in enumerate(self.classes) if e.color != class_color(i)}

    @property
    def stated_names(self) -> dict[int, str]:
        """Names by id, of the classes that somebody named."""
        return {e.id: e.name for e in self.classes if not _UNNAMED.fullmatch(e.name)}

    @property
    def binary(self) -> bool:
        """Two classes 0 and 1, and 255 means nothing else: masks may store them as 0 and 255 too."""
        return [entry.id for entry in self.classes] == [0, 1] and self.ignore != 255

    def to_ids(self, labels: np.ndarray) -> np.ndarray:
        """Class indices (any shape, uint8) to the ids written in mask files (uint8 or uint16)."""
        ids = np.array([entry.id for entry in self.classes])
        return ids.astype(np.uint8 if ids.max() < 256 else np.uint16)[labels]

    def colors(self) -> np.ndarray:
        """Class colours: (classes, 3) uint8 RGB."""
        return np.array([entry.color for entry in self.classes], np.uint8)


@dataclass(frozen=True)
class Classes:
    """The class lists of a run: of pixels and objects, and of whole images where these have classes."""

    labels: LabelMap
    categories: LabelMap | None = None


def default_classes(ids: list[int], names: list[str] | None = None) -> tuple[ClassInfo, ...]:
    """Class entries for ids without further facts: id 0 is the background when named so or unnamed."""
    names = names or [
        "background" if i == 0 else ("foreground" if len(ids) == 2 else f"class_{i}") for i in ids
    ]
    return tuple(
        ClassInfo(
            id=i,
            name=name,
            color=class_color(position),
            foreground=is_foreground(position, name, len(ids)),
            boundary=name.lower() in BOUNDARY_NAMES,
        )
        for position, (i, name) in enumerate(zip(ids, names, strict=True))
    )


def majority_class(instances: np.ndarray, labels: np.ndarray | None, label_map: LabelMap) -> np.ndarray:
    """(max id + 1,) uint8 class index of each object by id: the foreground class of most of its pixels.

    instances, labels: (*space). Where no pixel tells, and without labels, the first foreground class.
    """
    foreground = label_map.foreground or (len(label_map.classes) - 1,)
    count = int(instances.max(initial=0)) + 1
    best, most = np.full(count, foreground[0], np.uint8), np.zeros(count, np.int64)
    for index in foreground if labels is not None else ():
        pixels = np.bincount(instances[labels == index], minlength=count)
        best[pixels > most] = index
        most = np.maximum(most, pixels)
    return best


def class_color(position: int) -> Color:
    """The colour of a class without one: from PALETTE, then hues far from those before, never grey."""
    if position < len(PALETTE):
        return PALETTE[position]
    hue = (0.35 + 0.618034 * position) % 1.0  # golden-section steps never come back to a hue
    red, green, blue = colorsys.hsv_to_rgb(hue, (0.9, 0.55)[position % 2], (0.5, 1.0, 0.75)[position % 3])
    return round(255 * red), round(255 * green), round(255 * blue)


def is_foreground(position: int, name: str, count: int) -> bool:
    """The first of two classes is background; of several, only when its name says so."""
    return position > 0 or (count != 2 and name.lower() not in BACKGROUND_NAMES)
