"""Does recurrence pay? Recurrent networks raced against their controls at equal parameters, on real data.

Each training and its score on the test images is one line; the intervals on the page come from the lines.

    python benchmarks/recurrence.py [--data DIR] [--only SET]
    python benchmarks/recurrence.py --camera dsb:low_light [--side 64] [--minutes 5] [--seeds 1]
    python benchmarks/recurrence.py --camera davis:lost,isbi:1,isbi:2 --entries frame,memory --side 128
    python benchmarks/recurrence.py --summary
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import camera_race
import records
from training_runs import edit

from reunet import console
from reunet.backend import use_backend
from reunet.contracts.options.records import CompareOptions
from reunet.contracts.results import ComparedRun, PairedDifference
from reunet.flows.compare.compare import train_and_score
from reunet.flows.compare.contest import Contest, make_plans, parse_contenders
from reunet.flows.compare.standings import difference, image_units, pairs_of, read_run
from reunet.planning import PlanRequest

MINUTES = 5.0


@dataclass(frozen=True)
class Race:
    """A preset, its control and the seeds. steps: what MINUTES give each of them on a quiet machine, so that
    the races are the same on a busy one; both were timed in turn.
    """

    preset: str
    seeds: int
    steps: tuple[int, int]

    @property
    def entries(self) -> dict[str, int]:
        """Steps by the name of the entry."""
        return dict(zip((self.preset, f"{self.preset}:control"), self.steps, strict=True))


RACES: dict[str, Race] = {
    "isbi2012_em": Race("slice_unet", 5, (505, 899)),
    "davis_vehicles": Race("conv_gru_unet", 6, (467, 527)),
    "drive": Race("cnn_rnn_unet", 1, (598, 675)),
    "camvid": Race("cnn_rnn_unet", 1, (584, 673)),
}


def contest_of(name: str, data: Path) -> Contest:
    presets = ",".join(RACES[name].entries)
    options = CompareOptions(
        data / name,
        presets=presets,
        output=records.RUNS / f"recurrence-{name}",
        minutes=MINUTES,
        seeds=RACES[name].seeds,
        split="test",
    )
    return Contest(options, parse_contenders(presets), PlanRequest(minutes=MINUTES))


def key_of(name: str, entry: str, seed: int) -> dict[str, Any]:
    return {"set": name, "entry": entry, "seed": seed, "minutes": MINUTES}


def run(name: str, data: Path) -> None:
    contest = contest_of(name, data)
    open_turns = [
        (entry, seed)
        for entry, seed in contest.order()
        if not records.is_done("recurrence", key_of(name, entry.name, seed))
    ]
    if not open_turns:
        return
    with console.progress() as progress:
        make_plans(contest, progress)
        for entry, seed in open_turns:
            steps = RACES[name].entries[entry.name]  # those that MINUTES give
            edit(contest.plan_file(entry, seed), {"schedule.minutes": None, "schedule.steps": steps})
            train_and_score(contest, entry, seed, progress)
            result = dataclasses.asdict(read_run(contest, entry, seed)) | {"units": image_units(contest)}
            result["units"] = {image: result["units"][image] for image in result["images"]}
            result["run"] = str(result["run"])
            folder = contest.run(entry, seed).evaluation(contest.options.split)
            result["video"] = json.loads((folder / "metrics.json").read_text()).get("video")
            records.append("recurrence", key_of(name, entry.name, seed), result)
            print(json.dumps(key_of(name, entry.name, seed) | {"dice": result["dice"]}), flush=True)


def lines_of(name: str) -> tuple[list[ComparedRun], dict[str, str]]:
    """The finished trainings of a race, and what each image is drawn with in the bootstrap."""
    runs, units = [], {}
    for line in records.read("recurrence"):
        if line["key"]["set"] == name:
            result = dict(line["result"])
            units |= result.pop("units")
            result.pop("video", None)
            runs.append(ComparedRun(**result))
    return runs, units


def video_scores(name: str) -> dict[str, list[dict[str, float]]]:
    """By entry the J and F of its trainings, of those whose line has them."""
    scores: dict[str, list[dict[str, float]]] = {}
    for line in records.read("recurrence"):
        if line["key"]["set"] == name and line["result"].get("video"):
            scores.setdefault(line["key"]["entry"], []).append(line["result"]["video"])
    return scores


def differences(name: str) -> list[PairedDifference]:
    """The paired differences of a race, as far as it has gone."""
    runs, units = lines_of(name)
    contenders = parse_contenders(",".join(RACES[name].entries))
    found = [difference(runs, pair, units) for pair in pairs_of(contenders)]
    return [pair for pair in found if pair is not None]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=records.DATA)
    parser.add_argument("--only", choices=RACES)
    parser.add_argument("--camera", metavar="SOURCE:CONDITION,...", help="races on films: camera_race.py")
    parser.add_argument("--entries", default=",".join(camera_race.ENTRIES))
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--summary", action="store_true", help="the races on films so far")
    arguments = parser.parse_args()
    use_backend("tensorflow")
    if arguments.summary:
        print(camera_race.summary())
        return
    if arguments.camera:
        budget = {name: getattr(arguments, name) for name in ("side", "minutes", "seeds")}
        for one in arguments.camera.split(","):
            source, _, condition = one.partition(":")
            entries = arguments.entries.split(",")
            camera_race.race(arguments.data, source, condition, entries=entries, **budget)
        return
    for name in [arguments.only] if arguments.only else RACES:
        run(name, arguments.data)


if __name__ == "__main__":
    main()
