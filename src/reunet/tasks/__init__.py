"""What a network is asked to do: its heads, how outputs become results, and how results are scored.

A task is NumPy only and knows of no framework: heads and losses are named as data. A run may have several
tasks; then their heads share one network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration, Plan
from reunet.contracts.plan import Task as TaskName
from reunet.contracts.results import Prediction
from reunet.contracts.truth import Truth
from reunet.errors import UsageError
from reunet.tasks.base import Classes, Maps, Pairs, Scorer, Task
from reunet.tasks.classification import Classification
from reunet.tasks.detection import Detection
from reunet.tasks.instances.task import Instances
from reunet.tasks.semantic import Semantic

TASKS: dict[str, Task] = {
    entry.name: entry for entry in (Semantic(), Instances(), Detection(), Classification())
}

__all__ = [
    "TASKS",
    "Classes",
    "Maps",
    "Pairs",
    "Scorer",
    "Task",
    "Work",
    "check_tasks",
    "choose_tasks",
    "task",
]


class Work:
    """The tasks of a run taken together; the first one is what training follows and reports are about."""

    def __init__(self, names: Sequence[str], classes: Classes) -> None:
        self.tasks, self.classes = [task(name) for name in names], classes
        self.main = self.tasks[0]

    @classmethod
    def of(cls, plan: Plan) -> Work:
        """The work of a plan."""
        return cls(plan.tasks, Classes(plan.labels, plan.categories))

    def heads(self, rank: int) -> tuple[HeadSpec, ...]:
        """The outputs that a network needs, `rank` axes of space; one that two tasks need is there once."""
        found = (head for one in self.tasks for head in one.heads(self.classes, rank))
        return tuple({head.name: head for head in found}.values())

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
        return result

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


def task(name: str) -> Task:
    """The task of that name. Raises UsageError for an unknown one."""
    if name not in TASKS:
        raise UsageError(
            "unknown task",
            where="--task",
            expected=" or ".join(("auto", *TASKS)),
            received=name,
        )
    return TASKS[name]


def check_tasks(names: Iterable[str]) -> None:
    """Raise UsageError for a task that is not there."""
    for name in names:
        if name != "auto":
            task(name)


LEARNED_FROM = {
    "instances": ("instances",),
    "detection": ("boxes",),
    "semantic": ("masks", "instances"),
    "classification": ("categories",),
}
"""By task, kinds of annotation that it can be learned from; in the order in which `auto` looks for them."""


def choose_tasks(asked: Sequence[str], kinds: Collection[str]) -> tuple[TaskName, ...]:
    """The tasks that were asked for; for `auto` the one of the most specific annotation there is.

    kinds: of annotation in the training set, see `Case.kinds`. Raises UsageError for a task that cannot be
    learned from these.
    """
    fitting = [name for name, needed in LEARNED_FROM.items() if set(needed) & set(kinds)]
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
    return tuple(task(name).name for name in chosen)
