"""What a task leaves of an image that is predicted: files of its own, and what the tables tell."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.contracts.results import Prediction
from reunet.io.annotations.geojson import Feature, Place, as_pixels, write_features
from reunet.io.georeference import Georeference
from reunet.io.header import SAME_SIZE

MASK_SUFFIXES = (".png", ".tif", ".nii.gz", ".ome.zarr")
"""Of label images; an image leaves one of them."""

Columns = dict[str, list[Any]]
"""Rows of a table, as JSON values by the name of the column."""


@dataclass(frozen=True)
class Destination:
    """Where the results of an image go. path: the file of a kind, with a suffix.

    like: the file of a volume, whose geometry its label images get. pages: of a stack or video.
    spacing: size (y, x) of an image's pixels in micrometres, where that is known.
    map, nodata: of the header of the image; label images of one on a map are TIFF files. regions: outlines of
    the regions of classes are wanted, where there are no objects.
    """

    path: Callable[[str, str], Path]
    labels: LabelMap
    like: Path | None = None
    pages: bool = False
    spacing: tuple[float, ...] | None = None
    map: Georeference | None = None
    nodata: float | None = None
    regions: bool = False

    def mask(self, kind: str, flat: str) -> Path:
        """The file of a label image. flat: suffix of one with two axes."""
        tiff = self.pages or self.map is not None
        return self.path(kind, ".nii.gz" if self.like is not None else ".tif" if tiff else flat)

    def write_outlines(self, features: Iterable[Feature]) -> None:
        """Write what was outlined in pixels, or on the map."""
        write_features(self.path("geojson", ".geojson"), features, None if self.map is None else self.map.urn)

    @property
    def place(self) -> Place:
        """From pixels to where outlines lie."""
        return as_pixels if self.map is None else self.map.place


@dataclass(frozen=True)
class Output:
    """A kind of file, OUT/<kind>/<name of the image><suffix>, with one of the `suffixes`.

    of: the field of a `Prediction` that it tells; where that is None nothing is written.
    write: gets it, the whole prediction and where it goes. is_proof: without it an image is not done.
    asked: written only when asked for.
    """

    kind: str
    suffixes: tuple[str, ...]
    of: str
    write: Callable[[Any, Prediction, Destination], None]
    is_proof: bool = False
    asked: bool = False


@dataclass(frozen=True)
class Page:
    """An image, or a page of a stack, whose results the tables tell. size: (*space).

    image: (*space, C), None of one predicted section by section. objects: what is known of its objects
    already, a column each. spacing: of a volume's voxels in mm, of an image's pixels in micrometres, where
    that is known. sequence, frame: of a frame whose objects have identities, from frame 0.
    """

    size: tuple[int, ...]
    labels: LabelMap
    categories: LabelMap | None
    image: np.ndarray | None = None
    objects: Mapping[str, np.ndarray] | None = None
    spacing: tuple[float, ...] | None = None
    sequence: str | None = None
    frame: int = 0


@dataclass(frozen=True)
class PageRows:
    """What the tables tell of a page. tables: rows of objects.csv. annotations: for COCO, None where that has
    no place for them. facts: of the whole image.
    """

    tables: tuple[Columns, ...] = ()
    annotations: list[dict[str, Any]] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def with_units(columns: Mapping[str, np.ndarray], spacing: tuple[float, ...] | None) -> dict[str, np.ndarray]:
    """The columns, and behind each that counts pixels the same in micrometres, of voxels in millimetres.

    Such are `area`, whose twin is `area_um2` or `volume_mm3`; places along an axis, such as `centroid_y` and
    `box_x0`; and `perimeter` where pixels are square. spacing: as of a `Page`; None adds nothing.
    """
    if spacing is None:
        return dict(columns)
    unit, axes = ("um", "yx") if len(spacing) == 2 else ("mm", "zyx")
    square = np.allclose(spacing, spacing[0], rtol=SAME_SIZE, atol=0)
    found: dict[str, np.ndarray] = {}
    for name, values in columns.items():
        found[name] = values
        if name == "area":
            found["area_um2" if unit == "um" else "volume_mm3"] = values * float(np.prod(spacing))
        elif name.startswith(("centroid_", "box_")):
            found[f"{name}_{unit}"] = values * spacing[axes.index(name.split("_")[1][0])]
        elif name == "perimeter" and square:
            found[f"{name}_{unit}"] = values * spacing[0]
    return found


def listed(columns: Mapping[str, np.ndarray]) -> Columns:
    """Columns as JSON values: nan is None."""
    return {
        name: [None if value != value else value for value in values.tolist()]
        for name, values in columns.items()
    }
