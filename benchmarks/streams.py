"""What a stream costs: memory that goes on from frame to frame, against windows of 8 over time and space.

The networks have equal parameters, one engine and one precision. A camera drifts over real images for 10 to
10,000 frames; each stream is a process of its own and one line of results/streams.jsonl, and the same command
goes on where it was stopped. Of frames of the same film the networks are scored, where they are trained
(--minutes); untrained ones tell the cost.

    python benchmarks/streams.py [--side 128] [--minutes 0] [--frames 10,100,1000,10000]
    python benchmarks/streams.py --summary
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import records
from simulated_camera import CONDITIONS, SOURCES, read_image, stream

from reunet.contracts.plan import Plan
from reunet.contracts.results import Prediction
from reunet.inference.sequence import SequencePredictor
from reunet.machine import resident_bytes

WINDOW = 8
SOURCE, CONDITION = "dsb", "low_light"
SCENE = 250
"""Frames after which the camera is over another image."""

WAYS = {"memory": "memory", "window": "window", "window, live": "window"}
"""Ways to go through a stream, and the entry of camera_race.py whose network it is. `window`: as on files,
windows that overlap by half. `window, live`: a whole window for every new frame.
"""
MOST = {"window, live": 1000}
"""Frames a way is asked for at most: it takes no other memory for more, only time."""

RATIOS = (("live", "window, live", 10.0), ("on files", "window", 3.0))
"""What memory is compared with, and how many times as much that is to cost."""


@dataclass
class Camera:
    """Frames (side, side) uint8 of a film over the test images. taken: how many. spent: on them, by both
    clocks. truth: the masks of frames that have no result yet.
    """

    data: Path
    side: int
    taken: int = 0
    spent: np.ndarray = field(default_factory=lambda: np.zeros(2))
    truth: deque[np.ndarray] = field(default_factory=deque)

    def __call__(self, count: int) -> Iterator[np.ndarray]:
        source, rng = SOURCES[SOURCE], np.random.default_rng(0)
        files = sorted((self.data / source.name / "test" / "images").iterdir())
        scenes = (
            islice(stream(*read_image(file), self.side, source.step, CONDITIONS[CONDITION], rng), SCENE)
            for file in cycle(files)
        )
        film, began = chain.from_iterable(scenes), clocks()
        for frame, mask in islice(film, count):
            self.taken += 1
            self.truth.append(mask)
            self.spent = self.spent + clocks() - began
            yield frame
            began = clocks()


def clocks() -> np.ndarray:
    """Seconds of the clock and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def results(
    way: str, predictor: SequencePredictor, frames: Iterable[np.ndarray], count: int
) -> Iterator[Prediction]:
    """What a way says of each frame."""
    if way != "window, live":
        yield from predictor.predictions(frames, count)
        return
    held: deque[np.ndarray] = deque(maxlen=predictor.window)
    for frame in frames:
        held.append(frame)
        *_, last = predictor.maps(held, len(held))
        yield predictor.work.decode(last, predictor.calibration)


def watch(way: str, run: Path, data: Path, side: int, count: int, precision: str) -> dict[str, Any]:
    """A line: what it costs to go through `count` frames, and Dice over the second half of them.

    first_after: frames that were there when the first mask was. peak_mib: the most that was resident after
    any frame.
    """
    from reunet.inference.load import load

    predictor = load(run, engine="openvino", precision=precision)
    if not isinstance(predictor, SequencePredictor):
        raise SystemExit(f"{run} is for single images")
    camera, both, sums, most, began = Camera(data, side), 0, 0, 0, clocks()
    first: tuple[float, int] | None = None
    for number, found in enumerate(results(way, predictor, camera(count), count)):
        first = first or (1000 * float((clocks() - began - camera.spent)[0]), camera.taken)
        most, truth = max(most, resident_bytes() or 0), camera.truth.popleft() > 0
        if number >= count // 2 and found.labels is not None:
            mask = found.labels == 1
            both, sums = both + int((mask & truth).sum()), sums + int(mask.sum() + truth.sum())
    wall, processor = 1000 * (clocks() - began - camera.spent) / count
    told = dict(zip(("first_ms", "first_after"), first or (), strict=False))
    return {
        "ms": float(wall),
        "processor_ms": float(processor),
        **told,
        "peak_mib": most / 2**20,
        "dice": 2 * both / max(1, sums),
    }


