"""Pascal VOC: an XML file of boxes per image, pixels counted from 1, the last one included.

Format: the VOC 2012 development kit. A `difficult` object is an area where objects are unknown, as its
evaluation leaves them out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from reunet.contracts.findings import Findings, some_of
from reunet.errors import DataError, LabelError
from reunet.io.annotations.agreement import Agreement
from reunet.io.annotations.annotated_image import AnnotatedImage, Annotations, ImageBuilder, Shape, too_many
from reunet.io.annotations.coco_fields import image_size
from reunet.io.annotations.files import size_of

_MOST_BYTES = 64 << 20
_SIDES = ("ymin", "xmin", "ymax", "xmax")


def read_voc(
    paths: Mapping[str, Path],
    files: Mapping[str, Path],
    problems: Findings,
    classes: Sequence[str] | None = None,
) -> Annotations:
    """The objects of the images that VOC files tell; the classes are all names in them unless given.

    paths: the file about each image, by the name that `AnnotatedImage.file` gets; what the XML has for
    `filename` is often of another copy of the data. files: the images by that name, whose size counts where
    the XML tells none. Adds errors and warnings as `read_coco` does.
    """
    trees: dict[str, Element] = {}
    for name, path in paths.items():
        with problems.noting(
            "annotations-unreadable", path, "the XML file is", "<annotation>...</annotation>"
        ):
            trees[name] = parse_voc(path)
    if classes is None:
        told = (one.findtext("name") or "" for tree in trees.values() for one in tree.iter("object"))
        classes = sorted({name.strip() for name in told} - {""})
    if trees and too_many(classes, next(iter(paths.values())), problems):
        return Annotations(tuple(classes), ())
    index = {name: i for i, name in enumerate(classes)}
    images = []
    for name, tree in trees.items():
        with problems.noting("annotation", paths[name], "the XML file is"):
            size = _size(tree, paths[name], files.get(name), problems)
            if size is not None:
                images.append(_image(tree, ImageBuilder(paths[name], name, size, problems), index, problems))
    return Annotations(tuple(classes), tuple(images))


def parse_voc(path: Path) -> Element:
    """The elements of an XML file. Entities, which can grow without end or read other files, are refused.

    Raises LabelError, and what the parser does.
    """

    def refuse(*_: object) -> NoReturn:
        raise LabelError(
            "the XML file defines entities", expected="plain XML", fix="write it without DOCTYPE"
        )

    if path.stat().st_size > _MOST_BYTES:
        raise LabelError("the XML file is too large", expected=f"at most {_MOST_BYTES:,} bytes")
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    parser.Parse(path.read_bytes(), True)
    if (tree := builder.close()).tag != "annotation":
        raise LabelError("not a VOC file", expected="<annotation>", received=f"<{tree.tag}>")
    return tree


def _size(tree: Element, path: Path, file: Path | None, problems: Findings) -> tuple[int, int] | None:
    """Height and width of the image, as the XML states them or, where it does not or says 0, its file."""
    told = {}
    for side in ("height", "width"):
        text = (tree.findtext(f"size/{side}") or "").strip()
        number = _number(text)
        told[side] = text if number is None else number
    try:
        return image_size(told) or size_of(file)
    except DataError as cause:
        problems.caught("image-size", path, cause)
    return None


def _image(tree: Element, image: ImageBuilder, index: dict[str, int], problems: Findings) -> AnnotatedImage:
    agreement = Agreement(image.path, problems)
    for position, one in enumerate(tree.iter("object")):
        told = f"object {position + 1}"
        name = (one.findtext("name") or "").strip()
        box = box_of(one)
        if name not in index:
            expected = some_of(list(index))
            problems.error("unknown-class", image.path, f"{told}: its name is no class", expected, name[:80])
        elif box is None:
            received = ", ".join((one.findtext(f"bndbox/{side}") or "nothing")[:20] for side in _SIDES)
            message = f"{told}: its box has not four finite numbers"
            problems.error("annotation", image.path, message, ", ".join(_SIDES), received)
        else:
            image.add(told, box, None if is_difficult(one) else index[name])
            is_point = (box[0], box[1]) == (box[2], box[3])
            if (outline := _outline(one)) is not None and not is_point:
                agreement.add(told, box, image.size, outline)
    agreement.tell()
    return image.build()


def box_of(element: Element) -> tuple[float, float, float, float] | None:
    """y0, x0, y1, x1 of an object along the edges of pixels; None without four finite numbers."""
    sides = [_number(element.findtext(f"bndbox/{side}")) for side in _SIDES]
    y0, x0, y1, x1 = (math.nan if number is None else number for number in sides)
    if math.isnan(y0 + x0 + y1 + x1):
        return None
    is_point = (y0, x0) == (y1, x1)  # one pixel is what programs write for no box
    return (y0, x0, y1, x1) if is_point else (y0 - 1, x0 - 1, y1, x1)


def is_difficult(element: Element) -> bool:
    """Whether an object is one that counts neither as found nor as missed."""
    return (element.findtext("difficult") or "0").strip().lower() in ("1", "true")


def _outline(element: Element) -> Shape | None:
    """The polygon that some programs write beside the box: x1, y1, x2 ... or points of x and y."""
    inside = list(element.iterfind("polygon//*"))
    x, y = ([_number(one.text) for one in inside if re.fullmatch(f"{axis}[0-9]*", one.tag)] for axis in "xy")
    points = [(a, b) for a, b in zip(x, y, strict=False) if a is not None and b is not None]
    return Shape((np.array(points, np.float64),)) if len(points) > 2 else None


def _number(text: str | None) -> float | None:
    """The finite number that a text is, else None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
