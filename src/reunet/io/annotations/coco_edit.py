"""The objects of one image in a COCO file, replaced; all else in the file stays as it is."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reunet.errors import DataError, LabelError
from reunet.io.annotations.coco_fields import corners_of, identity, is_unknown, shape_of
from reunet.io.annotations.files import NamedImages
from reunet.io.annotations.wanted import Told, Wanted, settled
from reunet.storage import read_json, read_text, write_text

Entry = dict[str, Any]


def write_coco_objects(
    path: Path,
    image: Path,
    folders: Sequence[Path],
    wanted: Sequence[Wanted],
    classes: Sequence[str],
    size: tuple[int, int],
) -> tuple[int, int]:
    """Let a COCO file tell `wanted` of the file `image`; how many entries went, and how many came.

    folders: as of `read_coco`. classes: names of the class indices. size: (height, width) of the image.
    Entries that tell an object as it is to be stay with all their fields, and so do crowds. An image that the
    file does not list is added to it; a file that does not exist is begun. Raises DataError, StorageError.
    """
    data = read_json(path, DataError) if path.is_file() else {}
    entries: list[Entry] = data.setdefault("annotations", [])
    number = _image_id(data, image, folders, size)
    categories = _category_ids(data, classes, {one.category for one in wanted})
    index = {category: i for i, category in categories.items()}
    told, rest = [], []
    for entry in entries:
        one = _told(entry, index, size) if identity(entry.get("image_id")) == number else None
        (rest.append(entry) if one is None else told.append(one))
    kept, gone, new = settled(wanted, told)
    staying = {id(one.entry) for one in kept} | {id(entry) for entry in rest}
    highest = max((i for i in map(_number, entries) if i is not None), default=0)
    made: list[Entry] = [
        {
            "id": highest + i,
            "image_id": number,
            "category_id": categories[one.category],
            **{key: value for key, value in one.entry.items() if key != "category"},
        }
        for i, one in enumerate(new, 1)
    ]
    data["annotations"] = [entry for entry in entries if id(entry) in staying] + made
    write_text(path, json.dumps(data, ensure_ascii=False, allow_nan=False, indent=_indent(path)) + "\n")
    return len(gone), len(made)


def _image_id(data: Entry, image: Path, folders: Sequence[Path], size: tuple[int, int]) -> int | str:
    """The id of an image; where the file does not list it, it is added."""
    named, wanted = NamedImages(folders), image.absolute()
    images: list[Entry] = data.setdefault("images", [])
    for entry in images:
        _, found = named.find(str(entry.get("file_name")))
        number = identity(entry.get("id"))
        if found is not None and found.absolute() == wanted and number is not None:
            return number
    below = next((one for one in reversed(folders) if image.is_relative_to(one)), image.parent)
    added = max((i for i in map(_number, images) if i is not None), default=0) + 1
    name = image.relative_to(below).as_posix()
    images.append({"id": added, "file_name": name, "height": size[0], "width": size[1]})
    return added


def _category_ids(data: Entry, classes: Sequence[str], used: set[int]) -> dict[int, int | str]:
    """The id in the file of each class index; a class that is used and not listed is added."""
    listed: list[Entry] = data.setdefault("categories", [])
    ids = {entry.get("name"): identity(entry.get("id")) for entry in listed}
    found: dict[int, int | str] = {}
    for index, name in enumerate(classes):
        number = ids.get(name)
        if number is None and index in used:
            number = max((i for i in map(_number, listed) if i is not None), default=0) + 1
            listed.append({"id": number, "name": name})
        if number is not None:
            found[index] = number
    return found


def _told(entry: Entry, index: dict[int | str, int], size: tuple[int, int]) -> Told[Entry] | None:
    """What an entry tells; None of one that is no single object: crowds, and what readers leave out."""
    number = identity(entry.get("category_id"))
    category = index.get(number) if number is not None else None
    if number is None and len(index) == 1:
        category = next(iter(index.values()))
    try:
        corners = corners_of(entry.get("bbox"))
        if corners is None or corners[0] == corners[2] or corners[1] == corners[3]:
            shape, _ = shape_of(entry.get("segmentation"), size)
            corners = None if shape is None else shape.bounds(size[0])
        if category is None or corners is None or is_unknown(entry):
            return None
    except LabelError:
        return None
    y0, x0, y1, x1 = corners
    height, width = size
    return Told((max(y0, 0.0), max(x0, 0.0), min(y1, height), min(x1, width)), category, entry)


def _number(entry: Entry) -> int | None:
    number = identity(entry.get("id"))
    return number if isinstance(number, int) else None


def _indent(path: Path) -> int | None:
    """How many blanks the file is indented by; None of one that is written in one line."""
    if not path.is_file():
        return 1
    found = re.match(r"\s*\{\s*?\n( +)", read_text(path, DataError, "a JSON file")[:4096])
    return len(found[1]) if found else None
