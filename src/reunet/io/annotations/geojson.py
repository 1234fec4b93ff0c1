"""Objects as GeoJSON of QuPath (RFC 7946, and QuPath's properties), written and read; coordinates are pixels.

Format: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.findings import Findings
from reunet.contracts.labels import ClassInfo, LabelMap
from reunet.errors import DataError, LabelError
from reunet.io.annotations.annotated_image import ObjectMap, Shape
from reunet.io.annotations.coco_fields import ring_of
from reunet.io.annotations.drawn import number_in, object_map
from reunet.io.annotations.outlines import no_area, object_crops
from reunet.io.annotations.pictures import Pictures, paired
from reunet.io.annotations.polygons import mask_rings
from reunet.io.annotations.sheet import MOST_BYTES, Sheet, Sheets
from reunet.storage import atomic_path, read_json

_NO_OBJECTS = frozenset({"root", "tile", "tma_core"})
"""What QuPath has beside annotations, detections and cells."""

IGNORED = "*"
"""What names of classes end in that QuPath leaves out, such as Ignore*: such an object is an unknown area."""

_CLASSES = ("classification", "class", "label", "category")
"""The property that tells the class, of QuPath and of programs for maps; the first that is there."""

Feature = dict[str, Any]


Place = Callable[[np.ndarray], np.ndarray]
"""From points (n, 2), x and y in pixels, to where they lie in what the file is for."""


def as_pixels(points: np.ndarray) -> np.ndarray:
    """Points where they are."""
    return points


def write_features(path: Path, features: Iterable[Feature], crs: str | None = None) -> None:
    """Write features atomically, one after the other. crs: URN of the map that their coordinates are of."""
    head = f'{{"type": "FeatureCollection", {_crs(crs)}"features": [\n'
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(head)
        for number, feature in enumerate(features):
            file.write((",\n" if number else "") + json.dumps(feature, ensure_ascii=False))
        file.write("\n]}\n")


def _crs(name: str | None) -> str:
    told = {"type": "name", "properties": {"name": name}}  # as in the GeoJSON of 2008, which GDAL reads
    return "" if name is None else f'"crs": {json.dumps(told)}, '


def collection(features: Iterable[Feature]) -> Feature:
    """Features as one object of GeoJSON."""
    return {"type": "FeatureCollection", "features": list(features)}


def object_features(
    ids: np.ndarray,
    labels: LabelMap,
    classes: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    place: Place = as_pixels,
) -> Iterator[Feature]:
    """A feature for each object of `ids` (H, W), by id, with its class' name and colour.

    classes: (max id + 1,) class indices; None where there is one kind of object, the last class of `labels`.
    scores: by id, how sure each is; a measurement, `score`.
    """
    for number, corner, mask in object_crops(ids):
        entry = labels.classes[-1 if classes is None else int(classes[number])]
        feature = outline_feature(str(number), mask, corner, entry, place)
        yield _scored(feature, scores, number)


def outline_feature(
    name: str, mask: np.ndarray, corner: tuple[int, int], entry: ClassInfo, place: Place = as_pixels
) -> Feature:
    """The outline of a mask (h, w) bool whose first pixel lies at `corner` (row, column)."""
    parts = [[_closed(place(ring)) for ring in part] for part in mask_rings(mask, corner)]
    geometry: dict[str, Any] = {"type": "Polygon", "coordinates": parts[0]}
    if len(parts) > 1:
        geometry = {"type": "MultiPolygon", "coordinates": parts}
    return _feature(geometry, name, entry)


def region_features(classes: np.ndarray, labels: LabelMap, place: Place = as_pixels) -> Iterator[Feature]:
    """A feature for each connected region of a foreground class in `classes` (H, W), numbered from 1."""
    import cv2

    number = 0
    for index in labels.foreground:
        _, ids = cv2.connectedComponents((classes == index).astype(np.uint8), connectivity=4)
        for _, corner, mask in object_crops(ids):
            number += 1
            yield outline_feature(str(number), mask, corner, labels.classes[index], place)


def box_features(boxes: Boxes, labels: LabelMap) -> Iterator[Feature]:
    """A rectangle for each box, with its score."""
    for number, (y0, x0, y1, x1) in enumerate(boxes.corners.tolist()):
        ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        feature = _feature(
            {"type": "Polygon", "coordinates": [ring]},
            str(number + 1),
            labels.classes[int(boxes.classes[number])],
        )
        yield _scored(feature, boxes.scores, number)


def _scored(feature: Feature, scores: np.ndarray | None, number: int) -> Feature:
    if scores is not None:
        feature["properties"]["measurements"] = {"score": float(scores[number])}
    return feature


def _feature(geometry: Feature, name: str, entry: ClassInfo) -> Feature:
    properties = {
        "objectType": "detection",  # which QuPath shows quickly in any number
        "name": name,
        "classification": {"name": entry.name, "color": list(entry.color)},
    }
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _closed(ring: np.ndarray) -> list[list[float]]:
    """The ring with its first point again at the end, as GeoJSON wants it."""
    points: list[list[float]] = ring.tolist()
    return [*points, points[0]]


def read_geojson(
    path: Path, size: tuple[int, int], classes: Mapping[str, int], problems: Findings
) -> ObjectMap:
    """The objects of an image of `size` (height, width) that a file tells.

    classes: class indices by name; without a classification an object is of the only one. Ids are the names
    of the features where these are different numbers, as `object_features` tells them. Adds an error for what
    is no GeoJSON, for lines and points, unknown classes, outlines of other pages and outside of the image.
    """
    sheet = Sheet(path, path, size, problems)
    with problems.noting("annotations-unreadable", path, "the GeoJSON is"):
        fill(path, sheet, classes)
    return object_map(sheet, classes)


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects that the files tell, each of the image of its name."""
    return Sheets(paired(files, pictures, problems, fill))


