"""What every task provides."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import Classes, LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.sampling.boxes import resized
from reunet.sampling.resize import resize
from reunet.tasks.exports import Exports
from reunet.tasks.given import Reader
from reunet.tasks.headline import Headline
from reunet.tasks.outputs import Output, Page, PageRows
from reunet.tasks.scorer import Scorer


@dataclass(frozen=True)
class Maps:
    """What a network says of one image.

    heads: by name, after their activations: (*space', channels) float32 of pixels as the network sees them,
    or (channels,) of the whole image. size: of the image itself.
    """

    heads: Mapping[str, np.ndarray]
    size: tuple[int, ...]

    @property
    def is_whole(self) -> bool:
        """Whether this is all of an image, so that what is connected can be seen."""
        return True

    def full(self, head: str) -> np.ndarray:
        """A head at the size of the image, (*space, channels) float32."""
        return resize(self.heads[head], self.size)

    def placed(self, boxes: Boxes, head: str) -> Boxes:
        """Boxes in pixels of a head, in those of the image."""
        height, width = self.heads[head].shape[:2]
        return resized(boxes, (self.size[0] / height, self.size[1] / width))


Pairs = Iterable[tuple[Truth, Maps]]
"""Held-out images, one by one."""


class Task(ABC):
    """The functions of one task, NumPy only; what is not abstract is what most small tasks do.

    name: as in `--task`. title: the same for people. score: what its validation score is, in words.
    learned_from: kinds of annotation that it can be learned from, its own first. reach: by the number of axes
    of space, how many pixels around a section its decoding must see: more than the largest object has.
    outputs: files of an image that is predicted. has_tables: tables tell of its results. has_identities: in
    time its objects get identities (`reunet.tasks.instances.tracks`). reader: of results from
    elsewhere. exports: what of it an exported file holds. pixels_across: so many pixels across an object show
    enough of it.
    """

    name: str
    title: str
    score: str
    learned_from: tuple[str, ...]
    reach: Mapping[int, int] = {2: 0, 3: 0}
    outputs: tuple[Output, ...] = ()
    has_tables: bool = True
    has_identities: bool = False
    reader: Reader | None = None
    exports: Exports = Exports()
    pixels_across: int = 10

    @abstractmethod
    def heads(self, classes: Classes, rank: int) -> tuple[HeadSpec, ...]:
        """The outputs of the network that it needs, with their losses. rank: axes of space, 2 or 3."""

    @abstractmethod
    def targets(self, truth: Truth, classes: Classes) -> dict[str, np.ndarray]:
        """What each head should say of a patch, by the head's name."""

    @abstractmethod
    def decode(self, maps: Maps, classes: Classes, calibration: Calibration) -> Prediction:
        """The result for one image."""

    @abstractmethod
    def decided(self, maps: Maps, classes: Classes, calibration: Calibration) -> np.ndarray:
        """What is decided at each place, as whole numbers; engines and precisions are compared by it."""

    @abstractmethod
    def scorer(self, classes: Classes, calibration: Calibration, split: str) -> Scorer[Any]:
        """A scorer without images."""

    @abstractmethod
    def validation_score(self, pairs: Pairs, classes: Classes) -> float:
        """What training follows, in 0..1, larger is better; nan when the images tell nothing."""

    @abstractmethod
    def headlines(self, metrics: Mapping[str, Any]) -> list[Headline]:
        """What people see first of its part of metrics.json; the first one stands for all."""

    def named_channels(self, classes: Classes) -> Mapping[str, tuple[str, ...]]:
        """Names of the classes that the channels of a head stand for, by the head's name; channels of heads
        that are not here mean the same whatever the classes.
        """
        return {}

    def turned(self, heads: Mapping[str, np.ndarray], axes: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Those of its heads whose channels have a direction, after a mirroring along `axes`."""
        return {}

    def described(self, result: Prediction, page: Page) -> PageRows:
        """What the tables tell of what it found."""
        return PageRows()

    def drawn(self, image: np.ndarray, result: Prediction, labels: LabelMap) -> np.ndarray | None:
        """What it found over an image (H, W, C) or picture, (H, W, 3) uint8; None for nothing to draw."""
        return None

    def within(self, result: Prediction, inside: np.ndarray, labels: LabelMap) -> Prediction:
        """The result without what it found outside of a field of view, bool (*space)."""
        return result

    def check_outside(self, labels: LabelMap) -> None:  # noqa: B027  (most tasks write nothing there)
        """Raise UsageError where nothing can be written outside of a field of view."""

    def fit(self, pairs: Pairs, classes: Classes) -> Calibration:
        """Thresholds from held-out images."""
        return Calibration()
