"""Whether a start from a network of other images helps where few are labelled: nuclei, then stained tissue.

A network is trained on the images of dsb2018 that show no stained tissue. Then, each seed with 8 other images
of stained tissue, one training of some minutes begins from it (--init) and one begins fresh; both are scored
on the tissue of the test split. glas (glands) and bccd (blood cells as boxes) are tried whole, to tell how
far it carries.

    python benchmarks/fine_tuning.py shared/data --seeds 5 --work DIR

A line per set, seed and arm; what has one is not done again. `--summary` prints the differences.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import records
from PIL import Image

from reunet.metrics.bootstrap import crossed_interval

NAME, TISSUE, COUNT = "fine_tuning", "histology", 8
ARMS = ("init", "fresh")
SETS = {"tissue": ("instances", "ap.0.50"), "glas": ("instances", "ap.0.50"), "bccd": ("detection", "map50")}
"""By name: the task, and the column of metrics.csv that is compared image by image, or the score."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=records.DATA)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--before", type=float, default=10.0, help="minutes of the network to start from")
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / NAME)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    if options.summary:
        for name, told in differences().items():
            print(f"{name}: {json.dumps(told)}")
        return
    for name in options.sets:
        for seed in range(options.seeds if name == "tissue" else 1):
            for arm in ARMS:
                key = {"set": name, "seed": seed, "arm": arm, "minutes": options.minutes}
                key["before"] = options.before
                if not records.is_done(NAME, key):
                    records.append(NAME, key, result := one(options, name, seed, arm))
                    print(json.dumps({**key, "score": result["score"]}), flush=True)


def one(options: argparse.Namespace, name: str, seed: int, arm: str) -> dict[str, Any]:
    """Train and score one arm of one seed."""
    task, column = SETS[name]
    nuclei = options.data / "dsb2018_nuclei"
    data = nuclei if name == "tissue" else options.data / name
    if name == "tissue":
        data = options.work / f"tissue-{seed}"
        drawn = np.random.default_rng(seed)

        def few(stems: list[str]) -> list[str]:
            return sorted(drawn.choice(stems, COUNT, replace=False).tolist())

        subset(nuclei, data, {"train": few, "test": list}, lambda kind: kind == TISSUE)
    run = options.work / f"{name}-{seed}-{arm}"
    budget = ["--minutes", str(options.minutes), "--seed", str(seed), "--task", task, "--overwrite"]
    start = ["--init", str(start_of(options, nuclei))] if arm == "init" else []
    records.reunet("train", data, "-o", run, *budget, *start)
    records.reunet("evaluate", run, data, "--overwrite")
    metrics = json.loads((run / "evaluation" / "test" / "metrics.json").read_text())
    with open(run / "evaluation" / "test" / "metrics.csv", newline="") as file:
        images = {row["id"]: float(row[column]) for row in csv.DictReader(file) if row.get(column)}
    score = metrics["ap"]["pooled"]["0.50"] if task == "instances" else metrics[column]
    filters = json.loads((run / "plan.json").read_text())["network"]["filters"]
    return {"score": score, "images": images, "filters": filters}


def start_of(options: argparse.Namespace, nuclei: Path) -> Path:
    """The run of the images without tissue, trained once."""
    run, data = options.work / f"start-{options.before:g}", options.work / "without-tissue"
    if not (run / "calibration.json").is_file():
        subset(nuclei, data, {"train": list}, lambda kind: kind != TISSUE)
        budget = ["--minutes", str(options.before), "--seed", "0", "--task", "instances", "--overwrite"]
        records.reunet("train", data, "-o", run, *budget)
    return run


def subset(
    source: Path,
    target: Path,
    splits: dict[str, Callable[[list[str]], list[str]]],
    wanted: Callable[[str], bool],
) -> None:
    """A dataset of some images of another, all in colour, with their objects: of those of a wanted kind, what
    each split chooses.
    """
    if target.is_dir():
        return
    unfinished = target.with_name(target.name + ".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    for split, choose in splits.items():
        with open(source / split / "items.csv", newline="") as file:
            stems = [row["stem"] for row in csv.DictReader(file) if wanted(row["kind"])]
        for stem in choose(stems):
            for part, mode in (("images", "RGB"), ("instances", None)):
                (file_of,) = (source / split / part).glob(f"{stem}.*")
                (unfinished / split / part).mkdir(parents=True, exist_ok=True)
                with Image.open(file_of) as image:
                    (image.convert(mode) if mode else image).save(unfinished / split / part / f"{stem}.png")
    unfinished.rename(target)


def differences() -> dict[str, dict[str, Any]]:
    """By set: the mean scores of the arms, and the mean difference over seeds and images with its 95 %
    interval, see `crossed_interval`.
    """
    found = {}
    for name in SETS:
        mine = [(line["key"], line["result"]) for line in records.read(NAME) if line["key"]["set"] == name]
        by_arm = {arm: {key["seed"]: told for key, told in mine if key["arm"] == arm} for arm in ARMS}
        seeds = sorted(by_arm["init"].keys() & by_arm["fresh"].keys())
        if not seeds:
            continue
        told: dict[str, Any] = {"seeds": len(seeds)}
        told |= {arm: float(np.mean([by_arm[arm][seed]["score"] for seed in seeds])) for arm in ARMS}
        pairs = [[by_arm[arm][seed]["images"] for arm in ARMS] for seed in seeds]
        images = sorted({image for pair in pairs for one in pair for image in one})
        gains = np.array(
            [[ours.get(i, np.nan) - fresh.get(i, np.nan) for i in images] for ours, fresh in pairs]
        )
        known = ~np.isnan(gains)
        if (ends := crossed_interval(np.where(known, gains, 0.0), known)) is not None:
            told |= {"difference": float(gains[known].mean()), "low": ends[0], "high": ends[1]}
        found[name] = told
    return found


if __name__ == "__main__":
    main()
