"""Boxes from any program beside the true ones, in COCO's format."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from reunet.contracts.findings import Findings
from reunet.contracts.labels import Classes
from reunet.contracts.options.records import DataOptions
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction, Scored
from reunet.contracts.truth import Truth
from reunet.datasets.annotated import object_classes
from reunet.datasets.cases import raise_errors
from reunet.datasets.pairs import fields_of_view
from reunet.errors import DataError
from reunet.io.annotations.annotated_image import AnnotatedImage
from reunet.io.annotations.coco import read_coco
from reunet.io.masks import read_fov
from reunet.storage import read_json
from reunet.tasks.given import Given, file_in, matched, name_of

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
    names, true = _read(file, None)
    _, found = _read(file_in(pred, FILES[::-1], "--pred"), names)
    warnings = matched(true, found, pred)
    labels = object_classes(names)
    fov = file.parent / "fov"
    fields = fields_of_view(fov, {name: name for name in true}) if fov.is_dir() else {}
    images = {name: partial(_scored, one, found[name], fields.get(name)) for name, one in true.items()}
    counts = Calibration(score_thresholds=(0.0,) * len(labels.foreground))
    return Given(Classes(labels), images, warnings, counts)


def _read(file: Path, classes: Sequence[str] | None) -> tuple[Sequence[str], dict[str, AnnotatedImage]]:
    """Class names, and what is told of each image by its name."""
    problems = Findings(file.parent)
    told = read_coco(file, (), problems, classes)
    raise_errors(problems, file)
    return told.classes, {name_of(image.file): image for image in told.images}


def _scored(true: AnnotatedImage, found: AnnotatedImage, fov: Path | None) -> Scored:
    truth = Truth(boxes=true.boxes, known=true.known())
    if fov is not None:
        truth = truth.within(read_fov(fov, None, None, true.size))
    return Scored(None, truth, Prediction(boxes=found.boxes))
