"""What the verbs return."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.shown import Shown
from reunet.contracts.truth import Truth


@dataclass(frozen=True)
class Problem(Shown):
    """One thing wrong with a dataset: what, where, expected, received, how to fix."""

    severity: Literal["error", "warning"]
    code: str
    file: str
    message: str
    expected: str = ""
    received: str = ""
    fix: str = ""


@dataclass(frozen=True)
class ClassFacts:
    """How much a dataset shows of a class.

    images: that show it, or are of it. pixels: its share of the labelled pixels, 0..1. objects: of it. None
    where that is not told.
    """

    name: str
    images: int
    pixels: float | None = None
    objects: int | None = None


@dataclass(frozen=True)
class DatasetFacts:
    """What a dataset was understood to be.

    classes: of pixels and objects; categories: of whole images. unlabelled: share of the pixels, 0..1; None
    without masks. sizes: (height, width), of volumes (depth, height, width); spacings: per axis, of volumes
    in mm, of images in micrometres, where the files state them: the smallest, the median and the largest, or
    the one of all. channels, dtypes: how many images have so many channels, and samples of that type.
    values: the lowest and the highest. sequences: how many.
    """

    classes: tuple[ClassFacts, ...] = ()
    categories: tuple[ClassFacts, ...] = ()
    unlabelled: float | None = None
    sizes: tuple[tuple[int, ...], ...] = ()
    spacings: tuple[tuple[float, ...], ...] = ()
    channels: dict[int, int] = field(default_factory=dict)
    dtypes: dict[str, int] = field(default_factory=dict)
    values: tuple[float, float] | None = None
    sequences: int = 0


@dataclass(frozen=True)
class CheckResult(Shown):
    """All problems of a dataset, how many cases each split has, and what it was understood to be.

    layout: that it was recognised by. tasks: that can be learned from it, the one that `auto` takes first.
    """

    problems: tuple[Problem, ...]
    counts: dict[str, int]
    layout: str = ""
    tasks: tuple[str, ...] = ()
    facts: DatasetFacts = field(default_factory=DatasetFacts)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the dataset from being used."""
        return tuple(p for p in self.problems if p.severity == "error")


MAPS = ("labels", "probabilities", "instances", "doubtful")
"""What a prediction tells pixel by pixel."""


@dataclass(frozen=True)
class Prediction:
    """The result for one image, or for one sequence; None is what its tasks do not tell.

    labels: (H, W) uint8 class indices, (D, H, W) of a volume, (T, H, W) of a sequence. probabilities:
    (*space, classes) float32 in 0..1, summing to 1; with T in front of a sequence.
    instances: int32 like `labels`, 0 outside of objects and 1 .. n for single objects. instance_scores:
    (n + 1,) float32 by id, how sure these are: the mean probability of their pixels, or, where the run has
    fitted it (`calibrated`), the probability that each is right, an IoU of 0.5 or more with a true one.
    doubtful: objects that were found and left out, as less sure than the run's threshold: int32 like
    `instances`, 1 .. m, None where there are none; doubtful_scores: (m + 1,) as `instance_scores`.
    parents: (max id + 1,) the id that each instance came from, 0 for none, where ids are identities from
    frame to frame; else None.
    boxes: of objects, with classes and scores; candidates: these and those of scores below the thresholds.
    uncertainty: (*space, 2) float32 in 0..1 where it was asked for: predictive entropy and mutual
    information, see `reunet.tasks.uncertainty`.
    category: index of the class of the image. category_probabilities: (classes,) float32.
    numbers: of the whole image, by name.
    """

    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    instances: np.ndarray | None = None
    instance_scores: np.ndarray | None = None
    calibrated: bool | None = None
    doubtful: np.ndarray | None = None
    doubtful_scores: np.ndarray | None = None
    parents: np.ndarray | None = None
    boxes: Boxes | None = None
    candidates: Boxes | None = None
    uncertainty: np.ndarray | None = None
    category: int | None = None
    category_probabilities: np.ndarray | None = None
    numbers: Mapping[str, float] | None = None

    def at(self, index: Any) -> Self:
        """The result with an indexed part of its maps, such as a frame or a slice; all else as it is."""
        maps = {name: getattr(self, name) for name in MAPS}
        return replace(self, **{name: one[index] for name, one in maps.items() if one is not None})


@dataclass(frozen=True)
class Scored:
    """One image with what is compared on it.

    image: (*space, C) as read, or None. spacing: of a volume, in mm per axis. stated: what the file states,
    as the spacing of an `ImageHeader`.
    """

    image: np.ndarray | None
    truth: Truth
    prediction: Prediction
    spacing: tuple[float, ...] | None = None
    stated: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TrainResult(Shown):
    """A finished training: the run folder, the steps done and the best score on the held-out cases, which the
    weights of `best_step` reached.
    """

    run: Path
    steps: int
    score: float | None
    seconds: float
    best_step: int = 0


