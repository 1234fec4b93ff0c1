"""Single objects, written as label images, outlines and rows of tables."""

from __future__ import annotations

import numpy as np

from reunet.contracts.results import Prediction
from reunet.io.annotations.coco_write import object_entries
from reunet.io.annotations.geojson import write_geojson
from reunet.io.annotations.imagej import write_rois
from reunet.io.annotations.instances import write_instances
from reunet.tasks.instances.properties import majority_class, object_table
from reunet.tasks.outputs import MASK_SUFFIXES, Destination, Output, Page, Told, listed

MOST_PNG_IDS = np.iinfo(np.uint16).max


def write_outlines(ids: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write the outlines with their classes, of a single image."""
    if to.like is None and not to.pages:
        classes = majority_class(ids, result.labels, to.labels)
        write_geojson(to.path("geojson", ".geojson"), ids, to.labels, classes)


def write_regions(ids: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write the outlines for ImageJ, which has none of volumes."""
    if to.like is None:
        write_rois(to.path("rois", ".zip"), ids)


def write_ids(ids: np.ndarray, result: Prediction, to: Destination) -> None:
    """Write the label image."""
    flat = ".png" if ids.max(initial=0) <= MOST_PNG_IDS else ".tif"
    write_instances(to.mask("instances", flat), ids, to.like)


OUTPUTS = (
    Output("geojson", (".geojson",), "instances", write_outlines),
    Output("rois", (".zip",), "instances", write_regions),
    Output("instances", MASK_SUFFIXES, "instances", write_ids, is_proof=True),
)


def described(result: Prediction, page: Page) -> Told:
    """A row per object. COCO has no volumes, and no outlines are kept of images predicted in sections."""
    ids, names = result.instances, np.array(page.labels.names, object)
    if page.objects is not None:
        return Told((listed({**page.objects, "class": names[page.objects["class"]]}),))
    if ids is None or page.image is None:
        return Told()
    classes = majority_class(ids, result.labels, page.labels)
    table = object_table(ids, page.image, spacing=page.spacing, classes=classes)
    table["class"] = names[table["class"]]
    if page.sequence is not None and result.parents is not None:
        count, track = len(table["id"]), table["id"]
        table["sequence"], table["frame"] = np.full(count, page.sequence), np.full(count, page.frame)
        table["track"], table["parent"] = track, result.parents[track]
    return Told((listed(table),), list(object_entries(ids, classes)) if ids.ndim == 2 else None)
