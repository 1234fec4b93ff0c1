"""The tables of an output folder: objects.csv, classes.csv, numbers.csv and predictions.json.

Each image leaves a part, a JSON file of its own; the tables are made from all parts that lie in the folder,
so that they are complete whichever images the last call predicted.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.results import Prediction
from reunet.errors import StorageError
from reunet.io.annotations.coco_write import write_coco
from reunet.io.annotations.table import write_table
from reunet.storage import read_json, remove_old, write_text
from reunet.tasks import every_task
from reunet.tasks.confidence import PROMISED, review
from reunet.tasks.outputs import Columns, Page
from reunet.tasks.scorer import as_json

PARTS = "objects"
"""Folder of the parts."""

TABLES = ("objects.csv", "classes.csv", "numbers.csv", "predictions.json")

Found = dict[str, Any]
"""What a part holds of an image or page: JSON values."""


def described(names: tuple[str, str], result: Prediction, page: Page) -> Found:
    """What the tables tell of one image, as JSON values. names: as of its other results, and of its file."""
    told = [one.described(result, page) for one in every_task()]
    tables = [table for some in told for table in some.tables]
    found: Found = {"image": names[0], "file": names[1], "size": list(page.size), "tables": tables}
    if any(some.annotations is not None for some in told):
        found["annotations"] = [entry for some in told for entry in some.annotations or ()]
        found["categories"] = [[entry.id, entry.name] for entry in page.labels.classes]
    if result.numbers is not None:
        found["numbers"] = as_json(result.numbers)
    for some in told:
        found |= some.facts
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
    remove_old(folder / name for name in TABLES)


def write_tables(folder: Path) -> tuple[int, int] | None:
    """Make the tables from all parts in the folder, images by name. Raises StorageError.

    Where all objects have a confidence, the column `review` of objects.csv is 1 for those that a person
    should look at (`reunet.tasks.confidence.review`). Returns how many these are, and how many there are.
    """
    to_review = None
    paths = [path for path in (folder / PARTS).rglob("*.json") if not path.name.startswith(".tmp-")]
    images = [found for path in paths for found in _read_part(path)["images"]]
    images.sort(key=lambda found: found["image"])
    if objects := [(found["image"], table) for found in images for table in found["tables"]]:
        columns = _joined(objects)
        sure = columns.get("confidence", np.array([None]))
        if all(one is not None for one in sure):
            unsure = review(sure.astype(np.float64), PROMISED)
            columns["review"], to_review = unsure.astype(int), (int(unsure.sum()), len(unsure))
        write_table(folder / "objects.csv", columns)
    if classes := [(found["image"], _class_row(found)) for found in images if "class" in found]:
        write_table(folder / "classes.csv", _joined(classes))
    if numbers := [(found["image"], _numbers_row(found)) for found in images if "numbers" in found]:
        write_table(folder / "numbers.csv", _joined(numbers))
    write_predictions(folder / "predictions.json", images)
    return to_review


def write_predictions(path: Path, images: Sequence[Found]) -> None:
    """Write what was `described` of images as COCO JSON; nothing where that has no place for any of it."""
    told = ("class", "probabilities", "numbers")
    listed = [found for found in images if {"annotations", *told} & set(found)]
    if not listed:
        return
    pairs = ((number, name) for found in listed for number, name in found.get("categories", ()))
    categories = list(dict.fromkeys(pairs))
    index = {category: i for i, category in enumerate(categories)}

    def entries(found: Found) -> list[dict[str, Any]]:
        own = [index[number, name] for number, name in found.get("categories", ())]
        return [{**entry, "category": own[entry["category"]]} for entry in found.get("annotations", ())]

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


def _class_row(found: Found) -> Columns:
    probabilities = found.get("probabilities", {})
    return {"class": [found["class"]]} | {f"probability_{name}": [p] for name, p in probabilities.items()}


def _numbers_row(found: Found) -> Columns:
    return {name: [value] for name, value in found["numbers"].items()}


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
