"""What a prediction leaves: files for each image, and the tables of all images together."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.plan import Plan
from reunet.contracts.results import Prediction
from reunet.errors import DataError
from reunet.io.annotations.coco_write import box_entries, object_entries, write_coco
from reunet.io.annotations.geojson import write_geojson
from reunet.io.annotations.imagej import write_rois
from reunet.io.annotations.instances import write_instances
from reunet.io.header import ImageHeader
from reunet.io.images import UNSTATED
from reunet.io.masks import write_mask
from reunet.io.planes import sheet, telling_planes
from reunet.io.render import overlay, to_display, write_picture
from reunet.io.render_objects import draw_boxes, outlines
from reunet.storage import csv_text, read_json, write_text
from reunet.tasks.instances.objects import object_table

FOLDERS: dict[str, tuple[tuple[str, str], ...]] = {
    "semantic": (("masks", ".png"), ("masks", ".tif"), ("masks", ".nii.gz")),
    "instances": (("instances", ".png"), ("instances", ".tif"), ("instances", ".nii.gz")),
    "detection": (("objects", ".json"),),
    "classification": (("objects", ".json"),),
}
"""By task: folders and endings, one of which an image has once everything of that task is written."""

ALWAYS = (
    ("overlays", ".png"), ("overlays", ".pages"), ("probabilities", ".npy"), ("objects", ".json"),
    ("geojson", ".geojson"), ("rois", ".zip"),
)  # fmt: skip
"""Further files that an image may have."""


@dataclass(frozen=True)
class Writer:
    """Writes what was found in an image.

    place: gives the path of a result from the name of its folder and its ending.
    name: of the image in tables.
    """

    plan: Plan
    place: Callable[[str, str], Path]
    name: str
    header: ImageHeader
    source: Path

    @property
    def labels(self) -> LabelMap:
        return self.plan.labels

    def write(self, image: np.ndarray, result: Prediction) -> None:
        """Everything of one image; what says that it is done comes last."""
        write_picture(self.place("overlays", ".png"), self.picture(image, result))
        self.objects(image, result)
        if result.instances is not None:
            self.instances(result.instances)
        if result.labels is not None:
            wide = self.labels.to_ids(np.zeros(1, np.uint8)).dtype != np.uint8
            suffix = ".nii.gz" if self.header.is_volume else ".tif" if wide else ".png"
            write_mask(self.place("masks", suffix), result.labels, self.labels, self._like)

    def picture(self, image: np.ndarray, result: Prediction) -> np.ndarray:
        """What was found, drawn over the image: (H, W, 3) uint8; of a volume some of its slices."""
        labels, ids = result.labels, result.instances
        found = labels if labels is not None else ids
        if self.header.is_volume and found is not None:
            inside = np.isin(found, self.labels.foreground) if labels is not None else found > 0
            planes = telling_planes(inside, self.header.spacing or UNSTATED)
            image = sheet(image[..., :1], planes)
            labels = None if labels is None else sheet(labels, planes, IGNORE)
            ids = None if ids is None else sheet(ids, planes, 0)
        shown = image if labels is None else overlay(image, labels, self.labels)
        if ids is not None:
            shown = outlines(shown, ids)
        if result.boxes is not None:
            shown = draw_boxes(shown, result.boxes, self.labels)
        return to_display(image) if shown is image else shown

    def instances(self, ids: np.ndarray) -> None:
        """Object ids (*space), and of an image their outlines for other programs."""
        if self.header.is_volume:
            write_instances(self.place("instances", ".nii.gz"), ids, self._like)
            return
        if ids.ndim == 2:
            write_geojson(self.place("geojson", ".geojson"), ids, self.labels)
        write_rois(self.place("rois", ".zip"), ids)
        stacked = ids.ndim == 3 or int(ids.max(initial=0)) > np.iinfo(np.uint16).max
        write_instances(self.place("instances", ".tif" if stacked else ".png"), ids)

    def objects(
        self, image: np.ndarray, result: Prediction, page: int | None = None
    ) -> dict[str, Any] | None:
        """Measures of all objects, and the class of the image, as JSON; None, and no file, without any.

        page: of a stack, whose pages are collected by the caller.
        """
        told: dict[str, Any] = {"image": self.name, "size": list(image.shape[:-1])}
        if page is not None:
            told["page"] = page + 1
        kind = max(self.labels.foreground, default=0)
        if result.instances is not None:
            classes = _classes(result.instances, result.labels, kind)
            columns = object_table(
                result.instances, image, spacing=self.header.spacing if self.header.is_volume else None
            )
            names = [self.labels.names[index] for index in classes[columns["id"]]]
            told["table"] = {"class": names} | {key: x.tolist() for key, x in columns.items()}
            if result.instances.ndim == 2:
                told["coco"] = list(object_entries(result.instances, classes))
        elif result.boxes is not None:
            corners = result.boxes.corners.tolist()
            names = [self.labels.names[index] for index in result.boxes.classes]
            scores = [] if result.boxes.scores is None else result.boxes.scores.tolist()
            told["table"] = {"class": names, "score": scores}
            for i, side in enumerate(("box_y0", "box_x0", "box_y1", "box_x1")):
                told["table"][side] = [corner[i] for corner in corners]
            told["coco"] = list(box_entries(result.boxes))
        if result.category is not None and result.category_probabilities is not None:
            names = list(self.plan.categories.names) if self.plan.categories is not None else []
            told["class"] = names[result.category]
            shares = map(float, result.category_probabilities)
            told["probabilities"] = dict(zip(names, shares, strict=True))
        if len(told) <= 2 + (page is not None):
            return None
        if page is None:
            write_text(self.place("objects", ".json"), json.dumps(told) + "\n")
        return told

    @property
    def _like(self) -> Path | None:
        return self.source if self.header.is_volume else None


def write_tables(output: Path, plan: Plan) -> None:
    """objects.csv, predictions.json (COCO) and classes.csv, from what was written for each image."""
    folder = output / "objects"
    parts = [part for file in sorted(folder.rglob("*.json")) for part in _parts(file)]
    if not parts:
        return
    tables = [(part, part["table"]) for part in parts if "table" in part]
    if tables:
        columns = list(dict.fromkeys(name for _, table in tables for name in table))
        rows = (
            (_title(part), *(table[name][i] if table.get(name) else "" for name in columns))
            for part, table in tables
            for i in range(len(table["class"]))
        )
        write_text(output / "objects.csv", csv_text(("image", *columns), rows))
    if any("coco" in part for part in parts):
        images = [(_title(part), (part["size"][0], part["size"][1]), part.get("coco", [])) for part in parts]
        write_coco(
            output / "predictions.json", images, [(entry.id, entry.name) for entry in plan.labels.classes]
        )
    named = [part for part in parts if "class" in part]
    if named:
        names = list(named[0]["probabilities"])
        rows = ((_title(part), part["class"], *part["probabilities"].values()) for part in named)
        write_text(output / "classes.csv", csv_text(("image", "class", *names), rows))


def _title(part: dict[str, Any]) -> str:
    return str(part["image"]) + (f"#{part['page']:04d}" if "page" in part else "")


def _parts(file: Path) -> Sequence[dict[str, Any]]:
    told = read_json(file, DataError)
    pages: Sequence[dict[str, Any]] = told.get("pages", [told])
    return pages


def _classes(ids: np.ndarray, labels: np.ndarray | None, kind: int) -> np.ndarray:
    """Class index of each id, (max id + 1,) uint8: what most of its pixels are, else `kind`."""
    count = int(ids.max(initial=0)) + 1
    if labels is None:
        return np.full(count, kind, np.uint8)
    votes = np.bincount(ids.ravel().astype(np.int64) * 256 + labels.ravel(), minlength=count * 256)
    return votes.reshape(count, 256).argmax(axis=1).astype(np.uint8)
