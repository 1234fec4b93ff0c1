"""Pascal VOC: an XML file of boxes per image, pixels counted from 1, the last one included.

Format: the VOC 2012 development kit. A `difficult` object is an area where objects are unknown, as its
evaluation leaves them out. Programs write such files with numbers from 0, too, which count the edges of
pixels: a dataset in which a box begins at 0 is taken for that as a whole.
"""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.parsers.expat import ExpatError

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import LabelError, ReunetError
from reunet.io.annotations.agreement import Agreement
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import image_size
from reunet.io.annotations.pictures import Pictures, paired, tell_other_names
from reunet.io.annotations.sheet import Corners, Sheet, Sheets

_MOST_BYTES = 64 << 20
_SIDES = ("ymin", "xmin", "ymax", "xmax")
_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}
_KNOWN = frozenset({"folder", "filename", "path", "source", "size", "segmented", "object"})
"""What a VOC file has in its first element."""

_MAY_BE_ZERO = re.compile(rb"<[xy]min>\s*[+-]?[0.]")


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects of the images that VOC files tell. A file is about the image of its name: what it has for
    `filename` is often of another copy of the data, and a warning only where it is another image of this one.
    """
    if (zero := begins_at_zero(problems.root, files)) is not None:
        message = "a box begins at 0: pixels are taken as counted from 0 in all files, not from 1"
        received = "ymin {:g}, xmin {:g}, ymax {:g}, xmax {:g}".format(*zero[1])
        problems.warning(
            "voc-from-zero", zero[0], message, "xmin and ymin from 1, as in Pascal VOC", received
        )
    sheets = paired(files, pictures, problems, partial(_fill, first=int(zero is None)))
    tell_other_names([sheet for sheet in sheets if pictures.has(sheet.named)], problems)
    return Sheets(sheets)


def begins_at_zero(root: Path, files: Sequence[Path]) -> tuple[Path, Corners] | None:
    """The first VOC file in which a box begins at 0, and its ymin, xmin, ymax and xmax; None where all count
    pixels from 1.

    Looks at all files below `root`, the folder of the dataset, as splits and what was there before a
    correction count, too; and at `files`, which may lie elsewhere.
    """
    for path in sorted({*root.rglob("*.[xX][mM][lL]"), *files}):
        with suppress(ReunetError, OSError, ExpatError, LookupError):
            is_other = path.stat().st_size > _MOST_BYTES or not _MAY_BE_ZERO.search(_plain(path))
            for one in () if is_other else parse_voc(path).iter("object"):
                y0, x0, y1, x1 = sides = _sides(one)
                if (0 <= y0 < 1 or 0 <= x0 < 1) and y0 < y1 and x0 < x1:
                    return path, sides
    return None


def _plain(path: Path) -> bytes:
    """What is in a file, of UTF-16 too, as far as tags and numbers go."""
    return path.read_bytes().replace(b"\0", b"")


def _fill(path: Path, sheet: Sheet, *, first: int) -> None:
    """Add the objects of a file. first: the number of the first pixel, 0 or 1. Raises as `parse_voc`."""
    tree = parse_voc(path)
    inside = [one.tag for one in tree]
    if inside and _KNOWN.isdisjoint(inside):
        expected, received = "<filename>, <size>, <object>", f"<{inside[0][:40]}>"
        raise LabelError("the file is none of Pascal VOC", expected=expected, received=received)
    sheet.named = (tree.findtext("filename") or "").strip()
    with sheet.problems.noting("image-size", path, "the size of the image is"):
        told = {side: _side(tree.findtext(f"size/{side}")) for side in ("height", "width")}
        sheet.size = image_size(told) or sheet.size
    agreement = Agreement(path, sheet.problems)
    for position, one in enumerate(tree.iter("object")):
        told_as = f"object {position + 1}"
        if (box := box_of(one, first)) is None:
            received = ", ".join((one.findtext(f"bndbox/{side}") or "nothing")[:20] for side in _SIDES)
            message = f"{told_as}: its box has not four finite numbers"
            sheet.problems.error("annotation", path, message, ", ".join(_SIDES), received)
            continue
        with sheet.about(told_as):
            sheet.add(told_as, (one.findtext("name") or "").strip(), box, unknown=is_difficult(one))
        is_point = (box[0], box[1]) == (box[2], box[3])
        if (outline := _outline(one)) is not None and not is_point:
            agreement.add(told_as, box, sheet.size, outline)
    agreement.tell()


def _side(text: str | None) -> float | str:
    """A height or width as `image_size` takes it."""
    number = _number((text or "").strip())
    return (text or "").strip() if number is None else number


def parse_voc(path: Path) -> Element:
    """The elements of a VOC file. Raises as `parse_xml` does."""
    return parse_xml(path, "annotation", _MOST_BYTES)


def parse_xml(path: Path, root: str, most_bytes: int) -> Element:
    """The elements of an XML file whose first one is called `root`. Entities, which can grow without end or
    read other files, are refused.

    Raises LabelError, and what the parser does.
    """

    def refuse(*_: object) -> NoReturn:
        raise LabelError(
            "the XML file defines entities", expected="plain XML", fix="write it without DOCTYPE"
        )

    if path.stat().st_size > most_bytes:
        raise LabelError("the XML file is too large", expected=f"at most {most_bytes:,} bytes")
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    parser.Parse(path.read_bytes(), True)
    if (tree := builder.close()).tag != root:
        raise LabelError("the file is another XML", expected=f"<{root}>", received=f"<{tree.tag}>")
    return tree


def box_of(element: Element, first: int) -> Corners | None:
    """y0, x0, y1, x1 of an object along the edges of pixels; None without four finite numbers.

    first: the number of the first pixel. From 1 the last pixel of a box is included, from 0 it is not.
    """
    y0, x0, y1, x1 = sides = _sides(element)
    if math.isnan(sum(sides)):
        return None
    is_point = (y0, x0) == (y1, x1)  # one pixel is what programs write for no box
    return sides if is_point else (y0 - first, x0 - first, y1, x1)


def _sides(element: Element) -> Corners:
    """The numbers of `_SIDES` as an object states them; nan for what is none."""
    told = (_number(element.findtext(f"bndbox/{side}")) for side in _SIDES)
    y0, x0, y1, x1 = (math.nan if number is None else number for number in told)
    return y0, x0, y1, x1


def is_difficult(element: Element) -> bool:
    """Whether an object is one that counts neither as found nor as missed. Raises LabelError where that is
    neither 0 nor 1, nor false or true; without any text it is 0.
    """
    told = (element.findtext("difficult") or "").strip()
    if told.lower() not in _FLAGS:
        raise LabelError("difficult is neither 0 nor 1", expected="0 or 1", received=told[:40])
    return _FLAGS[told.lower()]


def _outline(element: Element) -> Shape | None:
    """The polygon that some programs write beside the box: x1, y1, x2 ... or points of x and y."""
    inside = list(element.iterfind("polygon//*"))
    x, y = ([_number(one.text) for one in inside if re.fullmatch(f"{axis}[0-9]*", one.tag)] for axis in "xy")
    points = [(a, b) for a, b in zip(x, y, strict=False) if a is not None and b is not None]
    return Shape.of(np.array(points, np.float64)) if len(points) > 2 else None


def _number(text: str | None) -> float | None:
    """The finite number that a text is, else None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
