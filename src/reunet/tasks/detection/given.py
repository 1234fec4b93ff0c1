"""Boxes from any program beside the true ones, in COCO's format."""

from functools import partial
from pathlib import Path

from reunet.contracts.labels import Classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.datasets.annotated import object_classes
from reunet.errors import DataError
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.masks import read_fov
from reunet.storage import read_json
from reunet.tasks.given import Given, fields_beside, file_in, matched, read_boxes
from reunet.tasks.unknown import Unknown, unknown_beside

FILES = ("boxes.json", "predictions.json")


def is_there(given: Path) -> bool:
    """Whether a file of boxes, or a folder with one, is given."""
    files = [given] if given.suffix == ".json" else [given / name for name in FILES]
    return any(file.is_file() and _has_categories(file) for file in files)


def _has_categories(file: Path) -> bool:
    data = read_json(file, DataError)
    return isinstance(data, dict) and bool(data.get("categories"))


def read(pred: Path, truth: Path, options: DataOptions) -> Given:
    """The classes are those of the truth. All boxes that are given count, whatever their scores. Raises
    DataError for files that are not understood, and images without prediction.
    """
    file = file_in(truth, FILES, "--truth")
    names, true = read_boxes(file, None)
    _, found = read_boxes(file_in(pred, FILES[::-1], "--pred"), names)
    warnings = matched(true, found, pred)
    labels = object_classes(names)
    fields = fields_beside(file, true)
    unknown = unknown_beside(file, true, options)
    images = {
        name: partial(_scored, one, found[name], fields.get(name), name, unknown)
        for name, one in true.items()
    }
    counts = Calibration(score_thresholds=(0.0,) * len(labels.foreground))
    return Given(Classes(labels), images, [*warnings, *unknown.warnings], counts)


def _scored(
    true: AnnotatedImage, found: AnnotatedImage, fov: Path | None, name: str, unknown: Unknown
) -> Scored:
    truth = unknown.without(Truth(boxes=true.boxes, known=true.known()), name, true.size)
    if fov is not None:
        truth = truth.within(read_fov(fov, None, None, true.size))
    return Scored(None, truth, Prediction(boxes=found.boxes))
