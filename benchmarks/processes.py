"""Training on two processes against one, on JAX with the same global batch: the same losses, and the speed.

Sums in another order differ in the last bit, and AdamW makes more of it from step to step; `--control` shows
how much: the same training on one process that is compiled otherwise (by XLA without optimisation).

    python benchmarks/processes.py [--data DIR] [--steps 100] [--precision float32] [--control]
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
from pathlib import Path

import records
from training_runs import edit

SET = "dsb2018_nuclei"
OTHERWISE = "--xla_backend_optimization_level=0"


def train(run: Path, plan: Path, data: Path, processes: int, flags: str = "") -> list[dict[str, float]]:
    """The rows of history.csv, of a run that is trained unless it has been. flags: for XLA."""
    if not (run / "report.html").is_file():
        shutil.rmtree(run, ignore_errors=True)
        os.environ["XLA_FLAGS"] = flags
        records.reunet("train", data, "-o", run, "--plan", plan, "--processes", str(processes))
    with (run / "history.csv").open() as file:
        return [
            {name: float(row[name]) for name in ("step", "time_s", "loss")} for row in csv.DictReader(file)
        ]


def differences(one: list[dict[str, float]], other: list[dict[str, float]]) -> list[float]:
    """Between the losses of each step, relative."""
    return [abs(b["loss"] / a["loss"] - 1) for a, b in zip(one, other, strict=True)]


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
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--control", action="store_true", help="one process compiled otherwise, too")
    options = parser.parse_args()
    key = {"set": SET, **{name: getattr(options, name) for name in ("steps", "precision", "control")}}
    if records.is_done("processes", key):
        return
    records.RUNS.mkdir(exist_ok=True)
    data, plan = options.data / SET, records.RUNS / "processes.plan.json"
    records.reunet("plan", data, "-o", plan, "--backend", "jax", "--steps", str(options.steps))
    edit(plan, {"schedule.validations": 1, "precision": options.precision})
    one, two = (train(records.RUNS / f"processes-{count}", plan, data, count) for count in (1, 2))
    pairs = {"two processes": differences(one, two)}
    if options.control:
        otherwise = train(records.RUNS / "processes-1-otherwise", plan, data, 1, OTHERWISE)
        pairs["one, compiled otherwise"] = differences(one, otherwise)
    result = {
        "relative_difference_to_one": {
            name: {"first_12": max(apart[:12]), "median": statistics.median(apart), "largest": max(apart)}
            for name, apart in pairs.items()
        },
        "steps_per_second": {"1": speed(one), "2": speed(two)},
    }
    records.append("processes", key, result)
    print(result)


if __name__ == "__main__":
    main()
