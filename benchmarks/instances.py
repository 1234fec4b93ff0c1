"""Objects found in dsb2018_nuclei, trained from scratch for the same minutes on the same images: reunet and
StarDist, in turns, one line per training. The same code scores the label images of both.

    python benchmarks/instances.py --stardist DIR/bin/python [--data DIR] [--minutes 20] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import records

from reunet.metrics.bootstrap import interval
from reunet.metrics.matching import THRESHOLDS, average_precision, match_counts, panoptic_quality
from reunet.metrics.object_overlap import object_overlap

SET = "dsb2018_nuclei"

HERE = Path(__file__).resolve().parent


def train_reunet(data: Path, output: Path, minutes: float, seed: int) -> dict[str, Any]:
    """Train and predict as a user would; label images in output/labels."""
    resumed = (output / "run" / "checkpoints" / "LATEST").is_file()
    budget = ["--resume"] if resumed else ["--task", "instances", "--minutes", str(minutes)]
    records.reunet("train", data, "-o", output / "run", *budget, *([] if resumed else ["--seed", str(seed)]))
    records.reunet("predict", output / "run", data / "test" / "images", "-o", output / "out", "--overwrite")
    (output / "labels").unlink(missing_ok=True)
    (output / "labels").symlink_to(output / "out" / "instances")
    steps = (output / "run" / "history.csv").read_text().splitlines()[-1].split(",")[0]
    return {"steps": int(steps)}


def train_stardist(python: Path, data: Path, output: Path, minutes: float, seed: int) -> dict[str, Any]:
    """The same with StarDist, in its own environment."""
    budget = ["--minutes", str(minutes), "--seed", str(seed)]
    subprocess.run(
        [python, HERE / "stardist_run.py", data, output, *budget],
        check=True,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": ""},
    )
    result: dict[str, Any] = json.loads((output / "result.json").read_text())
    return result


def kinds(data: Path) -> dict[str, str]:
    """By image: fluorescence, histology or brightfield."""
    with open(data / "test" / "items.csv", newline="") as file:
        return {row["stem"]: row["kind"] for row in csv.DictReader(file)}


def read_labels(file: Path) -> np.ndarray:
    labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if labels is None:
        raise FileNotFoundError(file)
    return labels.astype(np.int32)


def score(data: Path, labels: Path, images: Iterable[str]) -> dict[str, Any]:
    """Average precision with the objects of all images together and as the mean over images; PQ."""
    counts = np.array(
        [
            match_counts(
                object_overlap(
                    read_labels(data / "test" / "instances" / f"{name}.png"),
                    read_labels(labels / f"{name}.png"),
                    None,
                )
            )
            for name in images
        ]
    )
    pooled = counts.sum(axis=0)
    ends = interval(counts, lambda some: average_precision(some.sum(axis=0)))
    by_threshold = zip(THRESHOLDS, average_precision(pooled), strict=True)
    return {
        "images": len(counts),
        "ap": {f"{t:.2f}": round(float(value), 4) for t, value in by_threshold},
        "ap50_ci95": [round(float(end), 4) for end in ends[:, 0]],
        "ap50_per_image": round(float(np.nanmean(average_precision(counts)[:, 0])), 4),
        "pq": round(float(panoptic_quality(pooled)[0]), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stardist", type=Path, help="Python of an environment that has StarDist")
    parser.add_argument("--data", type=Path, default=records.DATA)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    data = arguments.data / SET
    for seed in arguments.seeds:
        for tool in ("reunet", "stardist") if arguments.stardist else ("reunet",):
            key = {"tool": tool, "minutes": arguments.minutes, "seed": seed}
            if records.is_done("instances", key):
                continue
            output = records.RUNS / f"instances-{tool}-{arguments.minutes:g}-{seed}"
            output.mkdir(parents=True, exist_ok=True)
            if tool == "reunet":
                result = train_reunet(data, output, arguments.minutes, seed)
            else:
                result = train_stardist(arguments.stardist, data, output, arguments.minutes, seed)
            found = kinds(data)
            fluorescence = [name for name, kind in found.items() if kind == "fluorescence"]
            result["all"] = score(data, output / "labels", found)
            result["fluorescence"] = score(data, output / "labels", fluorescence)
            records.append("instances", key, result)
            print(json.dumps(key | {"ap50": result["all"]["ap"]["0.50"]}), flush=True)


if __name__ == "__main__":
    main()
