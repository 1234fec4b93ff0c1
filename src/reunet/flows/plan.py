"""`reunet plan`: what would be trained, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from reunet.backend import choose_backend, use_backend
from reunet.contracts.options import DataOptions
from reunet.contracts.plan import Plan
from reunet.flows.arguments import PlanArguments, TrainArguments, spread
from reunet.flows.prepare import prepare
from reunet.planning import PlanRequest, make_plan
from reunet.progress import NullProgress, Progress
from reunet.tasks import check_tasks


@spread
def plan(
    data: str | Path | None,
    *,
    output: str | Path | None = None,
    on_progress: Progress | None = None,
    **options: Unpack[TrainArguments],
) -> Plan:
    """Plan a training on the dataset `data` without training.

    The plan is returned and, with `output`, written as JSON that a person can read and edit; give it
    back with `reunet train --plan`. Options as for `train`. Raises DataError, UsageError, PlanError.
    """
    request, backend, described = read_options(options)
    chosen = choose_backend(backend)
    use_backend(chosen)
    root = None if data is None else Path(data)
    prepared = prepare(root, described, on_progress or NullProgress(), seed=request.seed)
    made = make_plan(prepared.fingerprint, replace(request, backend=chosen))
    if output is not None:
        made.write(Path(output))
    return made


def read_options(options: TrainArguments) -> tuple[PlanRequest, str | None, DataOptions]:
    """What is asked of the plan, of the backend and of the dataset. Raises UsageError for nonsense."""
    data: dict[str, Any] = dict(options)
    wishes = {name: data.pop(name) for name in PlanArguments.__annotations__ if name in data}
    tasks, backend = tuple(wishes.pop("task", ("auto",))), wishes.pop("backend", None)
    check_tasks(tasks)
    return PlanRequest(**wishes, task=tasks), backend, DataOptions(**data)
