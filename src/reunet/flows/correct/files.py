"""Which of the files that a person gives hold edited labels, and of what kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reunet.contracts.findings import Findings
from reunet.datasets.coco_files import is_coco
from reunet.errors import DataError, UsageError, beside
from reunet.io.annotations.image_labels import has_labels
from reunet.io.images import image_suffix
from reunet.io.listing import list_files, visible

Form = Literal["label image", "geojson", "rois", "coco", "classes"]

TABLES = ("objects.csv", "numbers.csv", "metrics.csv")
"""Tables of measurements, which are no labels."""

RESULTS = ("instances", "masks", "geojson", "rois", "predictions.json", "classes.csv")
"""What `predict` leaves in its folder and may be edited."""


@dataclass(frozen=True)
class Source:
    """A file of edited labels. folder: that the user gave, in which it lies."""

    path: Path
    form: Form
    folder: Path


def edited_files(given: Sequence[Path], problems: Findings) -> Iterator[Source]:
    """The files themselves, and those below folders.

    Adds a warning for each file that holds no labels. Raises DataError for one that does not exist,
    UsageError for a folder of `predict`, in which several files tell the same.
    """
    for path in given:
        if not path.exists():
            raise DataError("this file does not exist", where=path, fix=beside(path))
        if path.is_file():
            if (form := form_of(path)) is None:
                expected = "PNG, TIFF, NIfTI, .geojson, .zip of ROIs, COCO JSON, or a table of classes"
                problems.error("not-edited", path, "this file holds no labels", expected)
            else:
                yield Source(path, form, path.parent)
            continue
        _refuse_results(path)
        read, others = list_files(path, form_of)
        for file in read:
            if (form := form_of(file)) is not None:
                yield Source(file, form, path)
        for file in others:
            problems.warning("not-edited", file, "this file holds no labels and is left out")


def _refuse_results(folder: Path) -> None:
    names = [entry.name for entry in visible(folder)]
    found = [name for name in RESULTS if name in names]
    if len(found) > 1 and "overlays" in names:
        raise UsageError(
            "this is all that was predicted, in which several files tell the same",
            where=folder,
            expected="those that were edited",
            received=", ".join(found),
            fix=f"give one of them: {folder / found[0]}",
        )


def form_of(path: Path) -> Form | None:
    """What a file holds; None of one that holds no labels."""
    suffix = path.suffix.lower()
    if image_suffix(path):
        return "label image"
    if suffix == ".geojson":
        return "geojson"
    if suffix in (".zip", ".roi"):
        return "rois"
    if suffix == ".json":
        return "coco" if is_coco(path) else "geojson"
    if suffix == ".csv" and path.name not in TABLES and has_labels(path):
        return "classes"
    return None
