"""Train as a user would, from scratch, and score on the test split."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import records

LONG = ("schema_version", "task", "split", "classes", "confusion", "calibration")
"""Parts of metrics.json that no page of figures shows."""


def train_and_score(
    name: str,
    data: Path,
    minutes: float,
    seed: int,
    changes: dict[str, Any] | None = None,
    task: str = "semantic",
    options: Sequence[str] = (),
) -> dict[str, Any]:
    """Run plan, train, evaluate in a folder of their own; a run that was cut off is resumed.

    changes: plan fields by dotted name that differ from what the planner chose. options: of the command
    line, that say what is learned from the data.
    """
    run = records.RUNS / name
    plan = run.with_suffix(".plan.json")
    if (run / "checkpoints" / "LATEST").is_file():
        records.reunet("train", data, "-o", run, "--resume", *options)
    else:
        shutil.rmtree(run, ignore_errors=True)
        budget = ["--minutes", str(minutes), "--seed", str(seed)]
        if changes:
            records.reunet("plan", data, "-o", plan, "--task", task, *budget, *options)
            edit(plan, changes)
            records.reunet("train", data, "-o", run, "--plan", plan, *options)
        else:
            records.reunet("train", data, "-o", run, "--task", task, *budget, *options)
    records.reunet("evaluate", run, data, "--overwrite", *options)
    metrics = json.loads((run / "evaluation" / "test" / "metrics.json").read_text())
    history = (run / "history.csv").read_text().splitlines()
    last = dict(zip(history[0].split(","), history[-1].split(","), strict=True))
    return {
        "steps": int(last["step"]),
        "seconds": float(last["time_s"]),
        "parameters_filters": json.loads((run / "plan.json").read_text())["network"]["filters"],
        **{field: value for field, value in metrics.items() if field not in LONG},
    }


def edit(plan: Path, changes: dict[str, Any]) -> None:
    """Change fields of a plan file, named like `network.normalisation`."""
    content = json.loads(plan.read_text())
    for dotted, value in changes.items():
        *parents, field = dotted.split(".")
        target = content
        for parent in parents:
            target = target[parent]
        target[field] = value
    plan.write_text(json.dumps(content, indent=2))
