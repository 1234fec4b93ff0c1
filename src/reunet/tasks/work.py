"""The tasks of a run taken together, and which tasks a dataset is learned by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from reunet.contracts.labels import Classes, LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import UsageError, known_name
from reunet.tasks import ROOMS, every_task, task
from reunet.tasks.base import Maps, Pairs, Task
from reunet.tasks.uncertainty import uncertainty

MOST_SPECIFIC = ("instances", "boxes", "masks", "categories")
"""Kinds of annotation, in the order in which `auto` looks for them."""


class Work:
    """The tasks of a run taken together; the first one is what training follows and reports are about."""

    def __init__(self, tasks: Sequence[str], classes: Classes) -> None:
        self.tasks, self.classes = [task(name) for name in tasks], classes

    @property
    def main(self) -> Task:
        return self.tasks[0]

    @classmethod
    def of(cls, plan: Plan) -> Work:
        """The work of a plan. Raises PlanError for a task that is not there."""
        for name in plan.tasks:
            known_name(name, ROOMS, where="tasks")
        return cls(plan.tasks, Classes(plan.labels, plan.categories))

    def heads(self, rank: int) -> tuple[HeadSpec, ...]:
        """The outputs that a network needs, `rank` axes of space; one that two tasks need is there once."""
        found = (head for one in self.tasks for head in one.heads(self.classes, rank))
        return tuple({head.name: head for head in found}.values())

    def named_channels(self) -> dict[str, tuple[str, ...]]:
        """Names of the classes that the channels of heads stand for, by the head's name."""
        named = [one.named_channels(self.classes) for one in self.tasks]
        return {head: names for heads in named for head, names in heads.items()}

    @property
    def small(self) -> frozenset[str]:
        """Heads that an exported file gives at the size at which the network sees."""
        return frozenset(name for one in self.tasks for name in one.exports.small)

    @property
    def has_identities(self) -> bool:
        """Whether there are objects that get identities in time."""
        return any(one.has_identities for one in self.tasks)

    def targets(self, truth: Truth) -> dict[str, np.ndarray]:
        """What each head should say of a patch."""
        found = (one.targets(truth, self.classes) for one in self.tasks)
        return {name: values for targets in found for name, values in targets.items()}

    def flipped(self, heads: Mapping[str, np.ndarray], axes: tuple[int, ...]) -> dict[str, np.ndarray]:
        """What the heads say of an image, from what they said of it mirrored along `axes` of space."""
        pixels = {name: np.flip(x, axes) if x.ndim > 1 else x for name, x in heads.items()}
        return self.turned(pixels, axes) if axes else pixels

    def turned(self, heads: dict[str, np.ndarray], axes: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Heads mirrored along `axes`, and the channels of those that have a direction along with them."""
        for one in self.tasks:
            heads |= one.turned(heads, axes)
        return heads

    def decode(self, maps: Maps, calibration: Calibration) -> Prediction:
        """The result for one image, what all tasks found."""
        result = Prediction()
        for one in self.tasks:
            found = one.decode(maps, self.classes, calibration)
            result = replace(result, **_known(found))
        return replace(result, uncertainty=uncertainty(maps, self.heads(len(maps.size))))

    def validation_score(self, pairs: Pairs) -> float:
        """The score of the main task."""
        return self.main.validation_score(pairs, self.classes)

    def fit(self, pairs: Pairs) -> Calibration:
        """Thresholds of all tasks; `pairs` is read once per task."""
        kept = list(pairs) if len(self.tasks) > 1 else pairs
        found = [one.fit(kept, self.classes) for one in self.tasks]
        merged = {name: value for one in found for name, value in one.model_dump(exclude_none=True).items()}
        return Calibration.model_validate(merged)


def _known(result: Prediction) -> dict[str, Any]:
    values = {part.name: getattr(result, part.name) for part in fields(result)}
    return {name: value for name, value in values.items() if value is not None}


def fitting_tasks(kinds: Collection[str]) -> list[str]:
    """The tasks that can be learned from these kinds of annotation, the most specific first."""
    known = sorted(every_task(), key=lambda one: MOST_SPECIFIC.index(one.learned_from[0]))
    return [one.name for one in known if set(one.learned_from) & set(kinds)]


def choose_tasks(asked: Sequence[str], kinds: Collection[str]) -> tuple[str, ...]:
    """The tasks that were asked for; for `auto` the one of the most specific annotation there is.

    kinds: of annotation in the training set, see `Case.kinds`. Raises UsageError for a task that cannot be
    learned from these.
    """
    fitting = fitting_tasks(kinds)
    chosen = dict.fromkeys(fitting[0] if name == "auto" and fitting else name for name in asked)
    for name in chosen:
        if name not in fitting:
            raise UsageError(
                f"the task {name} cannot be learned from this dataset",
                where="--task",
                expected=" or ".join(fitting) or "annotations",
                received=f"annotations of the kind {', '.join(sorted(kinds)) or 'none'}",
                fix="masks/, instances/, boxes.json or labels.csv beside images/ tell what can be learned",
            )
    return tuple(chosen)


def draw_results(image: np.ndarray, result: Prediction, labels: LabelMap) -> np.ndarray | None:
    """(H, W, 3) uint8: what all tasks found over the image; None where there is nothing to draw."""
    picture = None
    for one in every_task():
        over = one.drawn(image if picture is None else picture, result, labels)
        picture = picture if over is None else over
    return picture
