"""Supervisely: a JSON file per image, `ann/a.png.json` beside `img/a.png`, with figures and bitmaps.

Format: https://docs.supervisely.com/data-organization/00_ann_format_navi. A bitmap is a PNG, compressed once
more, from `origin`; meta.json lists the classes.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import image_size
from reunet.io.annotations.outlines import (
    corners_around,
    from_base64,
    inflated,
    no_area,
    png_shape,
    ring_through,
)
from reunet.io.annotations.pictures import Pictures, paired
from reunet.io.annotations.sheet import MOST_BYTES, Corners, Sheet, Sheets
from reunet.storage import read_json


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects that the files tell, each of the image of its name."""
    sheets = paired(files, pictures, problems, _fill)
    names: list[str] = []
    if (meta := problems.root / "meta.json").is_file():
        with problems.noting("class-list", meta, "the list of classes is"):
            names = [str(one["title"]) for one in read_json(meta, DataError, MOST_BYTES)["classes"]]
    return Sheets(sheets, names or None)


def _fill(path: Path, sheet: Sheet) -> None:
    """Add the objects of a file. Raises LabelError, DataError."""
    data = read_json(path, DataError, MOST_BYTES)
    if not isinstance(data, dict) or not isinstance(data.get("objects"), list):
        raise LabelError("the file is none of Supervisely", expected='{"size": {...}, "objects": [...]}')
    most_pixels = math.prod(sheet.size)
    sheet.size = image_size(data.get("size") or {}) or sheet.size
    for position, one in enumerate(data["objects"]):
        name = f"object {position + 1}"
        with sheet.about(name):
            sheet.add(name, str(one["classTitle"]), _told(one, sheet.size, most_pixels))


def _told(one: dict[str, Any], size: tuple[int, int], most_pixels: int) -> Shape | Corners:
    """The pixels of an object, or the corners of a box. `size` (height, width) is what the file states,
    `most_pixels` what the image has. Raises LabelError.
    """
    kind = one.get("geometryType")
    if kind == "bitmap":
        (left, top), packed = one["bitmap"]["origin"], from_base64(one["bitmap"]["data"])
        return png_shape(inflated(packed, most_pixels), (int(top), int(left)), size, most_pixels)
    points = one.get("points") or {}
    outer = ring_through(points.get("exterior", ()))
    if kind == "rectangle" and len(outer) == 2:
        return corners_around(outer)
    if kind == "polygon" and len(outer) >= 3:
        return Shape.of(outer, *map(ring_through, points.get("interior") or ()))
    raise no_area("polygon, rectangle or bitmap", kind)
