"""The boxes of a Pascal VOC file, replaced; all else in the file stays as it is."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reunet.io.annotations.voc import box_of, is_difficult, parse_voc
from reunet.io.annotations.wanted import Told, Wanted, settled
from reunet.storage import write_text


def write_voc_boxes(
    path: Path,
    image: Path,
    wanted: Sequence[Wanted],
    classes: Sequence[str],
    size: tuple[int, int],
    first: int,
) -> tuple[int, int]:
    """Let the file of an image tell `wanted`; how many objects went, and how many came.

    classes: names of the class indices. size: (height, width). first: the number of the first pixel in the
    files of the dataset. Objects that are as they are to be stay with all their fields, and so do `difficult`
    ones. A file that does not exist is begun. Raises LabelError, StorageError.
    """
    tree = parse_voc(path) if path.is_file() else _begun(image, size)
    told = []
    for element in tree.findall("object"):
        name, box = (element.findtext("name") or "").strip(), box_of(element, first)
        if name in classes and box is not None and not is_difficult(element):
            (y0, x0, y1, x1), (height, width) = box, size
            inside = max(y0, 0.0), max(x0, 0.0), min(y1, float(height)), min(x1, float(width))
            told.append(Told(inside, classes.index(name), element))
    _, gone, new = settled(wanted, told)
    for one in gone:
        tree.remove(one.entry)
    for wish in new:
        tree.append(_element(wish, classes, first))
    indent(tree)
    write_text(path, tostring(tree, encoding="unicode") + "\n")
    return len(gone), len(new)


def _begun(image: Path, size: tuple[int, int]) -> Element:
    tree = Element("annotation")
    SubElement(tree, "filename").text = image.name
    sides = SubElement(tree, "size")
    for name, side in (("width", size[1]), ("height", size[0])):
        SubElement(sides, name).text = str(side)
    return tree


def _element(wish: Wanted, classes: Sequence[str], first: int) -> Element:
    """An object, as `box_of` reads it."""
    element = Element("object")
    for name, text in (("name", classes[wish.category]), ("truncated", "0"), ("difficult", "0")):
        SubElement(element, name).text = text
    box = SubElement(element, "bndbox")
    y0, x0, y1, x1 = wish.corners
    for side, value in (("xmin", x0 + first), ("ymin", y0 + first), ("xmax", x1), ("ymax", y1)):
        SubElement(box, side).text = f"{round(value, 2):g}"
    return element
