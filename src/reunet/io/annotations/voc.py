"""Pascal VOC: an XML file of boxes per image, pixels counted from 1, the last one included.

Format: the VOC 2012 development kit. A `difficult` object is an area where objects are unknown, as its
evaluation leaves them out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

from reunet.contracts.findings import Findings
from reunet.errors import LabelError
from reunet.io.annotations.annotated_image import AnnotatedImage, Annotations, ImageBuilder, too_many
from reunet.io.header import MAX_PIXELS

_MOST_BYTES = 64 << 20
_SIDES = ("ymin", "xmin", "ymax", "xmax")


def read_voc(
    paths: Mapping[str, Path], problems: Findings, classes: Sequence[str] | None = None
) -> Annotations:
    """The objects of the images that VOC files tell; the classes are all names in them unless given.

    paths: the file about each image, by the name that `AnnotatedImage.file` gets; what the XML has for
    `filename` is often of another copy of the data. Adds errors and warnings as `read_coco` does.
    """
    trees = {name: tree for name, path in paths.items() if (tree := _read(path, problems)) is not None}
    if classes is None:
        told = (one.findtext("name") or "" for tree in trees.values() for one in tree.iter("object"))
        classes = sorted({name.strip() for name in told} - {""})
    if trees and too_many(classes, next(iter(paths.values())), problems):
        return Annotations(tuple(classes), ())
    index = {name: i for i, name in enumerate(classes)}
    images = (_image(name, paths[name], tree, index, problems) for name, tree in trees.items())
    return Annotations(tuple(classes), tuple(image for image in images if image is not None))


def _read(path: Path, problems: Findings) -> Element | None:
    try:
        tree = _parse(path)
        if tree.tag != "annotation":
            raise LabelError("not a VOC file", expected="<annotation>", received=f"<{tree.tag}>")
    except (OSError, expat.ExpatError, ParseError, LookupError, ValueError) as cause:
        problems.error("annotations-unreadable", path, "could not read an XML file", "", str(cause))
    except LabelError as cause:
        problems.caught("annotations-unreadable", path, cause)
    else:
        return tree
    return None


def _parse(path: Path) -> Element:
    """The elements of an XML file. Entities, which can grow without end or read other files, are refused."""

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
    return builder.close()


def _image(
    file: str, path: Path, tree: Element, index: dict[str, int], problems: Findings
) -> AnnotatedImage | None:
    sides = [_number(tree.find(f"size/{side}")) for side in ("height", "width")]
    height, width = (int(side) if side is not None and side == int(side) else 0 for side in sides)
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        expected = f"whole numbers above 0, at most {MAX_PIXELS:,} pixels"
        problems.error("image-size", path, "its size cannot be used", expected, f"{height} x {width}")
        return None
    image = ImageBuilder(path, file, (height, width), problems)
    for position, one in enumerate(tree.iter("object")):
        told = f"object {position + 1}"
        name = (one.findtext("name") or "").strip()
        corners = [_number(one.find(f"bndbox/{side}")) for side in _SIDES]
        y0, x0, y1, x1 = (math.nan if number is None else number for number in corners)
        if name not in index:
            expected = ", ".join(index)
            problems.error("unknown-class", path, f"{told}: its name is no class", expected, name)
        elif math.isnan(y0 + x0 + y1 + x1):
            received = ", ".join(one.findtext(f"bndbox/{side}") or "nothing" for side in _SIDES)
            message = f"{told}: its box has not four finite numbers"
            problems.error("annotation", path, message, ", ".join(_SIDES), received)
        else:
            point = (y0, x0) == (y1, x1)  # one pixel is what programs write for no box
            category = None if (one.findtext("difficult") or "0").strip() == "1" else index[name]
            image.add(told, (y0, x0, y1, x1) if point else (y0 - 1, x0 - 1, y1, x1), category)
    return image.build()


def _number(element: Element | None) -> float | None:
    """The finite number in an element, else None."""
    try:
        value = float(element.text or "") if element is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
