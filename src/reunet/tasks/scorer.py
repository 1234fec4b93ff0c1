"""What all scorers share: they collect images and give the content of metrics.json and metrics.csv."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import LabelError

SCHEMA_VERSION = 1

Place = tuple[str, ...]
"""Where a score stands in metrics.json: names from the outermost to its own."""


class Kept(Protocol):
    """What is kept of an image."""

    @property
    def id(self) -> str: ...


Image = TypeVar("Image", bound=Kept)


class Scorer(ABC, Generic[Image]):
    """Collects the images of one split. task: what is scored.

    Subclasses tell numbers, with nan where these are undefined; what is written has None there.
    """

    task: str

    def __init__(self, labels: LabelMap, calibration: Calibration, split: str) -> None:
        self.labels, self.calibration, self.split = labels, calibration, split
        self.images: list[Image] = []

    @abstractmethod
    def add(self, case: str, truth: Truth, prediction: Prediction) -> None:
        """Score one image. Raises LabelError where truth and prediction do not belong together."""

    @abstractmethod
    def scores(self) -> dict[str, Any]:
        """What metrics.json tells beside its header."""

    @abstractmethod
    def main_scores(self) -> Iterable[float]:
        """The main score of each image, in their order."""

    @abstractmethod
    def image_rows(self) -> Iterable[dict[str, Any]]:
        """What metrics.csv tells of each image beside its id, in their order."""

    def merge(self, other: Self) -> None:
        """Add what another one, of the same classes, has collected of other images and whole sequences."""
        self.images += other.images

    def image_scores(self) -> dict[str, float | None]:
        """The main score of each image by its id, None where undefined; pictures are chosen by it."""
        return {i.id: as_json(score) for i, score in zip(self.images, self.main_scores(), strict=True)}

    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json; undefined scores are None."""
        told = {"id", "name", "foreground"}
        header = {
            "schema_version": SCHEMA_VERSION,
            "task": self.task,
            "split": self.split,
            "n_images": len(self.images),
            "classes": [entry.model_dump(include=told) for entry in self.labels.classes],
        }
        return {**header, **as_json(self.scores())}

    def rows(self) -> list[dict[str, Any]]:
        """The content of metrics.csv: a row per image."""
        pairs = zip(self.images, self.image_rows(), strict=True)
        return [{"id": image.id, **as_json(row)} for image, row in pairs]


def check_size(case: str, truth: np.ndarray, prediction: np.ndarray) -> None:
    """Raise LabelError unless the prediction of an image has the size of its truth."""
    if truth.shape != prediction.shape:
        raise LabelError(
            "prediction and truth differ in size",
            where=case,
            expected=f"size {truth.shape}",
            received=prediction.shape,
            fix="give both at the original size of the image",
        )


def nested(cells: Mapping[Place, Any]) -> dict[str, Any]:
    """Dictionaries in each other, with what stands at each place."""
    found: dict[str, Any] = {}
    for (*above, name), cell in cells.items():
        inner = found
        for outer in above:
            inner = inner.setdefault(outer, {})
        inner[name] = cell
    return found


def as_json(scores: Any) -> Any:
    """Scores in nested dictionaries as JSON values; None for those that are nan, intervals included."""
    if isinstance(scores, Mapping):
        return {name: as_json(value) for name, value in scores.items()}
    if isinstance(scores, (np.ndarray, np.generic)):
        return None if np.any(scores != scores) else scores.tolist()
    return None if scores != scores else scores
