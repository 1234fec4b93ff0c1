"""`reunet plan`: what would be trained, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reunet.backend import choose_backend, use_backend
from reunet.contracts.plan import Plan
from reunet.datasets.cases import DataOptions
from reunet.flows.prepare import prepare
from reunet.planning import PlanRequest, make_plan
from reunet.progress import NullProgress, Progress
from reunet.tasks import check_tasks


def plan(
    data: str | Path | None,
    *,
    output: str | Path | None = None,
    task: Sequence[str] = ("auto",),
    preset: str = "auto",
    encoder: str | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    backend: str | None = None,
    max_memory: int | None = None,
    on_progress: Progress | None = None,
    images: Path | None = None,
    masks: Path | None = None,
    axes: str | None = None,
    classes: Path | None = None,
    colors: Path | None = None,
    group: str | None = None,
    allow_geometry_mismatch: bool = False,
    sequence: str | None = None,
) -> Plan:
    """Plan a training on the dataset `data` without training.

    The plan is returned and, with `output`, written as JSON that a person can read and edit; give it
    back with `reunet train --plan`. Options as for `train`. Raises DataError, UsageError, PlanError.
    """
    check_tasks(task)
    chosen = choose_backend(backend)
    request = PlanRequest(
        preset=preset,
        minutes=minutes,
        steps=steps,
        epochs=epochs,
        seed=seed,
        backend=chosen,
        max_memory=max_memory,
        encoder=encoder,
    )
    use_backend(chosen)
    options = DataOptions(images, masks, axes, classes, colors, group, allow_geometry_mismatch, sequence)
    prepared = prepare(
        None if data is None else Path(data), options, on_progress or NullProgress(), seed=seed
    )
    made = make_plan(prepared.fingerprint, request)
    if output is not None:
        made.write(Path(output))
    return made
