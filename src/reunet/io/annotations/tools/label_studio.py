"""Label Studio: one JSON file about all tasks, shares of 100 as coordinates, brushes as packed run lengths.

Format: https://labelstud.io/guide/export. A task has a list of annotations, one for each person who drew on
its image; they are kept apart. Predictions and what was skipped count for nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import Shape
from reunet.io.annotations.coco_fields import angle_of, image_size, ring_of
from reunet.io.annotations.outlines import ellipse, no_area, rectangle, ring_through, turned
from reunet.io.annotations.pictures import Pictures
from reunet.io.annotations.rle import mask_runs
from reunet.io.annotations.sheet import MOST_BYTES, Corners, Sheet, Sheets
from reunet.storage import read_json

_AREAS = ("rectangle", "polygon", "ellipse", "brush")
"""Tools that draw areas. `rectanglelabels` tells both; else `labels` of the same id has the class."""

_PLACES = ("x", "points", "rle", "imageDataURL", "vertices")
"""What a result has that is about a place."""

_CHANNELS = 4
"""A brush is packed as red, green, blue and opacity of every pixel; the opacity is the mask."""


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects of all images of the tasks, a sheet for each annotation."""
    sheets: list[Sheet] = []
    for path in files:
        with problems.noting("annotations-unreadable", path, "the export of Label Studio is"):
            data = read_json(path, DataError, MOST_BYTES)
            tasks = data if isinstance(data, list) else [data]
            for position, task in enumerate(tasks):
                with problems.noting("annotation", path, f"task {position + 1} is"):
                    sheets += _sheets(path, task, pictures, problems)
    return Sheets(sheets)


def _sheets(path: Path, task: dict[str, Any], pictures: Pictures, problems: Findings) -> Iterator[Sheet]:
    told = [value for value in task.get("data", {}).values() if isinstance(value, str)]
    files = [value for value in told if "." in value.rsplit("/", 1)[-1]] or told
    if "annotations" not in task or not files:
        fix = "export it as JSON, not as JSON-MIN"
        raise LabelError("the task has no annotations", expected="data, annotations", fix=fix)
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled"):
            continue
        results = _regions(annotation["result"])
        size = _stated_size(results)
        sheet = pictures.sheet(path, files[0], problems, size, _person(annotation))
        if sheet is not None:
            _fill(sheet, results)
            yield sheet


def _stated_size(results: Sequence[dict[str, Any]]) -> tuple[int, int] | None:
    """Height and width of the image that regions were drawn on, None where none states it. Raises LabelError
    where they state several.
    """
    sides = [{name: one.get(f"original_{name}") for name in ("height", "width")} for one in results]
    sizes = list(dict.fromkeys(size for one in sides if (size := image_size(one)) is not None))
    if len(sizes) > 1:
        received, fix = " and ".join(f"{height} x {width}" for height, width in sizes[:2]), "label it again"
        what = "its regions state images of different sizes"
        raise LabelError(what, expected="one height and width", received=received, fix=fix)
    return sizes[0] if sizes else None


