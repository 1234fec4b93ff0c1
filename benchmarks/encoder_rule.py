"""What a training of minutes should begin with: fresh weights, or an encoder that knows photographs.

    python benchmarks/encoder_rule.py shared/data [--minutes 2] [--seeds 3] [--only camvid ...] [--work DIR]

Each set and task is trained by three arms in the same minutes: `fresh`, `photographs` (EfficientNet-Lite0 of
the extra `photo`) and `random` (the same encoder with random weights, the control: is it the weights, or the
architecture?). Scored is on held-out images of the training data; test images are not opened. A line per run;
what has one is not done again. The page of benchmarks tells what the planner's rule would have chosen, and
whether it would, had the set not been there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
import records
from PIL import Image

from reunet.contracts.fingerprint import MANY_HUES
from reunet.planning.encoder import WON

NAME = "encoders"
BOXES = ("--boxes-from-masks", "car,pedestrian,sign_symbol")
ENTRIES: dict[tuple[str, str], tuple[str, ...]] = {
    ("camvid", "semantic"): (),
    ("camvid", "detection"): BOXES,
    ("camvid_objects", "instances"): (),
    ("glas", "semantic"): (),
    ("glas", "instances"): (),
    ("dsb2018_nuclei", "semantic"): (),
    ("dsb2018_nuclei", "instances"): (),
    ("bccd", "detection"): (),
    ("drive", "semantic"): (),
    ("glas", "classification"): (),
    ("traffic_light_state", "classification"): (),
}
"""Set and task: options that say what is learned. camvid_objects: cars and people of camvid, one by one."""

ARMS = {
    "fresh": ("--encoder", "none"),
    "photographs": ("--encoder", "efficientnet_lite0"),
    "random": ("--encoder", "efficientnet_lite0", "--encoder-weights", "none"),
}
SCORES = {
    "semantic": ("iou", "pooled", "mean"),
    "detection": ("map50",),
    "instances": ("ap", "pooled", "0.50"),
    "classification": ("balanced_accuracy",),
}
CARS_AND_PEOPLE, FEWEST = (8, 9), 60
"""Classes of camvid, and from how many pixels on a part of one is an object."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=records.DATA)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=sorted({name for name, _ in ENTRIES}), help="sets")
    parser.add_argument("--tasks", nargs="+", choices=SCORES, default=list(SCORES))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / NAME)
    options = parser.parse_args()
    for seed in range(options.seeds):
        for name, task in ENTRIES:
            for arm in options.arms if name in options.only and task in options.tasks else ():
                key = {"set": name, "task": task, "minutes": options.minutes, "seed": seed, "arm": arm}
                if not records.is_done(NAME, key):
                    records.append(NAME, key, result := one(options, key))
                    print(json.dumps({**key, "score": result["score"]}), flush=True)


def one(options: argparse.Namespace, key: dict[str, Any]) -> dict[str, Any]:
    """Train one arm and score it on the held-out images."""
    name, task = key["set"], key["task"]
    data, run = options.data / name, options.work / "-".join(map(str, key.values()))
    if name == "camvid_objects":
        data = objects_of(options.data / "camvid", options.work / name)
    what = ENTRIES[name, task]
    budget = ("--minutes", str(key["minutes"]), "--seed", str(key["seed"]), "--task", task, "--overwrite")
    records.reunet("train", data, "-o", run, *budget, *ARMS[key["arm"]], *what)
    records.reunet("evaluate", run, data, "--overwrite", "--split", "val", *what)
    score = json.loads((run / "evaluation" / "val" / "metrics.json").read_text())
    for part in SCORES[task]:
        score = score[part]
    hue = json.loads((run / "fingerprint.json").read_text())["one_hue"]
    steps = int((run / "history.csv").read_text().splitlines()[-1].split(",")[0])
    return {"score": score, "steps": steps, "one_hue": hue}


def objects_of(source: Path, target: Path) -> Path:
    """A dataset of cars and people one by one: each connected part of their masks is an object."""
    if target.is_dir():
        return target
    unfinished = target.with_name(target.name + ".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    for split in ("train", "val"):
        images, objects = (unfinished / split / part for part in ("images", "instances"))
        objects.mkdir(parents=True)
        shutil.copytree(source / split / "images", images)
        for file in sorted((source / split / "masks").glob("*.png")):
            mask = np.asarray(Image.open(file))
            ids = np.zeros(mask.shape, np.uint16)
            for index in CARS_AND_PEOPLE:
                count, parts, facts, _ = cv2.connectedComponentsWithStats((mask == index).astype(np.uint8))
                for part in range(1, count):
                    if facts[part, cv2.CC_STAT_AREA] >= FEWEST:
                        ids[parts == part] = ids.max() + 1
            Image.fromarray(ids).save(objects / file.name)
    unfinished.rename(target)
    return target


def compared() -> Iterator[dict[str, Any]]:
    """By set, task and minutes: the mean score of each arm, and how many seeds there are; what the rule
    chooses, and what it would without the set.
    """
    lines = records.read(NAME)
    kinds = dict.fromkeys((one["key"]["set"], one["key"]["task"], one["key"]["minutes"]) for one in lines)
    rows = []
    for kind in kinds:
        mine = [
            line for line in lines if tuple(line["key"][part] for part in ("set", "task", "minutes")) == kind
        ]
        scores = {arm: [one["result"]["score"] for one in mine if one["key"]["arm"] == arm] for arm in ARMS}
        if scores["fresh"] and scores["photographs"]:
            means = {arm: mean(found) if found else None for arm, found in scores.items()}
            rows.append(
                dict(zip(("set", "task", "minutes"), kind, strict=True))
                | {
                    "one_hue": mine[0]["result"]["one_hue"],
                    "seeds": min(len(s) for s in scores.values() if s),
                }
                | {"means": means, "won": mean(scores["photographs"]) > mean(scores["fresh"])}
            )
    for row in rows:
        yield row | {"chosen": chosen(row), "without": without(row, rows)}


def chosen(row: dict[str, Any]) -> bool:
    """Whether the planner takes the photographs' encoder."""
    many = row["one_hue"] is not None and row["one_hue"] < MANY_HUES
    return row["one_hue"] is not None and (row["task"] in WON or (row["task"] == "instances" and many))


def without(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool | None:
    """What a rule of this form would choose that knows the other sets only: by its task, the limit of hues
    that is right most often there. None where no other set has the task.
    """
    others = [one for one in rows if one["task"] == row["task"] and one["set"] != row["set"]]
    if not others or row["one_hue"] is None:
        return None
    limits = (0.0, MANY_HUES, 1.1)
    right = [sum((one["one_hue"] < limit) == one["won"] for one in others) for limit in limits]
    return bool(row["one_hue"] < limits[int(np.argmax(right))])


if __name__ == "__main__":
    main()
