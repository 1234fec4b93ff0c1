"""The tables of an output folder: objects.csv, classes.csv and predictions.json.

Each image leaves a part, a JSON file of its own; the tables are made from all parts that lie in the folder,
so that they are complete whichever images the last call predicted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.plan import Plan
from reunet.contracts.results import Prediction
from reunet.errors import StorageError
from reunet.flows.predict.track_files import Place
from reunet.io.annotations.coco_write import box_entries, object_entries, write_coco
from reunet.io.annotations.table import write_table
from reunet.storage import read_json, write_text
from reunet.tasks.instances.properties import majority_class, object_table

PARTS = "objects"
"""Folder of the parts."""

TABLES = ("objects.csv", "classes.csv", "predictions.json")

Columns = dict[str, list[Any]]
Found = dict[str, Any]
"""What a part holds of an image or page: JSON values."""


def described(
    names: tuple[str, str],
    image: np.ndarray,
    result: Prediction,
    plan: Plan,
    spacing: tuple[float, ...] | None = None,
    place: Place | None = None,
) -> Found:
    """What the tables tell of one image (*space, C), as JSON values.

    names: of the image as of its other results, and of its file. spacing: of a volume's voxels in mm.
    place: of a frame whose objects have identities.
    COCO has no volumes: their objects are in objects.csv only.
    """
    labels, ids = plan.labels, result.instances
    tables: list[Columns] = []
    entries: list[dict[str, Any]] = []
    if ids is not None:
        classes = majority_class(ids, result.labels, labels)
        table = object_table(ids, image, spacing=spacing, classes=classes)
        table["class"] = np.array(labels.names, object)[table["class"]]
        if place is not None and result.parents is not None:
            count, track = len(table["id"]), table["id"]
            table["sequence"], table["frame"] = np.full(count, place.sequence), np.full(count, place.frame)
            table["track"], table["parent"] = track, result.parents[track]
        tables.append(_listed(table))
        entries += object_entries(ids, classes) if ids.ndim == 2 else ()
    if result.boxes is not None:
        tables.append(_listed(_box_table(result.boxes, labels.names)))
        entries += box_entries(result.boxes)
    size = list(image.shape[:-1])
    found: Found = {"image": names[0], "file": names[1], "size": size, "tables": tables}
    if tables and image.ndim == 3:
        found["annotations"] = entries
        found["categories"] = [[entry.id, entry.name] for entry in labels.classes]
    return found | _described_class(result, plan)


def described_sections(
    names: tuple[str, str],
    size: tuple[int, ...],
    result: Prediction,
    objects: Mapping[str, np.ndarray] | None,
    plan: Plan,
) -> Found:
    """The same of an image that was predicted section by section; its outlines are not in COCO.

    objects: what is known of them, see `Sections.objects`.
    """
    tables = []
    if objects is not None:
        tables.append(_listed({**objects, "class": np.array(plan.labels.names, object)[objects["class"]]}))
    if result.boxes is not None:
        tables.append(_listed(_box_table(result.boxes, plan.labels.names)))
    found: Found = {"image": names[0], "file": names[1], "size": list(size), "tables": tables}
    if result.boxes is not None:
        found["annotations"] = box_entries(result.boxes)
        found["categories"] = [[entry.id, entry.name] for entry in plan.labels.classes]
    return found | _described_class(result, plan)


def _described_class(result: Prediction, plan: Plan) -> Found:
    if result.category is None or plan.categories is None:
        return {}
    found: Found = {"class": plan.categories.names[result.category]}
    if result.category_probabilities is not None:
        chances = _listed({"": result.category_probabilities})[""]
        found["probabilities"] = dict(zip(plan.categories.names, chances, strict=True))
    return found


def write_part(path: Path, tasks: Sequence[str], images: Sequence[Found]) -> None:
    """Write the part of one image, or of the pages of a stack, atomically."""
    text = json.dumps({"tasks": list(tasks), "images": list(images)}, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def has_part(path: Path, tasks: Sequence[str]) -> bool:
    """Whether there is a part that tells what these tasks find."""
    return os.path.isfile(path) and set(tasks) <= set(_read_part(path)["tasks"])


def remove_tables(folder: Path) -> None:
    """Remove the tables: until they are made anew, they would tell old results."""
    for path in (folder / name for name in TABLES):
        try:
            path.unlink(missing_ok=True)
        except OSError as cause:
            raise StorageError(
                "could not remove an old result", where=path, received=cause.strerror
            ) from cause


def write_tables(folder: Path) -> None:
    """Make the tables from all parts in the folder, images by name. Raises StorageError."""
    paths = [path for path in (folder / PARTS).rglob("*.json") if not path.name.startswith(".tmp-")]
    images = [found for path in paths for found in _read_part(path)["images"]]
    images.sort(key=lambda found: found["image"])
    if objects := [(found["image"], table) for found in images for table in found["tables"]]:
        write_table(folder / "objects.csv", _joined(objects))
    if classes := [(found["image"], _class_row(found)) for found in images if "class" in found]:
        write_table(folder / "classes.csv", _joined(classes))
    _write_predictions(folder / "predictions.json", images)


def _write_predictions(path: Path, images: Sequence[Found]) -> None:
    listed = [found for found in images if "annotations" in found or "class" in found]
    if not listed:
        return
    pairs = ((number, name) for found in listed for number, name in found.get("categories", ()))
    categories = list(dict.fromkeys(pairs))
    index = {category: i for i, category in enumerate(categories)}

    def entries(found: Found) -> list[dict[str, Any]]:
        own = [index[number, name] for number, name in found.get("categories", ())]
        return [{**entry, "category": own[entry["category"]]} for entry in found.get("annotations", ())]

    told = ("class", "probabilities")
    facts = {found["file"]: {key: found[key] for key in told if key in found} for found in listed}
    content = ((found["file"], tuple(found["size"][-2:]), entries(found)) for found in listed)
    write_coco(path, content, categories, facts)


def _read_part(path: Path) -> Found:
    part = read_json(path, StorageError)
    if not isinstance(part, dict) or not {"tasks", "images"} <= set(part):
        raise StorageError(
            "this file is not what an earlier prediction wrote",
            where=path,
            fix="remove it, or predict into another folder with -o",
        )
    return part


def _box_table(boxes: Boxes, names: Sequence[str]) -> dict[str, np.ndarray]:
    table = {"class": np.array(names, object)[boxes.classes]}
    if boxes.scores is not None:
        table["score"] = boxes.scores
    return table | dict(zip(("box_y0", "box_x0", "box_y1", "box_x1"), boxes.corners.T, strict=True))


def _class_row(found: Found) -> Columns:
    probabilities = found.get("probabilities", {})
    return {"class": [found["class"]]} | {f"probability_{name}": [p] for name, p in probabilities.items()}


def _listed(columns: Mapping[str, np.ndarray]) -> Columns:
    """As JSON values: nan is None."""
    return {
        name: [None if value != value else value for value in values.tolist()]
        for name, values in columns.items()
    }


def _joined(tables: Sequence[tuple[str, Columns]]) -> dict[str, np.ndarray]:
    """Rows of all tables below each other, after the name of their image; a column may be missing in some."""
    names = dict.fromkeys(name for _, table in tables for name in table)
    joined: Columns = {"image": [], **{name: [] for name in names}}
    for image, table in tables:
        count = len(next(iter(table.values())))
        joined["image"] += [image] * count
        for name in names:
            joined[name] += table.get(name, [None] * count)
    return {name: np.array(values, object) for name, values in joined.items()}
