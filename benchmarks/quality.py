"""Accuracy on real data, trained from scratch in minutes on a CPU: one line per set, task and seed.

python benchmarks/quality.py --only dsb2018_nuclei bccd --seeds 0
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import records
from training_runs import train_and_score


@dataclass(frozen=True)
class Score:
    """A figure of metrics.json, by its path, and what it should reach; None where it is only reported."""

    path: tuple[str, ...]
    title: str
    goal: float | None = None

    def of(self, metrics: dict[str, Any]) -> float | None:
        """Its value, None where undefined."""
        value: Any = metrics
        for part in self.path:
            value = value[part]
        return value


@dataclass(frozen=True)
class Entry:
    """A training: a set, a task, minutes. options: of the command line, for training and scoring."""

    set: str
    task: str
    minutes: float
    scores: tuple[Score, ...]
    options: tuple[str, ...] = ()

    def key(self, seed: int, label: str) -> dict[str, Any]:
        return {"set": self.set, "task": self.task, "minutes": self.minutes, "seed": seed, "label": label}


DICE, IOU = ("dice", "per_image", "mean_foreground"), ("iou", "pooled", "per_class")
POOLED = ("dice", "pooled", "mean_foreground")

ENTRIES = (
    Entry("dsb2018_nuclei", "semantic", 10, (Score(DICE, "Dice, mean over images", 0.92),)),
    Entry(
        "isbi2012_em",
        "semantic",
        20,
        (Score(POOLED, "membrane Dice, pooled", 0.79), Score(("v_rand",), "V_rand", 0.96)),
    ),
    Entry(
        "drive",
        "semantic",
        60,
        (Score(POOLED, "vessel Dice, pooled", 0.825), Score(("auc",), "AUC", 0.980)),
    ),
    Entry(
        "hippocampus",
        "semantic",
        30,
        (
            Score(("dice", "per_image", "per_class", "anterior"), "anterior Dice, mean over volumes", 0.90),
            Score(
                ("dice", "per_image", "per_class", "posterior"), "posterior Dice, mean over volumes", 0.883
            ),
        ),
    ),
    Entry(
        "camvid",
        "semantic",
        20,
        (
            Score((*IOU, "road"), "IoU of road"),
            Score((*IOU, "pedestrian"), "IoU of pedestrian", 0.45),
            Score((*IOU, "sign_symbol"), "IoU of sign", 0.30),
            Score(("iou", "pooled", "mean"), "mean IoU", 0.60),
        ),
    ),
    Entry("camvid", "semantic", 2, (Score(("iou", "pooled", "mean"), "mean IoU", 0.50),)),
    Entry(
        "camvid",
        "detection",
        20,
        (Score(("map50",), "mAP at IoU 0.5, boxes derived from masks", 0.40), Score(("map",), "mAP")),
        ("--boxes-from-masks", "car,pedestrian,sign_symbol"),
    ),
    Entry(
        "dsb2018_nuclei",
        "instances",
        20,
        (
            Score(("ap", "pooled", "0.50"), "AP at IoU 0.5, pooled", 0.80),
            Score(("ap", "pooled", "0.70"), "AP at IoU 0.7, pooled"),
            Score(("ap", "pooled", "0.90"), "AP at IoU 0.9, pooled"),
            Score(("pq",), "PQ"),
        ),
    ),
    Entry(
        "glas",
        "instances",
        20,
        (Score(("object_f1",), "object F1", 0.75), Score(("object_dice",), "object Dice")),
    ),
    Entry(
        "bccd",
        "detection",
        20,
        (
            Score(("map50",), "mAP at IoU 0.5", 0.90),
            Score(("map",), "mAP"),
            Score(("count_error", "all"), "error of the counts per image"),
        ),
    ),
    Entry("traffic_light_state", "classification", 5, (Score(("accuracy",), "accuracy", 0.985),)),
    Entry("glas", "classification", 3, (Score(("balanced_accuracy",), "balanced accuracy", 0.90),)),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=records.DATA)
    parser.add_argument("--only", nargs="+", default=[entry.set for entry in ENTRIES], help="sets")
    parser.add_argument("--tasks", nargs="+", default=[entry.task for entry in ENTRIES])
    parser.add_argument("--minutes", nargs="+", type=float, default=[entry.minutes for entry in ENTRIES])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--label", default="", help="names a state of the code, to run the same again")
    arguments = parser.parse_args()
    chosen = [
        one
        for one in ENTRIES
        if one.set in arguments.only and one.task in arguments.tasks and one.minutes in arguments.minutes
    ]
    for seed in arguments.seeds:
        for one in chosen:
            key = one.key(seed, arguments.label)
            if not records.is_done("quality", key):
                run = f"quality-{one.set}-{one.task}-{one.minutes:g}-{seed}{arguments.label}"
                data = arguments.data / one.set
                result = train_and_score(run, data, one.minutes, seed, task=one.task, options=one.options)
                records.append("quality", key, result)


if __name__ == "__main__":
    main()
