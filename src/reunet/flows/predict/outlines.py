"""What is found in a large image as outlines, in the coordinates of another program."""

from collections.abc import Iterator, Mapping
from math import ceil

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.flows.predict.mosaic import Mosaic
from reunet.flows.predict.outputs import Job
from reunet.flows.predict.slides import is_pyramid
from reunet.io.annotations.geojson import Feature, Place, outline_feature, region_features, write_features
from reunet.io.header import ImageHeader
from reunet.io.large_masks import TILE
from reunet.slices import all_of, grid

MOST_SIDE = 8192
"""Pixels per side at which regions are outlined: of larger images those of every second pixel, and so on."""


def write_outlines(
    job: Job,
    finest: ImageHeader,
    header: ImageHeader,
    found: Mosaic,
    objects: Mapping[str, np.ndarray] | None,
    labels: LabelMap,
) -> None:
    """Write the outlines of a slide for QuPath, in pixels of its finest level, of an image on a map in its
    coordinates: of its objects, or else of the regions of its classes.

    finest, header: of that level, and of the one that was predicted. objects: what is known of them.
    """
    if not is_pyramid(finest) and header.map is None:
        return
    place, urn = _placement(finest, header)
    if objects is not None:
        features = objects_of(found, objects, labels, place)
    elif "masks" in found.kinds:
        features = regions_of(found, header.size, labels, place)
    else:
        return
    write_features(job.path("geojson", ".geojson"), features, urn)


def _placement(finest: ImageHeader, header: ImageHeader) -> tuple[Place, str | None]:
    """Where pixels of the level of `header` lie, and the map that this is on."""
    if header.map is not None and not is_pyramid(finest):
        return header.map.place, header.map.urn
    scale = np.array(finest.size[::-1]) / np.array(header.size[::-1])
    return (lambda points: np.round(points * scale, 2)), None


def objects_of(
    found: Mosaic, objects: Mapping[str, np.ndarray], labels: LabelMap, place: Place
) -> Iterator[Feature]:
    """A feature for each object, by where it lies. objects: what is known of them, a column each."""
    corners = np.stack([objects[f"box_{side}"] for side in ("y0", "x0", "y1", "x1")], axis=-1)
    order = np.lexsort((corners[:, 1] // TILE, corners[:, 0] // TILE))  # chunk by chunk
    for i in order:
        top, left, bottom, right = corners[i].tolist()
        ids = found.read("instances", (slice(top, bottom), slice(left, right)))
        number, entry = int(objects["id"][i]), labels.classes[int(objects["class"][i])]
        yield outline_feature(str(number), ids == number, (top, left), entry, place)


def regions_of(found: Mosaic, size: tuple[int, ...], labels: LabelMap, place: Place) -> Iterator[Feature]:
    """A feature for each connected region of a class."""
    step = ceil(max(size) / MOST_SIDE)
    classes = np.empty(tuple(ceil(side / step) for side in size), np.uint8)
    for part in grid(all_of(size), (TILE * step, size[1])):
        rows = slice(part[0].start // step, ceil(part[0].stop / step))
        classes[rows] = found.read("masks", part)[::step, ::step]
    return region_features(classes, labels, lambda points: place(np.minimum(points * step, size[::-1])))
