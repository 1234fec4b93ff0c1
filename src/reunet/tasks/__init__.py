"""What a network is asked to do: its heads, how outputs become results, and how results are scored.

A task is NumPy only and knows of no framework: heads and losses are named as data.
"""

from __future__ import annotations

from collections.abc import Iterable

from reunet.errors import UsageError
from reunet.tasks import semantic
from reunet.tasks.base import Task

TASKS: dict[str, Task] = {
    "semantic": Task(
        name="semantic",
        heads=semantic.heads,
        decode=semantic.decode,
        scorer=semantic.Scorer,
        fit_calibration=semantic.fit_calibration,
        validation_score=semantic.validation_score,
    )
}


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
    """Raise UsageError for a task that is not there; `auto` is semantic, as masks are all that is read."""
    for name in names:
        if name != "auto":
            task(name)


__all__ = ["TASKS", "Task", "check_tasks", "task"]