@dataclass(frozen=True)
class PredictResult(Shown):
    """Where the outputs are; `failures` maps each input that could not be predicted to the reason.

    left_out: files in the folders that were given whose format is not read. review: how many objects a person
    should look at, and of how many, where their confidence is known.
    """

    output: Path
    predicted: tuple[Path, ...]
    skipped: tuple[Path, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)
    left_out: tuple[Path, ...] = ()
    review: tuple[int, int] | None = None


@dataclass(frozen=True)
class Saved(Shown):
    """What was written for an image.

    files: the labels, copies: where those that were given are kept, both relative to the dataset; no files
    where nothing differs. change: in words. version: the new one.
    """

    name: str
    files: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    change: str = ""
    version: str = ""


@dataclass(frozen=True)
class CorrectResult(Shown):
    """Labels that were taken back into a dataset. unchanged: images whose labels were that already."""

    saved: tuple[Saved, ...]
    unchanged: int
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Suggestion(Shown):
    """An image to label. rank: from 1. score: 0..1, how much of what is predicted is in doubt. facts: numbers
    that say why. doubts: what is predicted, the worst first (`reunet.flows.suggest.opinions.Doubt`).
    """

    image: Path
    rank: int
    score: float
    reason: str
    facts: Mapping[str, float]
    doubts: tuple[Any, ...] = ()


@dataclass(frozen=True)
class SuggestResult(Shown):
    """Images in the order in which to label them. confidence: whether probabilities are `calibrated` or
    `raw`. count: of images looked at. failures: image to why it could not be read.
    """

    suggestions: tuple[Suggestion, ...]
    confidence: str
    count: int
    failures: dict[str, str]


@dataclass(frozen=True)
class ExportResult(Shown):
    """What was exported, where it is, and how far it agrees with `reunet predict`.

    differ_ppm: decisions (pixels of masks, classes of images) per million that differ. max_difference: of a
    number. caller_must: what the format could not hold and whoever runs it has to do.
    """

    output: Path
    format: str
    differ_ppm: float
    max_difference: float
    caller_must: tuple[str, ...]


@dataclass(frozen=True)
class PackResult(Shown):
    """A packed run. size: of the file in bytes. files: that it holds. max_difference: between what the engine
    said of the run's test image and what it should, None of a run with a network of its own.
    """

    output: Path
    size: int
    files: tuple[str, ...]
    max_difference: float | None


@dataclass(frozen=True)
class EvaluateResult(Shown):
    """The content of metrics.json, where it lies, and the report beside it."""

    output: Path
    metrics: dict[str, Any]
    report: Path
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelResult(Shown):
    """A preset: what it is, what it costs, and where it is from.

    axes: `2D`, `3D`, `2D+t` (time as an axis) or `frames` (sequences, frame by frame).
    slots: what fills the slots of the builder. size: of the input that the numbers are for, frames first
    where there are frames. parameters: what training changes. multiplications: multiply-adds of one forward
    pass, per pixel of all frames. receptive_field: pixels per axis of space that one output pixel depends
    on, None for the whole image. The numbers are None where no training framework is installed.
    control: what the control of a recurrent preset sets instead; None for networks without one.
    """

    name: str
    summary: str
    axes: str
    paper: str
    differs: str
    control: dict[str, Any] | None
    slots: dict[str, Any]
    filters: tuple[int, ...]
    size: tuple[int, ...]
    parameters: int | None
    multiplications: int | None
    receptive_field: tuple[int | None, ...] | None


@dataclass(frozen=True)
class ComparedRun(Shown):
    """One training of a comparison and its scores on the split compared on.

    entry: a preset, or `<preset>:control`. dice: mean foreground Dice, of each image and then the mean, and
    pooled over all pixels; iou: mean over the classes, pooled. images: Dice of each image by its id, None
    where undefined. parameters: what training changed; multiplications: of a forward pass over one patch.
    race: (seconds, score on the held-out images) at each validation. j, f, flicker: of sequences in time;
    flickers: of each by its name, None where undefined.
    """

    entry: str
    seed: int
    run: Path
    dice: float | None
    dice_pooled: float | None
    iou: float | None
    steps: int
    seconds: float
    parameters: int
    multiplications: int
    images: dict[str, float | None]
    race: tuple[tuple[float, float], ...]
    j: float | None = None
    f: float | None = None
    flicker: float | None = None
    flickers: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class PairedDifference(Shown):
    """How much better (Dice per image) `entry` is than `reference`, over seeds and images that both have.

    interval: 95 % bootstrap, None where there is too little to resample. units: what images were drawn in:
    as many as images, or fewer where neighbouring frames of a sequence were drawn together. flicker: the same
    difference in flicker, better below 0, over seeds and sequences; None without sequences in time.
    """

    entry: str
    reference: str
    difference: float
    interval: tuple[float, float] | None
    seeds: int
    images: int
    units: int
    flicker: float | None = None
    flicker_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class CompareResult(Shown):
    """The trainings that were finished, the differences between them, the report, and what failed and why."""

    output: Path
    runs: tuple[ComparedRun, ...]
    pairs: tuple[PairedDifference, ...]
    report: Path
    failures: dict[str, str] = field(default_factory=dict)
