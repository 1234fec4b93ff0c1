"""What a network is asked to do: its heads, how outputs become results, and how results are scored.

A room per task. A task is NumPy only and knows of no framework: heads and losses are named as data. A run may
have several tasks; then their heads share one network (`reunet.tasks.work`).
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from reunet.errors import UsageError, known_name

if TYPE_CHECKING:  # the names are known without NumPy, for the command line
    from reunet.tasks.base import Task

ROOMS = {
    "semantic": "reunet.tasks.semantic",
    "instances": "reunet.tasks.instances.task",
    "detection": "reunet.tasks.detection",
    "classification": "reunet.tasks.classification",
}
"""By the name of a task the module that has it as `TASK`."""


def task(name: str) -> Task:
    """The task of that name. Raises UsageError for an unknown one."""
    room = ROOMS[known_name(name, ROOMS, where="--task", error=UsageError)]
    found: Task = import_module(room).TASK
    return found


def every_task() -> tuple[Task, ...]:
    """All tasks, in the order of the registry."""
    return tuple(map(task, ROOMS))


def check_tasks(asked: Iterable[str]) -> None:
    """Raise UsageError for a task that is not there."""
    for name in asked:
        known_name(name, ("auto", *ROOMS), where="--task", error=UsageError)
