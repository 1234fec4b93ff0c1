"""What every task provides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.plan import Task as TaskName
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.sampling.boxes import resized
from reunet.sampling.resize import resize


@dataclass(frozen=True)
class Classes:
    """The class lists of a run: of pixels and objects, and of whole images where these have classes."""

    labels: LabelMap
    categories: LabelMap | None = None


@dataclass(frozen=True)
class Maps:
    """What a network says of one image.

    heads: by name, after their activations: (*space', channels) float32 of pixels as the network sees them,
    or (channels,) of the whole image. size: of the image itself.
    """

    heads: Mapping[str, np.ndarray]
    size: tuple[int, ...]

    def full(self, head: str) -> np.ndarray:
        """A head at the size of the image, (*space, channels) float32."""
        return resize(self.heads[head], self.size)

    def placed(self, boxes: Boxes, head: str) -> Boxes:
        """Boxes in pixels of a head, in those of the image."""
        height, width = self.heads[head].shape[:2]
        return resized(boxes, (self.size[0] / height, self.size[1] / width))


Pairs = Iterable[tuple[Truth, Maps]]
"""Held-out images, one by one."""


def as_json(scores: Any) -> Any:
    """Scores in nested dictionaries with None for those that are nan."""
    if isinstance(scores, Mapping):
        return {name: as_json(value) for name, value in scores.items()}
    return None if isinstance(scores, float) and scores != scores else scores


class Scorer(Protocol):
    """Collects the images of one split. task: what is scored."""

    task: TaskName

    def add(self, case: str, truth: Truth, prediction: Prediction) -> None:
        """Score one image. Raises LabelError where truth and prediction do not belong together."""

    def merge(self, other: Self) -> None:
        """Add what another one, of the same classes, has collected of other images and whole sequences."""

    def image_scores(self) -> dict[str, float | None]:
        """The main score of each image by its id, None where undefined; pictures are chosen by it."""

    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json; undefined scores are None."""

    def rows(self) -> list[dict[str, Any]]:
        """The content of metrics.csv: a row per image."""


class Task(Protocol):
    """The functions of one task, NumPy only.

    name: as in `--task`. score: what its validation score is, in words. reach: by the number of axes of
    space, how many pixels around a block its decoding must see: more than the largest object has.
    """

    @property
    def name(self) -> TaskName: ...

    @property
    def score(self) -> str: ...

    @property
    def reach(self) -> Mapping[int, int]: ...

    def heads(self, classes: Classes, rank: int) -> tuple[HeadSpec, ...]:
        """The outputs of the network that it needs, with their losses. rank: axes of space, 2 or 3."""

    def targets(self, truth: Truth, classes: Classes) -> dict[str, np.ndarray]:
        """What each head should say of a patch, by the head's name."""

    def turned(self, heads: Mapping[str, np.ndarray], axes: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Those of its heads whose channels have a direction, after a mirroring along `axes`."""

    def decode(self, maps: Maps, classes: Classes, calibration: Calibration) -> Prediction:
        """The result for one image."""

    def decided(self, maps: Maps, classes: Classes, calibration: Calibration) -> np.ndarray:
        """What is decided at each place, as whole numbers; engines and precisions are compared by it."""

    def scorer(self, classes: Classes, calibration: Calibration, split: str) -> Scorer:
        """A scorer without images."""

    def validation_score(self, pairs: Pairs, classes: Classes) -> float:
        """What training follows, in 0..1, larger is better; nan when the images tell nothing."""

    def fit(self, pairs: Pairs, classes: Classes) -> Calibration:
        """Thresholds from held-out images."""