def trained(entry: str, data: Path, side: int, minutes: float) -> Path:
    """The run of an entry, which is trained unless it is there; for two steps where there are no minutes."""
    import camera_race

    films = camera_race.footage(data, SOURCE, CONDITION, side)
    run = records.RUNS / f"stream-{entry}-{side}-{minutes:g}"
    if (run / "report.html").is_file():
        return run
    changes: dict[str, Any] = {} if minutes else {"schedule.minutes": None, "schedule.steps": 2}
    if entry == "window":
        changes |= {"clip.frames": WINDOW, "batch": 2}
    camera_race.train(entry, films, run, minutes or 5.0, 0, changes)
    return run


def summary() -> str:
    """Of each number of frames how often memory's cost the others' is, and how its memory grows."""
    lines = records.read("streams")
    text = ""
    for place in dict.fromkeys(settings(line["key"]) for line in lines):
        mine = {
            (line["key"]["way"], line["key"]["frames"]): line["result"]
            for line in lines
            if settings(line["key"]) == place
        }
        text += "{} pixels, trained {:g} minutes, {}\n".format(*place)
        for what, other, bar in RATIOS:
            times = [
                " / ".join(f"{mine[other, n][clock] / one[clock]:.1f}" for clock in ("ms", "processor_ms"))
                + f" at {n:,}"
                for (way, n), one in mine.items()
                if way == "memory" and (other, n) in mine
            ]
            text += f"  {what}, times as costly, clock / processor (bar {bar:g}): {', '.join(times)}\n"
        grown = growth(mine)
        if grown is not None:
            text += f"  peak memory from 100 to 10,000 frames (bar 2 %): {grown:+.2%}\n"
    return text


def settings(key: dict[str, Any]) -> tuple[int, float, str]:
    """What the lines that are compared have in common."""
    return key["side"], key["minutes"], key["precision"]


def growth(results: dict[tuple[str, int], dict[str, Any]]) -> float | None:
    """Of the peak of memory from 100 to 10,000 frames, as a share."""
    few, many = (results.get(("memory", count)) for count in (100, 10_000))
    return many["peak_mib"] / few["peak_mib"] - 1 if few and many else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=records.DATA)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--minutes", type=float, default=0.0, help="of training; 0 for untrained networks")
    parser.add_argument("--frames", default="10,100,1000,10000")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--way", choices=WAYS, help="go through one stream in this process; with --run")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--summary", action="store_true")
    given = parser.parse_args()
    if given.summary:
        print(summary())
        return
    if given.way:
        told = watch(given.way, given.run, given.data, given.side, int(given.frames), given.precision)
        print(json.dumps(told))
        return
    import camera_race  # which no stream needs

    budget = {"side": given.side, "minutes": given.minutes}
    for count in map(int, given.frames.split(",")):
        for way, entry in WAYS.items():
            key = {"way": way, "frames": count, **budget, "precision": given.precision}
            if records.is_done("streams", key) or count > MOST.get(way, count):
                continue
            run = trained(entry, given.data, **budget)
            own = ["--way", way, "--run", run, "--data", given.data, "--side", given.side]
            words = [sys.executable, __file__, *own, "--frames", count, "--precision", given.precision]
            told = json.loads(subprocess.check_output(list(map(str, words))))
            told |= camera_race.facts(run, Plan.read(run / "plan.json"))
            records.append("streams", key, told)
            print(json.dumps(key | told), flush=True)


if __name__ == "__main__":
    main()
