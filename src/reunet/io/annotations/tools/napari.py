"""napari: a table per image with the shapes of a layer, a line for each corner.

Format: https://napari.org/stable/howtos/layers/shapes.html. Coordinates count the centres of pixels: the
first pixel reaches from -0.5 to 0.5. A layer of labels is a TIFF, which is read as an image of numbers.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import DataError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import ring_of
from reunet.io.annotations.outlines import ellipse, no_area
from reunet.io.annotations.pictures import Pictures, paired
from reunet.io.annotations.sheet import Sheet, Sheets
from reunet.storage import read_csv

_CENTRE = 0.5


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects that the files tell, each of the image of its name; their class is not told."""
    return Sheets(paired(files, pictures, problems, _fill, "[-_. ]*shapes?"))


def _fill(path: Path, sheet: Sheet) -> None:
    """Add the shapes of a table. Raises LabelError, DataError."""
    corners: dict[str, list[float]] = defaultdict(list)
    kinds: dict[str, str] = {}
    for row in read_csv(path, DataError):
        index = row["index"]
        kinds[index] = row["shape-type"]
        corners[index] += [float(row["axis-1"]), float(row["axis-0"])]
    for index, told in corners.items():
        with sheet.about(f"shape {index}"):
            sheet.add(f"shape {index}", None, _shape(kinds[index], ring_of(told) + _CENTRE))


def _shape(kind: str, points: np.ndarray) -> Shape:
    """Raises LabelError for lines."""
    if kind == "ellipse" and len(points) == 4:
        first, second = (points[1] - points[0]) / 2, (points[3] - points[0]) / 2
        angle = float(np.rad2deg(np.arctan2(first[1], first[0])))
        return ellipse(points.mean(axis=0), np.array([np.hypot(*first), np.hypot(*second)]), angle)
    if kind in ("polygon", "rectangle") and len(points) >= 3:
        return Shape.of(points)
    raise no_area("polygon, rectangle or ellipse", kind)
