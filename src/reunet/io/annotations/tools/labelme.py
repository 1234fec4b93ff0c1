"""LabelMe: a JSON file per image with shapes of points.

Format: https://github.com/wkentaro/labelme. Shapes of one label and `group_id` are one object. What is
labelled `__ignore__`, or marked as difficult, is an area where nothing is known; `_background_` is no object.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import image_size
from reunet.io.annotations.outlines import (
    corners_around,
    ellipse,
    from_base64,
    no_area,
    png_shape,
    ring_through,
    united,
)
from reunet.io.annotations.pictures import Pictures, paired, tell_other_names
from reunet.io.annotations.sheet import MOST_BYTES, Corners, Sheet, Sheets
from reunet.storage import read_json

IGNORED, BACKGROUND = "__ignore__", "_background_"


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects that the files tell, each of the image of its name."""
    sheets = paired(files, pictures, problems, _fill)
    tell_other_names(sheets, problems)
    return Sheets(sheets)


def _fill(path: Path, sheet: Sheet) -> None:
    """Add the shapes of a file. Raises LabelError, DataError."""
    data = read_json(path, DataError, MOST_BYTES)
    if not isinstance(data, dict) or not isinstance(data.get("shapes"), list):
        raise LabelError("the file is none of LabelMe", expected='{"shapes": [...]}')
    sheet.named = str(data.get("imagePath") or "")
    size = {"height": data.get("imageHeight"), "width": data.get("imageWidth")}
    most_pixels = math.prod(sheet.size)
    sheet.size = image_size(size) or sheet.size
    groups: dict[tuple[str, Any], list[tuple[str, Shape]]] = {}
    for position, told in enumerate(data["shapes"]):
        name = f"shape {position + 1}"
        with sheet.about(name):
            label, group = str(told["label"]), told.get("group_id")
            if label == BACKGROUND:
                continue
            label = IGNORED if told.get("difficult") else label
            key = (label, f"{name}" if group is None else f"group {group}")
            if isinstance(found := _told(told, sheet.size, most_pixels), Shape):
                groups.setdefault(key, []).append((name, found))
            else:
                _put(sheet, name, label, found)
    for (label, _), parts in groups.items():
        name, shape = parts[0][0], united([one for _, one in parts], sheet.size)
        with sheet.about(name):
            _put(sheet, name, label, shape)


def _put(sheet: Sheet, name: str, label: str, told: Shape | Corners) -> None:
    is_unknown = label == IGNORED
    sheet.add(name, None if is_unknown else label, told, unknown=is_unknown)


def _told(told: dict[str, Any], size: tuple[int, int], most_pixels: int) -> Shape | Corners:
    """The pixels of a shape, or the corners of a box. `size` (height, width) is what the file states,
    `most_pixels` what the image has. Raises LabelError for lines and points.
    """
    kind = told.get("shape_type") or "polygon"
    points = ring_through(told["points"])
    if kind == "polygon" and len(points) >= 3:
        return Shape.of(points)
    if kind == "rectangle" and len(points) == 2:
        return corners_around(points)
    if kind == "circle" and len(points) == 2:
        return ellipse(points[0], np.repeat(np.hypot(*(points[1] - points[0])), 2))
    if kind == "mask" and len(points) == 2:
        left, top = points.min(axis=0).astype(int).tolist()
        return png_shape(from_base64(told["mask"]), (top, left), size, most_pixels)
    raise no_area("polygon, rectangle, circle or mask", f"{kind} of {len(points)} points")
