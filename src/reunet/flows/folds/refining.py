"""What is done to predictions only where the out-of-fold ones got better by it, and no class worse.

The rule of nnU-Net for post-processing (Isensee et al. 2021), here for sizes, holes and mirrorings too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration, Cleaning
from reunet.contracts.run import RunFolder
from reunet.contracts.truth import Truth
from reunet.datasets.case_arrays import CaseArrays
from reunet.inference.load import load
from reunet.metrics.overlap import confusion, dice, iou, mean_defined
from reunet.metrics.partitions import components
from reunet.tasks.base import Maps
from reunet.tasks.semantic.cleaning import cleaned
from reunet.tasks.work import Work
from reunet.training.validation import maps_of

LOOKED_AT = 24
"""Images, evenly spread, that decide."""

WORTH = 0.002
"""The least rise of the score that is worth four predictions instead of one."""

SAME = 1e-9

Masks = Sequence[tuple[np.ndarray, np.ndarray]]
"""True and found class indices, (*space) uint8, of some images."""


@dataclass(frozen=True)
class Quality:
    """A score, 0..1, and the IoU of each class of pixels over all images."""

    score: float
    classes: Mapping[str, float] = field(default_factory=dict)

    def is_better_than(self, other: Quality, worth: float = 0.0) -> bool:
        """Whether the score is higher, by more than `worth`, and that of no class is lower."""
        falls = any(self.classes.get(name, 0.0) < value - SAME for name, value in other.classes.items())
        return self.score > other.score + max(worth, SAME) and not falls


def quality(masks: Masks, labels: LabelMap) -> Quality:
    """Of masks: the mean over the images of the mean foreground Dice."""
    foreground = list(labels.foreground)
    counts = [confusion(truth, found, len(labels.classes)) for truth, found in masks]
    scores = [mean_defined(dice(one)[foreground]) for one in counts]
    overlaps = iou(np.sum(counts, axis=0))
    told = [i for i in foreground if overlaps[i] == overlaps[i]]
    return Quality(float(mean_defined(scores)), {labels.names[i]: float(overlaps[i]) for i in told})


def masks_of(pairs: Iterable[tuple[Truth, Maps]], work: Work, calibration: Calibration) -> Masks:
    """What is true and what is decided, of the images whose classes of pixels are known."""
    return [
        (truth.labels, found)
        for truth, maps in pairs
        if truth.labels is not None and (found := work.decode(maps, calibration).labels) is not None
    ]


def fit_cleaning(masks: Masks, labels: LabelMap, seconds: float = np.inf) -> dict[str, Cleaning]:
    """The steps for each class that made these masks better, one after the other; none that cost a class.

    seconds: after which no more are tried.
    """
    if labels.regions or labels.background is None or not masks:
        return {}
    ends, chosen = time.monotonic() + seconds, dict[str, Cleaning]()
    before = quality(masks, labels)
    for index in labels.foreground:
        name = labels.names[index]
        for update in _steps(masks, index):
            if time.monotonic() > ends:
                return chosen
            step = chosen.get(name, Cleaning()).model_copy(update=update)
            tried = chosen | {name: step}
            now = quality([(truth, cleaned(found, labels, tried)) for truth, found in masks], labels)
            if now.is_better_than(before):
                chosen, before = tried, now
    return chosen


def _steps(masks: Masks, index: int) -> list[dict[str, int | bool]]:
    """What is tried of a class: sizes below those of nearly all true components, the largest one, holes."""
    sizes = [np.bincount(components(truth == index).ravel())[1:] for truth, _ in masks]
    known = np.concatenate(sizes)
    if not known.size:
        return []
    smallest = int(np.percentile(known, 2))
    lower = dict.fromkeys(size for size in (smallest // 4, smallest // 2, smallest) if size > 1)
    several = any(len(one) > 1 for one in sizes)
    largest: list[dict[str, int | bool]] = [] if several else [{"largest_only": True}]
    return [*({"smallest": size} for size in lower), *largest, {"fill_holes": True}]


def mirroring_helps(
    folds: Sequence[tuple[RunFolder, Sequence[CaseArrays]]], work: Work, calibration: Calibration
) -> bool:
    """Whether the mean over mirrorings is worth its time, by a few images that each network held out."""
    every = max(1, sum(len(cases) for _, cases in folds) // LOOKED_AT)
    found: dict[bool, list[tuple[Truth, Maps]]] = {False: [], True: []}
    for run, cases in folds:
        for tta, into in found.items():
            predictor = load(run.path, engine="keras", tta=tta)
            into += [(case.truth, maps) for case, maps in maps_of(predictor, cases[::every]) if case.truth]

    def told(pairs: Sequence[tuple[Truth, Maps]]) -> Quality:
        masks = masks_of(pairs, work, calibration)
        classes = quality(masks, work.classes.labels).classes if masks else {}
        return Quality(work.validation_score(pairs), classes)

    return told(found[True]).is_better_than(told(found[False]), WORTH)
