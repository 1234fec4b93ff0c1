"""Classes of images from any program beside the true ones."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings, some_of, understood
from reunet.contracts.labels import Classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.datasets.annotated import category_classes
from reunet.datasets.cases import raise_errors
from reunet.errors import DataError
from reunet.io.annotations.image_labels import FILE_COLUMNS, LABEL_COLUMNS, read_labels
from reunet.io.annotations.table import read_table
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
    told = read_labels(file, (), problems)
    raise_errors(problems, file)
    true = {name_of(name): index for name, index in told.images.items()}
    source = file_in(pred, FOUND, "--pred")
    with understood("the predictions are", source, "an image, its class, and probabilities from 0 to 1"):
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
    table = read_table(file)
    image, label = table.find(FILE_COLUMNS), table.find(("class", *LABEL_COLUMNS))
    if image is None or label is None:
        raise DataError(
            "the table lacks columns", where=file, expected="image, class", received=some_of(table.columns)
        )
    numbers = [
        (i, name[len(PROBABILITY) :]) for i, name in enumerate(table.columns) if name.startswith(PROBABILITY)
    ]
    return {
        name_of(row[image]): (row[label], {name: float(row[i]) for i, name in numbers if row[i]})
        for _, row in table.rows
        if row[image]
    }


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
