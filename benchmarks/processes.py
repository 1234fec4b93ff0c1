"""Training on two processes against one, on JAX with the same global batch: the same losses, and the speed.

python benchmarks/processes.py [--data DIR] [--steps 100]
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import records
from training_runs import edit

SET = "dsb2018_nuclei"


def train(run: Path, plan: Path, data: Path, processes: int) -> list[dict[str, float]]:
    """The rows of history.csv."""
    shutil.rmtree(run, ignore_errors=True)
    records.reunet("train", data, "-o", run, "--plan", plan, "--processes", str(processes))
    with (run / "history.csv").open() as file:
        return [
            {name: float(row[name]) for name in ("step", "time_s", "loss")} for row in csv.DictReader(file)
        ]


def speed(rows: list[dict[str, float]]) -> float:
    """Steps per second after the first fifth, which compiles."""
    first = rows[len(rows) // 5]
    return (rows[-1]["step"] - first["step"]) / (rows[-1]["time_s"] - first["time_s"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=records.DATA)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    key = {"set": SET, "steps": options.steps}
    if records.is_done("processes", key):
        return
    records.RUNS.mkdir(exist_ok=True)
    data, plan = options.data / SET, records.RUNS / "processes.plan.json"
    records.reunet("plan", data, "-o", plan, "--backend", "jax", "--steps", str(options.steps))
    edit(plan, {"schedule.validations": 1})
    one, two = (train(records.RUNS / f"processes-{count}", plan, data, count) for count in (1, 2))
    differences = [abs(a["loss"] / b["loss"] - 1) for a, b in zip(two, one, strict=True)]
    result = {
        "largest_relative_difference": max(differences),
        "steps_per_second": {"1": speed(one), "2": speed(two)},
    }
    records.append("processes", key, result)
    print(result)


if __name__ == "__main__":
    main()
