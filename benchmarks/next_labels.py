"""Whether `reunet suggest` picks images whose labels teach more than random ones, on dsb2018.

Of the training images 8 are labelled at first and trained on for some minutes. Then three trainings of
equal minutes go on from there (--init): with no new labels, with 8 random ones, with the 8 that `suggest`
picks. The truth stands for what a person would draw; it is saved as the page saves it. All are
scored on the test images, and the first 8 images are scored again, to see what was forgotten.

    python benchmarks/next_labels.py shared/data/dsb2018_nuclei --seeds 10 --minutes 2 --work DIR

A line per seed and arm; what has one, or lies finished in DIR, is not done again. `--summary` prints the
differences with their 95 % intervals (bootstrap over seeds, paired).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import records
from PIL import Image

from reunet.corrections.editing import Edited, Editing
from reunet.flows.suggest.suggest import suggest

ARMS = ("none", "random", "suggested")
DIFFERENCES = (("suggested", "none"), ("suggested", "random"), ("random", "none"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--count", type=int, default=8, help="labels at first, and added")
    parser.add_argument("--pool", type=int, default=0, help="unlabelled images to choose from; 0 for all")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "next_labels")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    if options.summary:
        for (minutes, what), found in differences().items():
            print(f"{minutes:g} min, {what}: {json.dumps(found)}")
        return
    options.data = coloured(options.data, options.work / "data")
    for seed in range(options.first, options.first + options.seeds):
        for arm in ARMS:
            key = {"seed": seed, "arm": arm, "minutes": options.minutes, "labels": options.count}
            if not records.is_done("next_labels", key):
                records.append("next_labels", key, result := one(options, seed, arm))
                print(json.dumps({**key, **result}), flush=True)


def coloured(data: Path, copy: Path) -> Path:
    """The dataset with all images in colour, so that a network begun on grey ones takes the others, too."""
    if not copy.is_dir():
        ignored = shutil.ignore_patterns("val")
        shutil.copytree(data, copy.with_name("data.tmp"), ignore=ignored, dirs_exist_ok=True)
        for path in copy.with_name("data.tmp").glob("*/images/*.png"):
            with Image.open(path) as image:
                pixels = image.convert("RGB")
            pixels.save(path)
        copy.with_name("data.tmp").rename(copy)
    return copy


def one(options: argparse.Namespace, seed: int, arm: str) -> dict[str, object]:
    """Train and score one arm of one seed."""
    place = options.work / f"{options.minutes:g}min-seed{seed}"
    truth = Editing.open(options.data)
    names = [name for name in truth.names if name.startswith("train/")]
    order = np.random.default_rng(seed).permutation(len(names))
    first, rest = ([names[i] for i in some] for some in (order[: options.count], order[options.count :]))
    rest = rest[: options.pool or None]
    start = place / "start"
    train(labelled(truth, place / "data", first), start, options.minutes, seed)
    chosen: list[str] = []
    if arm == "random":
        chosen = rest[: options.count]
    elif arm == "suggested":
        images = {truth.case(name).image: name for name in rest}
        found = suggest(start, list(images), number=options.count, data=place / "data")
        chosen = [images[one.image] for one in found.suggestions]
    data = place / f"data-{arm}"
    if not data.is_dir():
        shutil.copytree(place / "data", data)
        add(truth, Editing.open(data), chosen)
    run = place / arm
    train(data, run, options.minutes, seed, init=start)
    scores = {"test": ap50(run, options.data, place / f"{arm}-test")}
    for name, what in (("start", start), (arm, run)):
        scores[f"first_{'before' if name == 'start' else 'after'}"] = ap50(
            what, place / "data", place / f"{name}-first", split="train"
        )
    scores["start"] = ap50(start, options.data, place / "start-test")
    return {"chosen": chosen, **scores}


def labelled(truth: Editing, folder: Path, names: list[str]) -> Path:
    """A dataset of these images with their labels, begun as the page begins one."""
    if not folder.is_dir():
        add(truth, Editing.begin(folder, truth.labels, "instances"), names)
        (folder / "corrections.csv").unlink()  # the first labels are given ones
    return folder


def add(truth: Editing, editing: Editing, names: list[str]) -> None:
    """Draw the truth of these images into a dataset."""
    for name in names:
        case, known = truth.case(name), truth.load(name)
        editing.add(
            case.image, Edited(objects=known.objects, object_classes=known.object_classes), by="truth"
        )


def train(data: Path, run: Path, minutes: float, seed: int, init: Path | None = None) -> None:
    """`reunet train`, in a process of its own; a run that is finished stays."""
    if (run / "calibration.json").is_file():
        return
    command = [sys.executable, "-m", "reunet", "train", str(data), "-o", str(run), "--minutes", str(minutes)]
    command += ["--seed", str(seed), "--overwrite", *(["--init", str(init)] if init else [])]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def ap50(run: Path, data: Path, output: Path, split: str = "test") -> float:
    """AP at IoU 0.5, pooled."""
    if not (output / "metrics.json").is_file():
        command = [sys.executable, "-m", "reunet", "evaluate", str(run), str(data), "--split", split]
        subprocess.run([*command, "-o", str(output)], check=True, stdout=subprocess.DEVNULL)
    found = json.loads((output / "metrics.json").read_text())["ap"]["pooled"]["0.50"]
    return float(found)


def differences() -> dict[tuple[float, str], dict[str, float | int]]:
    """AP50 on test between the arms, paired by seed, and on the first images after and before, by minutes."""
    lines, found = records.read("next_labels"), {}
    for minutes in sorted({line["key"]["minutes"] for line in lines}):
        mine = [(line["key"], line["result"]) for line in lines if line["key"]["minutes"] == minutes]
        by_arm = {arm: {key["seed"]: told for key, told in mine if key["arm"] == arm} for arm in ARMS}
        for one_arm, other in DIFFERENCES:
            seeds = by_arm[one_arm].keys() & by_arm[other].keys()
            gains = [by_arm[one_arm][seed]["test"] - by_arm[other][seed]["test"] for seed in sorted(seeds)]
            found[minutes, f"{one_arm} - {other}"] = interval(np.array(gains))
        kept = [told["first_after"] - told["first_before"] for told in by_arm["suggested"].values()]
        found[minutes, "first images, after - before"] = interval(np.array(kept))
    return found


def interval(values: np.ndarray) -> dict[str, float | int]:
    """Mean and its 95 % interval, bootstrap over seeds."""
    if not len(values):
        return {"seeds": 0}
    drawn = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"seeds": len(values), "mean": float(values.mean()), "low": float(low), "high": float(high)}


if __name__ == "__main__":
    main()