def fill(path: Path, sheet: Sheet, classes: Collection[str] = ()) -> None:
    """Add the objects of a file, unknown areas where their class ends in `IGNORED` and is none of `classes`.
    Raises LabelError, DataError for one that is no GeoJSON.
    """
    for position, feature in enumerate(_features(read_json(path, DataError, MOST_BYTES))):
        properties = feature.get("properties") or {}
        name = f"feature {position + 1}"
        if str(properties.get("objectType", "")).lower() in _NO_OBJECTS:
            continue
        with sheet.about(name):
            told = next((properties[key] for key in _CLASSES if properties.get(key)), None)
            label, number = _class_name(told), number_in(properties.get("name"))
            is_ignored = label is not None and label.endswith(IGNORED) and label not in classes
            shape = _shape(feature.get("geometry"))
            sheet.add(name, None if is_ignored else label, shape, unknown=is_ignored, number=number)


def _features(data: Any) -> Iterator[dict[str, Any]]:
    """The features of a collection, a list or a single one. Raises LabelError."""
    kind = data.get("type") if isinstance(data, dict) else None
    if isinstance(data, dict) and data.get("crs"):
        fix = "export the outlines in pixels of the image"
        received = str(data["crs"])[:80]
        raise LabelError("its coordinates are those of a map", expected="pixels", received=received, fix=fix)
    found = data if isinstance(data, list) else [data] if kind == "Feature" else None
    if kind == "FeatureCollection":
        found = data.get("features")
    if not isinstance(found, list) or not all(
        isinstance(one, dict) and one.get("type") == "Feature" for one in found
    ):
        expected = "a FeatureCollection, as QuPath exports objects"
        raise LabelError("the file is no GeoJSON of objects", expected=expected, received=str(data)[:80])
    yield from found


def _class_name(told: Any) -> str | None:
    """QuPath's classification: {"name": ...}, of several {"names": [...]}; a text of other programs."""
    if isinstance(told, dict):
        names = told.get("names")
        told = told.get("name") or (": ".join(map(str, names)) if isinstance(names, list) else None)
    return told if isinstance(told, str) and told else None


def _shape(geometry: Any) -> Shape:
    """The pixels of a Polygon or MultiPolygon. Raises LabelError for anything else."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    plane = (geometry.get("plane") or {}) if isinstance(geometry, dict) else {}
    if kind not in ("Polygon", "MultiPolygon"):
        raise no_area("Polygon or MultiPolygon", kind)
    if plane.get("z") or plane.get("t"):
        raise LabelError("it lies on another page", expected="z 0 and t 0", received=plane)
    parts = geometry.get("coordinates")
    told = [parts] if kind == "Polygon" else parts
    return Shape(tuple(tuple(map(_ring, rings)) for rings in told))


def _ring(told: Any) -> np.ndarray:
    """(n, 2) x, y of a ring, without its first point again at the end. Raises LabelError."""
    ring = ring_of([axis for point in told for axis in point[:2]])
    return ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring
