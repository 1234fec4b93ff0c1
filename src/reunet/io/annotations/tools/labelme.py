"""LabelMe: a JSON file per image with shapes of points.

Format: https://github.com/wkentaro/labelme. Shapes of one label and `group_id` are one object. What is
labelled `__ignore__` is an area where nothing is known.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import image_size, ring_of
from reunet.io.annotations.outlines import ellipse, mask_shape, png_mask, united
from reunet.io.annotations.pictures import Pictures, paired
from reunet.io.annotations.sheet import Corners, Sheet, Sheets
from reunet.storage import read_json

_MOST_BYTES = 1 << 30  # the image may be inside
IGNORED = "__ignore__"


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects that the files tell, each of the image of its name."""
    return Sheets(paired(files, pictures, problems, _fill))


def _fill(path: Path, sheet: Sheet) -> None:
    """Add the shapes of a file. Raises LabelError, DataError."""
    data = read_json(path, DataError, _MOST_BYTES)
    if not isinstance(data, dict) or not isinstance(data.get("shapes"), list):
        raise LabelError("the file is none of LabelMe", expected='{"shapes": [...]}')
    size = {"height": data.get("imageHeight"), "width": data.get("imageWidth")}
    sheet.size = image_size(size) or sheet.size
    groups: dict[tuple[str, Any], list[tuple[str, Shape]]] = {}
    for position, told in enumerate(data["shapes"]):
        name = f"shape {position + 1}"
        with sheet.about(name):
            label, group = str(told["label"]), told.get("group_id")
            key = (label, f"{name}" if group is None else f"group {group}")
            if isinstance(found := _told(told, sheet.size), Shape):
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


def _told(told: dict[str, Any], size: tuple[int, int]) -> Shape | Corners:
    """The pixels of a shape, or the corners of a box. Raises LabelError for lines and points."""
    kind = told.get("shape_type") or "polygon"
    points = ring_of([axis for point in told["points"] for axis in point])
    if kind == "polygon" and len(points) >= 3:
        return Shape((points,))
    if kind == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return y0, x0, y1, x1
    if kind == "circle" and len(points) == 2:
        return ellipse(points[0], np.repeat(np.hypot(*(points[1] - points[0])), 2))
    if kind == "mask" and len(points) == 2:
        left, top = points.min(axis=0).astype(int).tolist()
        return mask_shape(png_mask(told["mask"]), (top, left), size)
    fix = "draw its outline, or delete it"
    expected, received = "polygon, rectangle, circle or mask", f"{kind} of {len(points)} points"
    raise LabelError("it is no area", expected=expected, received=received[:80], fix=fix)