def _regions(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is about places, with the `classes` that are told of each; not what another result of its id has
    drawn.
    """
    labels = {one.get("id"): one["value"].get("labels") for one in results if one.get("type") == "labels"}
    drawn = {one.get("id") for one in results if one.get("type") in _AREAS}
    found = []
    for one in results:
        kind, value = str(one.get("type")), one.get("value")
        if not isinstance(value, dict) or not any(name in value for name in _PLACES):
            continue
        if kind == "labels" and one.get("id") in drawn:
            continue
        classes = labels.get(one.get("id")) if kind in _AREAS else value.get(kind)
        found.append(one | {"type": kind, "classes": classes})
    return found


def _person(annotation: dict[str, Any]) -> str:
    """Who drew it: an address, else a number."""
    told = annotation.get("completed_by")
    told = (told.get("email") or told.get("id")) if isinstance(told, dict) else told
    return str(told if told is not None else annotation.get("id", ""))[:80]


def _fill(sheet: Sheet, results: Sequence[dict[str, Any]]) -> None:
    for position, one in enumerate(results):
        name = f"{sheet.image.name}, region {position + 1}"
        with sheet.about(name):
            kind, labels = one["type"].removesuffix("labels"), one["classes"] or [""]
            if kind not in _AREAS:
                raise no_area(", ".join(_AREAS), one["type"])
            if len(labels) > 1:
                fix = "give each region one label"
                raise LabelError("it has several labels", expected="one", received=labels, fix=fix)
            sheet.add(name, str(labels[0]), _told(one | {"type": kind}, sheet.size))


def _told(one: dict[str, Any], size: tuple[int, int]) -> Shape | Corners:
    """The pixels of a region, or the corners of an upright box. Raises LabelError."""
    value, (height, width) = one["value"], size
    if one.get("image_rotation"):
        fix = "turn the image itself, and label it again"
        raise LabelError("it was drawn on a turned image", received=one["image_rotation"], fix=fix)
    scale, angle = np.array([width, height]) / 100, angle_of(value.get("rotation"))
    if one["type"] == "polygon":
        return Shape.of(ring_through(value["points"]) * scale)
    if one["type"] == "brush":
        return Shape(runs=mask_runs(_brush(value, size), (0, 0), size))
    corner = ring_of([value["x"], value["y"]])[0] * scale
    if one["type"] == "ellipse":
        return ellipse(corner, ring_of([value["radiusX"], value["radiusY"]])[0] * scale, angle)
    points = np.stack([corner, corner + ring_of([value["width"], value["height"]])[0] * scale])
    if angle:
        return Shape.of(turned(rectangle(points).rings[0], corner, angle))
    (x0, y0), (x1, y1) = points.tolist()
    return y0, x0, y1, x1


def _brush(value: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool of a brush. Raises LabelError."""
    numbers = value.get("rle")
    if value.get("format") != "rle" or not isinstance(numbers, list):
        raise LabelError("the brush is not told as run lengths", expected="format: rle")
    packed = np.array(numbers)
    if packed.dtype.kind not in "iu" or packed.size < 8 or packed.min() < 0 or packed.max() > 255:
        raise LabelError("the run lengths of the brush are damaged", expected="bytes, 0 to 255")
    values = unpack(packed.astype(np.uint8), size[0] * size[1] * _CHANNELS)
    return np.asarray(values.reshape(*size, _CHANNELS)[..., -1] > 0)


def unpack(packed: np.ndarray, count: int) -> np.ndarray:
    """(count,) uint8 of values in the packing of thi.ng/rle-pack, which Label Studio uses.

    Bits: 32 for the number of values, 5 for the bits of a value less one, four times 4 for the bits of a
    length less one; then runs: a bit that says whether one value repeats, 2 for which of the four lengths
    is meant, the length less one, and the value or the values. Raises LabelError.
    """
    bits = np.unpackbits(packed)
    place = 0

    def number(width: int) -> int:
        nonlocal place
        place += width
        if place > bits.size:
            raise LabelError("the run lengths of the brush end early")
        return int("".join(map(str, bits[place - width : place].tolist())), 2)

    told = number(32)
    if told != count:
        fix = "export it again with the images that were drawn on, or paint this one anew"
        expected = f"{count // _CHANNELS} pixels, as the image"
        received = f"{told // _CHANNELS} pixels"
        raise LabelError("the brush mask is of another size", expected=expected, received=received, fix=fix)
    word = number(5) + 1
    lengths = [number(4) + 1 for _ in range(4)]
    if word != 8:
        raise LabelError("the brush is packed otherwise", expected="8 bits a value", received=word)
    values = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        repeats, kind = number(1), number(2)
        length = number(lengths[kind]) + 1
        if repeats:
            values[done : done + length] = number(word)
        else:
            length = min(length, count - done)
            some = bits[place : place + length * word]
            place += length * word
            if some.size < length * word:
                raise LabelError("the run lengths of the brush end early")
            values[done : done + length] = np.packbits(some)
        done += length
    return values
