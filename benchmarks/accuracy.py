"""Who is how good after the same minutes: a case of the referee, one line per training.

    make bench ONLY=accuracy
    python benchmarks/accuracy.py [--sets drive] [--peers smp] [--minutes 5 20] [--seeds 0]

reunet and its peers train from scratch on the same images, in turns; each budget is a training of its own,
planned for it. `reunet evaluate` scores the label images of all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers
import records
from quality import ENTRIES, Score
from training_runs import LONG

NAME = "accuracy"
MODULES = {"smp": "in_torch", "keras": "in_keras", "stardist": "in_stardist"}
SEMANTIC, INSTANCES = ("reunet", "smp", "keras"), ("reunet", "stardist")


@dataclass(frozen=True)
class Contest:
    """A set and a task, and who trains on it."""

    set: str
    task: str
    peers: tuple[str, ...]

    @property
    def score(self) -> Score:
        """The one that is compared."""
        return next(one for one in ENTRIES if (one.set, one.task) == (self.set, self.task)).scores[0]


CONTESTS = (
    Contest("dsb2018_nuclei", "semantic", SEMANTIC),
    Contest("dsb2018_nuclei", "instances", INSTANCES),
    Contest("drive", "semantic", SEMANTIC),
    Contest("camvid", "semantic", SEMANTIC),
)


def compared(contest: Contest, result: dict[str, Any]) -> float | None:
    """The figure of a training: of camvid the mean IoU, which is no single class."""
    if contest.set == "camvid":
        return Score(("iou", "pooled", "mean"), "mean IoU").of(result)
    return contest.score.of(result)


def train_reunet(data: Path, output: Path, minutes: float, seed: int, task: str) -> dict[str, Any]:
    """Train and predict as a user would; label images in OUTPUT/found."""
    run = output / "run"
    resumed = (run / "checkpoints" / "LATEST").is_file()
    budget = ["--task", task, "--minutes", str(minutes), "--seed", str(seed)]
    records.reunet("train", data, "-o", run, *(["--resume"] if resumed else budget))
    records.reunet("predict", run, data / "test" / "images", "-o", output / "out", "--overwrite")
    (output / "found").symlink_to(output / "out" / ("instances" if task == "instances" else "masks"))
    return {"steps": int((run / "history.csv").read_text().splitlines()[-1].split(",")[0])}


def train_peer(peer: str, data: Path, output: Path, minutes: float, seed: int) -> dict[str, Any]:
    settings = {"data": str(data), "output": str(output), "minutes": minutes, "seed": seed}
    words = [peers.python_of(peer), peers.WORKER, MODULES[peer], "train", json.dumps(settings), "--once"]
    with (output / "log.txt").open("w") as log:
        subprocess.run(words, check=True, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": ""})
    told: dict[str, Any] = json.loads((output / "told.json").read_text())
    return told


def trained(contest: Contest, peer: str, data: Path, minutes: float, seed: int) -> dict[str, Any]:
    """What a training told, and the scores of its label images."""
    output = records.RUNS / f"{NAME}-{contest.set}-{contest.task}-{peer}-{minutes:g}-{seed}"
    if peer != "reunet":
        shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    (output / "found").unlink(missing_ok=True)
    if peer == "reunet":
        told = train_reunet(data, output, minutes, seed, contest.task)
    else:
        told = train_peer(peer, data, output, minutes, seed)
    truth = data / "test" / ("instances" if contest.task == "instances" else "masks")
    records.reunet(
        "evaluate", "--pred", output / "found", "--truth", truth, "-o", output / "scores", "--overwrite"
    )
    metrics = json.loads((output / "scores" / "metrics.json").read_text())
    return told | {name: value for name, value in metrics.items() if name not in LONG}


def main_with(
    data: Path, minutes: Sequence[float] = (5, 20), seeds: Sequence[int] = (0,), sets: Sequence[str] = (),
    only: Sequence[str] = (), *, quick: bool = False,
) -> None:  # fmt: skip
    """All trainings that have no line yet. quick: a few seconds each, without a line."""
    for seed in seeds:
        for budget in (0.1,) if quick else minutes:
            for contest in CONTESTS:
                if sets and contest.set not in sets:
                    continue
                for peer in contest.peers:
                    key = {
                        "set": contest.set,
                        "task": contest.task,
                        "peer": peer,
                        "minutes": budget,
                        "seed": seed,
                    }
                    if (only and peer not in only) or (not quick and records.is_done(NAME, key)):
                        continue
                    result = trained(contest, peer, data / contest.set, budget, seed)
                    print(
                        json.dumps(key | {"steps": result["steps"], "score": compared(contest, result)}),
                        flush=True,
                    )
                    if not quick:
                        records.append(NAME, key, result)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=records.DATA)
    parser.add_argument("--minutes", type=float, nargs="+", default=[5, 20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--sets", nargs="+", default=[])
    parser.add_argument("--peers", nargs="+", default=[], dest="only")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    records.RUNS.mkdir(exist_ok=True)
    main_with(options.data, options.minutes, options.seeds, options.sets, options.only, quick=options.quick)


if __name__ == "__main__":
    main()
