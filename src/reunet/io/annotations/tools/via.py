"""VGG Image Annotator: a JSON file about all images, with regions of points.

Format: https://www.robots.ox.ac.uk/~vgg/software/via/. A project has the images below `_via_img_metadata`, an
export has nothing else. The class of a region is its attribute, where regions have one.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reunet.contracts.findings import Findings, some_of
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import angle_of, ring_of, whole
from reunet.io.annotations.outlines import ellipse, no_area, ring_through
from reunet.io.annotations.pictures import Pictures
from reunet.io.annotations.sheet import MOST_BYTES, Corners, Sheet, Sheets
from reunet.storage import read_json

_CLASSES = ("class", "label", "name", "type", "category")
"""Attributes that go before others where regions have several."""


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects of all images that the file lists."""
    sheets: list[Sheet] = []
    for path in files:
        with problems.noting("annotations-unreadable", path, "the project of VIA is"):
            data = read_json(path, DataError, MOST_BYTES)
            images = list(data.get("_via_img_metadata", data).values())
            attribute = _attribute(images)
            others: list[str] = []
            for one in images:
                sheet = pictures.sheet(path, str(one["filename"]), problems)
                if sheet is not None:
                    _fill(sheet, _regions(one), attribute)
                    sheets.append(sheet)
                    others += _other_bytes(sheet.image, one.get("size"))
            if others:
                message = f"{len(others)} image(s) are other files than those that were labelled"
                problems.warning("other-image", path, message, "files as large as stated", some_of(others, 5))
    return Sheets(sheets)


def _other_bytes(image: Path, told: object) -> Iterator[str]:
    """How large a file is and was, where that differs; -1, which VIA writes of remote files, is no size."""
    stated, found = whole(told) or 0, image.stat().st_size if image.is_file() else 0
    if stated > 0 and found not in (0, stated):
        yield f"{image.name}: {found:,} bytes, stated {stated:,}"


def _regions(image: dict[str, Any]) -> list[dict[str, Any]]:
    told = image.get("regions") or []
    return list(told.values()) if isinstance(told, dict) else list(told)


def _attribute(images: Sequence[dict[str, Any]]) -> str | None:
    """The attribute that is the class of a region; None where there are none. Raises LabelError."""
    regions = [one.get("region_attributes") or {} for image in images for one in _regions(image)]
    told = (item for one in regions for item in one.items())
    names = dict.fromkeys(name for name, value in told if isinstance(value, str) and value)
    found = [name for name in names if name.lower() in _CLASSES] or list(names)
    if len(found) > 1:
        fix = "keep one attribute, or call the one that is the class `class`"
        received = ", ".join(found)[:80]
        raise LabelError("regions have several attributes, and one is the class", received=received, fix=fix)
    return found[0] if found else None


def _fill(sheet: Sheet, regions: Sequence[dict[str, Any]], attribute: str | None) -> None:
    for position, one in enumerate(regions):
        name = f"{sheet.image.name}, region {position + 1}"
        with sheet.about(name):
            told = (one.get("region_attributes") or {}).get(attribute) or ""
            sheet.add(name, None if attribute is None else str(told), _told(one["shape_attributes"]))


def _told(shape: dict[str, Any]) -> Shape | Corners:
    """The pixels of a region, or the corners of a box. Raises LabelError."""
    kind = shape.get("name")
    if kind in ("polygon", "polyline"):
        ring = ring_through(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
        is_closed = kind == "polygon" or bool((ring[0] == ring[-1]).all())
        if len(ring) >= 3 and is_closed:
            return Shape.of(ring)
    if kind == "rect":
        (x, y), (w, h) = ring_of([shape[side] for side in ("x", "y", "width", "height")]).tolist()
        return y, x, y + h, x + w
    if kind in ("circle", "ellipse"):
        sides = ("rx", "ry") if kind == "ellipse" else ("r", "r")
        centre, radii = ring_of([shape["cx"], shape["cy"], *(shape[side] for side in sides)])
        return ellipse(centre, radii, angle_of(shape.get("theta"), math.degrees(1)))
    raise no_area("polygon, rect, circle or ellipse", kind)
