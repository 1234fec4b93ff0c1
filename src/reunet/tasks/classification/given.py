"""Classes of images from any program beside the true ones."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings
from reunet.contracts.labels import Classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.datasets.annotated import category_classes
from reunet.datasets.cases import raise_errors
from reunet.errors import DataError
from reunet.io.annotations.image_labels import read_labels
from reunet.storage import read_json
from reunet.tasks.given import Given, file_in, matched, name_of

TRUE, FOUND = ("labels.csv",), ("classes.csv", "labels.csv", "predictions.json")
PROBABILITY = "probability_"


def is_there(given: Path) -> bool:
    """Whether a table of classes, or a folder with one, is given."""
    return given.suffix == ".csv" or any((given / name).is_file() for name in (*TRUE, FOUND[0]))


def read(pred: Path, truth: Path, options: DataOptions) -> Given:
    """The classes are those of the true table. Raises DataError for files that are not understood, classes
    that are not known, and images without prediction.
    """
    file = file_in(truth, TRUE, "--truth")
    problems = Findings(file.parent)
    told = read_labels(file, None, problems)
    raise_errors(problems, file)
    true = {name_of(name): index for name, index in told.images.items()}
    source = file_in(pred, FOUND, "--pred")
    rows = _from_json(source) if source.suffix == ".json" else _from_table(source)
    warnings = matched(true, rows, source)
    images = {
        name: partial(_scored, category, _prediction(rows[name], told.classes, source))
        for name, category in true.items()
    }
    return Given(Classes(category_classes(told.classes), category_classes(told.classes)), images, warnings)


def _scored(category: int, found: Prediction) -> Scored:
    return Scored(None, Truth(category=category), found)


Row = tuple[str, Mapping[str, float]]
"""Class, and the probabilities of classes where they are told."""


def _from_table(file: Path) -> dict[str, Row]:
    with open(file, newline="", encoding="utf-8-sig") as lines:
        table = list(csv.DictReader(lines))
    rows: dict[str, Row] = {}
    for row in table:
        name = row.get("image") or row.get("file") or ""
        start = len(PROBABILITY)
        chances = {key[start:]: float(row[key]) for key in row if key.startswith(PROBABILITY) and row[key]}
        if name:
            rows[name_of(name)] = row.get("class") or row.get("label") or "", chances
    return rows


def _from_json(file: Path) -> dict[str, Row]:
    data = read_json(file, DataError)
    images = data.get("images", []) if isinstance(data, dict) else []
    return {
        name_of(one["file_name"]): (one["class"], one.get("probabilities", {}))
        for one in images
        if isinstance(one, dict) and "class" in one and "file_name" in one
    }


def _prediction(row: Row, classes: Sequence[str], file: Path) -> Prediction:
    name, chances = row
    if name not in classes or not set(chances) <= set(classes):
        raise DataError(
            "a predicted class is not among the true ones",
            where=file,
            expected=", ".join(classes),
            received=", ".join({name: 0, **chances}),
        )
    told = np.array([chances.get(one, 0.0) for one in classes]) if chances else None
    return Prediction(category=classes.index(name), category_probabilities=told)
