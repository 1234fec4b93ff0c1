"""CVAT for images 1.1: one XML file about all images, with boxes, polygons, ellipses and run lengths.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. Run lengths go row by row through
the box of a mask and start with a run outside. Shapes of one label and `group_id` above 0 are one object.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import angle_of, image_size, ring_of
from reunet.io.annotations.outlines import ellipse, mask_shape, no_area, rectangle, turned, united
from reunet.io.annotations.pictures import Pictures
from reunet.io.annotations.rle import check_runs
from reunet.io.annotations.sheet import MOST_BYTES, Corners, Sheet, Sheets
from reunet.io.annotations.voc import parse_xml


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects of all images that the file lists."""
    sheets: list[Sheet] = []
    names: list[str] = []
    for path in files:
        with problems.noting("annotations-unreadable", path, "the XML file is"):
            tree = parse_xml(path, "annotations", MOST_BYTES)
            names += [text for text in (one.findtext("name") for one in tree.iter("label")) if text]
            if tree.find("track") is not None:
                fix = "export the task as CVAT for images 1.1"
                raise LabelError("the file tells tracks of a video", expected="<image>", fix=fix)
            for element in tree.iterfind("image"):
                sheet = _sheet(path, element, pictures, problems)
                if sheet is not None:
                    _fill(sheet, element)
                    sheets.append(sheet)
    return Sheets(sheets, list(dict.fromkeys(names)) or None)


def _sheet(path: Path, element: Element, pictures: Pictures, problems: Findings) -> Sheet | None:
    subset, name = element.get("subset"), element.get("name", "")
    size = image_size({"height": element.get("height"), "width": element.get("width")})
    return pictures.sheet(path, f"{subset}/{name}" if subset else name, problems, size)


def _fill(sheet: Sheet, element: Element) -> None:
    groups: dict[tuple[str, str], list[tuple[str, Shape]]] = defaultdict(list)
    for number, one in enumerate(element, 1):
        name = f"{sheet.image.name}, {one.tag} {number}"
        if one.tag == "tag":
            continue  # a class of the whole image
        with sheet.about(name):
            label, group = one.get("label", ""), one.get("group_id") or "0"
            told = _told(one, sheet.size)
            if not isinstance(told, Shape):
                sheet.add(name, label, told)
            else:
                groups[label, name if group == "0" else f"group {group}"].append((name, told))
    for (label, _), parts in groups.items():
        with sheet.about(parts[0][0]):
            sheet.add(parts[0][0], label, united([shape for _, shape in parts], sheet.size))


def _told(one: Element, size: tuple[int, int]) -> Shape | Corners:
    """The pixels of a shape, or the corners of an upright box. Raises LabelError."""
    if one.tag == "box":
        x0, y0, x1, y1 = corners = _numbers(one, "xtl", "ytl", "xbr", "ybr")
        if angle := angle_of(one.get("rotation")):
            points = rectangle(corners.reshape(2, 2)).rings[0]
            return Shape.of(turned(points, points.mean(axis=0), angle))
        return float(y0), float(x0), float(y1), float(x1)
    if one.tag == "polygon":
        ring = ring_of([float(axis) for axis in one.get("points", "").replace(";", ",").split(",")])
        if len(ring) >= 3:
            return Shape.of(ring)
    if one.tag == "ellipse":
        numbers = _numbers(one, "cx", "cy", "rx", "ry")
        return ellipse(numbers[:2], numbers[2:], angle_of(one.get("rotation")))
    if one.tag == "mask":
        left, top, width, height = _numbers(one, "left", "top", "width", "height").astype(int).tolist()
        return mask_shape(_mask(one.get("rle", ""), (height, width), size), (top, left), size)
    raise no_area("box, polygon, ellipse or mask", one.tag)


def _mask(text: str, box: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(h, w) bool of run lengths that fill a box. Raises LabelError."""
    if not (0 < box[0] <= size[0] and 0 < box[1] <= size[1]):
        expected = f"at most {size[0]} x {size[1]} pixels"
        received = f"{box[0]} x {box[1]}"
        fix = "export the labels anew, with the images that they were drawn on"
        raise LabelError("the mask does not lie in its image", expected=expected, received=received, fix=fix)
    runs = np.array([int(run) for run in text.split(",")], np.int64)
    check_runs(runs, box)
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(box)


def _numbers(one: Element, *names: str) -> np.ndarray:
    """Finite float64 attributes. Raises LabelError."""
    return ring_of([float(one.get(name, "nan")) for name in names]).ravel()
