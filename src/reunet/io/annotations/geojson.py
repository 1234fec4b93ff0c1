"""Objects as GeoJSON that QuPath opens (RFC 7946, and QuPath's properties); coordinates are pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.io.annotations.crops import object_crops
from reunet.io.annotations.polygons import mask_rings
from reunet.storage import write_text


def write_geojson(path: Path, ids: np.ndarray, labels: LabelMap, classes: np.ndarray | None = None) -> None:
    """Write the objects of `ids` (H, W) atomically, each with its class' name and colour, by id.

    classes: (max id + 1,) class indices; None where there is one kind of object, the last class of `labels`.
    """
    features = []
    for number, corner, mask in object_crops(ids):
        parts = [[_closed(ring) for ring in part] for part in mask_rings(mask, corner)]
        entry = labels.classes[-1 if classes is None else int(classes[number])]
        geometry: dict[str, Any] = {"type": "Polygon", "coordinates": parts[0]}
        if len(parts) > 1:
            geometry = {"type": "MultiPolygon", "coordinates": parts}
        properties = {
            "objectType": "detection",  # which QuPath shows quickly in any number
            "name": str(number),
            "classification": {"name": entry.name, "color": list(entry.color)},
        }
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    write_text(path, text + "\n")


def _closed(ring: np.ndarray) -> list[list[int]]:
    """The ring with its first point again at the end, as GeoJSON wants it."""
    points: list[list[int]] = ring.tolist()
    return [*points, points[0]]
