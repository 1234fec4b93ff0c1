"""The referee: reunet and its peers at the same work on this machine, in turns.

    make bench [ONLY="prediction smp"]
    python benchmarks/bench.py [--only WORD ...] [--rounds 15] [--isa AVX2] [--again]
    python benchmarks/bench.py --quick        each case once with tiny settings; nothing is recorded

Each peer has an environment of its own, which is made when it is first needed: peers/*.txt says what is in
it. At `prediction`, `training`, `widths` and `limit` each has a process that computes only when it is its
turn; at `whole` and `start` whole processes take turns; `accuracy` trains for minutes, see accuracy.py. A
line per race goes to results/bench.jsonl, with every single time; races that have one are left out. WORD:
names of cases, and of peers, which then race against reunet alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import accuracy
import numpy as np
import peers
import records
import tifffile
from peers import python_of

NAME = "bench"
CASES = ("prediction", "training", "limit", "widths", "whole", "start", "accuracy")
WARM_UP = 2
KINDS = ("instance", "batch")
WIDTHS = {2: (16, 24, 32, 48, 64), 3: (8, 16, 24, 32)}
SIDES = (1000, 2000, 4000, 8000)
SLOW = 3
"""Rounds of what takes minutes."""


@dataclass(frozen=True)
class Arm:
    """Who races, and how.

    peer: its environment. module, work, settings: see peers/worker.py. words: of a command instead, after
    the Python of the environment; `told` is then the file that it writes its own seconds to.
    """

    name: str
    peer: str
    module: str = ""
    work: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    told: Path | None = None


@dataclass(frozen=True)
class Race:
    """Arms that take turns. batches: images at a time; each arm races with all of them, and the best counts.
    Whole commands have none.
    """

    case: str
    variant: str
    arms: tuple[Arm, ...]
    batches: tuple[int, ...] = ()
    rounds: int | None = None


def step_arms(work: str, kind: str) -> Iterable[Arm]:
    """A network of one size in all programs. kind: of normalisation."""
    if work == "prediction":
        run = str(run_of(kind))
        names = {"reunet": "default", "reunet f32": "f32", "reunet int8": "int8"}
        for name, precision in names.items():
            yield Arm(name, "reunet", "in_reunet", work, {"run": run, "precision": precision})
    else:
        yield Arm("reunet", "reunet", "in_reunet", work, {"kind": kind})
    ways = {"as it ships": "", "tuned": "tuned", "tuned and compiled": "compiled"}
    torch = {"PyTorch": ("smp", "plain"), "smp": ("smp", "smp"), "MONAI": ("monai", "monai")}
    for name, (peer, network) in (torch | {"nnU-Net": ("nnunet", "nnunet")}).items():
        for way, how in ways.items():
            if way != "tuned" or network == "plain":
                settings = {"network": network, "kind": kind, "how": how}
                yield Arm(f"{name} {way}", peer, "in_torch", work, settings)
    for name, peer, network in (("Keras", "keras", "plain"), ("medicai", "medicai", "medicai")):
        for way in ("as it ships", "tuned"):
            settings = {"network": network, "kind": kind, "how": ways[way]}
            yield Arm(f"{name} {way}", peer, "in_keras", work, settings)


def steps() -> Iterable[Race]:
    for kind in KINDS:
        yield Race("prediction", kind, tuple(step_arms("prediction", kind)), (1, 8))
        yield Race("training", kind, tuple(step_arms("training", kind)), (4, 8))
    products = [
        Arm(dtype, "smp", "in_torch", "product", {"dtype": dtype}) for dtype in ("bfloat16", "float32")
    ]
    yield Race("limit", "product of two matrices", tuple(products), (2048,))
    for axes, widths in WIDTHS.items():
        arms = [
            Arm(
                str(width),
                "reunet",
                "in_reunet",
                "training",
                {"kind": "instance", "width": width, "axes": axes},
            )
            for width in widths
        ]
        yield Race("widths", f"{axes} axes", tuple(arms), (4 if axes == 2 else 2,))


def wholes(sides: Sequence[int]) -> Iterable[Race]:
    """From a TIFF to a mask, of growing size: whole commands, and the engine alone on as many tiles."""
    for side in sides:
        image, run = image_of(side), run_of("batch")
        told, out = records.RUNS / "bench_told.json", records.RUNS / "bench_out"
        arms = [
            Arm(
                "reunet", "reunet",
                words=("-m", "reunet", "predict", str(run), str(image), "-o", str(out), "--overwrite"),
            ),
            once("engine alone", "reunet", "in_reunet", "engine", told, run=str(run), side=side),
        ]  # fmt: skip
        for name, peer in (("MONAI", "monai"), ("nnU-Net", "nnunet")):
            settings = {"network": peer, "image": str(image), "output": str(out.with_suffix(".tif"))}
            arms.append(once(name, peer, "in_torch", "whole", told, **settings))
        yield Race("whole", str(side), tuple(arms), rounds=SLOW)


def starts() -> Iterable[Race]:
    """From typing a command to its end: help, and the first prediction of a small image."""
    image, run, out = image_of(256), run_of("batch"), records.RUNS / "bench_out"
    predict = ("-m", "reunet", "predict", str(run), str(image), "-o", str(out), "--overwrite")
    arms = [
        Arm("reunet --help", "reunet", words=("-m", "reunet", "--help")),
        Arm("import reunet", "reunet", words=("-c", "import reunet")),
        Arm("reunet predict", "reunet", words=predict),
        once("PyTorch, first prediction", "smp", "in_torch", "first", None, network="plain"),
        once("smp, first prediction", "smp", "in_torch", "first", None, network="smp"),
        once("MONAI, first prediction", "monai", "in_torch", "first", None, network="monai"),
        once("nnU-Net's network, first prediction", "nnunet", "in_torch", "first", None, network="nnunet"),
        once("Keras, first prediction", "keras", "in_keras", "first", None, network="plain"),
        once("medicai, first prediction", "medicai", "in_keras", "first", None, network="medicai"),
    ]
    yield Race("start", "256 x 256", tuple(arms), rounds=10)


def once(name: str, peer: str, module: str, work: str, told: Path | None, **settings: Any) -> Arm:
    """A command that does some work of a module of peers/ once."""
    settings |= {} if told is None else {"told": str(told)}
    return Arm(name, peer, words=(str(peers.WORKER), module, work, json.dumps(settings), "--once"), told=told)


def run_of(kind: str) -> Path:
    """Where the standard network with random weights lies. kind: of normalisation."""
    return records.RUNS / f"bench_{kind}"


def image_of(side: int) -> Path:
    return records.RUNS / f"bench_{side}.tif"


def prepare(race: Race) -> None:
    """Make the environments, runs and images that a race needs, where they are not there."""
    for peer in dict.fromkeys(arm.peer for arm in race.arms):
        python_of(peer)
    wanted = {"prediction": (race.variant, 0), "whole": ("batch", race.variant), "start": ("batch", 256)}
    if race.case not in wanted:
        return
    kind, side = wanted[race.case][0], int(wanted[race.case][1])
    folder, file = run_of(kind), image_of(side)
    if not (folder / "engine" / "int8.xml").is_file():
        command = [sys.executable, records.HERE / "standard_run.py", folder, "0", kind, "--int8"]
        subprocess.run(command, check=True)
    if side and not file.is_file():
        make_image(file, side)


def make_image(file: Path, side: int) -> None:
    """Soft waves with noise, (side, side, 3) uint8, tiled and compressed."""
    rng = np.random.default_rng(0)
    waves = (np.sin(np.arange(side) / 17.0)[:, None] + np.sin(np.arange(side) / 23.0)) * 50 + 110
    pixels = rng.integers(0, 16, (side, side, 3), np.uint8) + waves[..., None].astype(np.uint8)
    tifffile.imwrite(file, pixels, photometric="rgb", tile=(256, 256), compression="zlib")


def environment(arm: Arm, isa: str | None) -> dict[str, str]:
    """Of a process. isa: what oneDNN may use of the processor."""
    own = {"PYTHONPATH": str(records.HERE.parent / "src") if arm.peer == "reunet" else ""}
    return {**os.environ, **own, **({"ONEDNN_MAX_CPU_ISA": isa} if isa else {})}


class Worker:
    """A process that makes a step whenever it is told to; its `log` has what libraries say."""

    def __init__(self, arm: Arm, isa: str | None) -> None:
        self.log = records.RUNS / f"bench_{arm.name.replace(' ', '_')}.log"
        words = [python_of(arm.peer), peers.WORKER, arm.module, arm.work, json.dumps(arm.settings)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env=environment(arm, isa),
            )  # fmt: skip
        self.told: dict[str, Any] = json.loads(self._line())

    def step(self, images: int) -> tuple[float, float]:
        """Seconds by the clock, and of the processor. Raises EOFError where the process has ended."""
        with suppress(BrokenPipeError):
            print(images, file=self.process.stdin, flush=True)
        wall, cpu = self._line().split()
        return float(wall), float(cpu)

    def _line(self) -> str:
        assert self.process.stdout
        if not (line := self.process.stdout.readline()):
            self.end()
            said = self.log.read_text(errors="replace").strip().splitlines()
            raise EOFError(said[-1] if said else "the process ended")
        return line

    def end(self) -> int:
        """The most bytes that were resident."""
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        return records.ended(self.process).peak


def in_turns(race: Race, rounds: int, isa: str | None, warm_up: int = WARM_UP) -> dict[str, dict[str, Any]]:
    """What each arm told, its peak of memory and, by batch, (seconds, of the processor) of each round."""
    workers: dict[str, Worker] = {}
    found: dict[str, dict[str, Any]] = {}
    for arm in race.arms:
        try:
            workers[arm.name] = Worker(arm, isa)
            found[arm.name] = workers[arm.name].told | {"times": {batch: [] for batch in race.batches}}
        except EOFError as cause:
            found[arm.name] = {"failed": str(cause)}
    for number in range(-warm_up, rounds):
        for name, worker in list(workers.items()):
            try:
                times = {batch: worker.step(batch) for batch in race.batches}
            except EOFError as cause:
                found[name] = {"failed": str(cause)}
                del workers[name]
                continue
            for batch, one in times.items() if number >= 0 else ():
                found[name]["times"][batch].append(one)
    for name, worker in workers.items():
        found[name]["peak_bytes"] = worker.end()
    return found


def in_processes(
    race: Race, rounds: int, isa: str | None, *, is_quick: bool = False
) -> dict[str, dict[str, Any]]:
    """Of each command the times, whole and `inner` without its start, and its peaks of memory."""
    found: dict[str, dict[str, Any]] = {arm.name: {"times": {0: []}, "inner": []} for arm in race.arms}
    first = 0 if is_quick or race.case != "start" else -1  # later all files are in the disk cache
    for number in range(first, rounds):
        for arm in race.arms:
            one, mine = found[arm.name], [python_of(arm.peer), *arm.words]
            if "failed" in one:
                continue
            try:
                took = records.measured(mine, env=environment(arm, isa))
            except SystemExit as cause:
                found[arm.name] = {"failed": str(cause).strip().splitlines()[-1]}
                continue
            if number < 0:
                continue
            one["times"][0].append((took.seconds, took.cpu))
            one["peak_bytes"] = max(took.peak, one.get("peak_bytes", 0))
            if arm.told is not None:
                one["inner"].append(json.loads(arm.told.read_text())["seconds"])
    return found


def summary(arm: dict[str, Any], batch: int | str) -> dict[str, float]:
    """Median and quartiles of the seconds of an arm, and the median of those of the processor."""
    wall, cpu = zip(*arm["times"][batch], strict=True)
    low, middle, high = statistics.quantiles(wall, n=4) if len(wall) > 1 else wall * 3
    return {"seconds": middle, "low": low, "high": high, "cpu": statistics.median(cpu)}


def best_batch(arm: dict[str, Any]) -> int | str:
    """With which an arm needs the least time for an image."""
    return min(arm["times"], key=lambda batch: summary(arm, batch)["seconds"] / max(1, int(batch)))


def shown(race: Race, found: dict[str, dict[str, Any]]) -> None:
    print(f"\n{race.case}, {race.variant}")
    for name, arm in found.items():
        if "failed" in arm:
            print(f"  {name:38} failed: {arm['failed'][:90]}")
            continue
        batch = best_batch(arm)
        took, count = summary(arm, batch), max(1, int(batch))
        more = f"{count / took['seconds']:10.2f} images/s at {count}" if race.batches else ""
        peak = f"{arm['peak_bytes'] / 1e6:8.0f} MB"
        print(f"  {name:38} {took['seconds']:8.3f} s, processor {took['cpu']:8.3f} s {peak} {more}")
    sys.stdout.flush()


def chosen(race: Race, words: Sequence[str]) -> Race | None:
    """The race with the arms that are asked for; None where it is not, or none of its arms."""
    cases, who = set(words) & set(CASES), set(words) - set(CASES)
    if cases and race.case not in cases:
        return None
    asked = [arm for arm in race.arms if arm.peer in who]
    own = [arm for arm in race.arms if arm.peer == "reunet"]
    return race if not who else replace(race, arms=(*own, *asked)) if asked else None


def quick(race: Race) -> Race:
    """The same with tiny settings."""
    few = race.arms[:1] if race.case == "widths" else race.arms
    few = tuple(arm for arm in few if arm.settings.get("how") != "compiled")  # that takes minutes
    sizes = (64,) if race.case == "limit" else (1,)
    return replace(race, arms=few, batches=sizes if race.batches else (), rounds=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = [*CASES, *peers.NAMES]
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help=", ".join(words))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--isa", choices=("AVX2", "AVX512_CORE", "AVX512_CORE_BF16"))
    parser.add_argument("--again", action="store_true", help="also what has a line")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=records.DATA)
    options = parser.parse_args()
    if unknown := set(options.only) - set(words):
        parser.error(f"--only {' '.join(sorted(unknown))}: there are {', '.join(words)}")
    records.RUNS.mkdir(exist_ok=True)
    sides = (300,) if options.quick else SIDES
    races = [one for every in (steps(), wholes(sides), starts()) for one in every]
    for race in filter(None, (chosen(one, options.only) for one in races)):
        if options.quick and race.variant == KINDS[0]:
            continue
        race = quick(race) if options.quick else race
        rounds = race.rounds or options.rounds
        asked = sorted({arm.peer for arm in race.arms})
        key = {
            "case": race.case,
            "variant": race.variant,
            "isa": options.isa,
            "rounds": rounds,
            "peers": asked,
        }
        if not options.quick and not options.again and records.is_done(NAME, key):
            continue
        prepare(race)
        if race.batches:
            found = in_turns(race, rounds, options.isa, 0 if options.quick else WARM_UP)
        else:
            found = in_processes(race, rounds, options.isa, is_quick=options.quick)
        shown(race, found)
        if not options.quick:
            installed = {peer: peers.footprint(peer) for peer in asked} if race.case == "start" else {}
            records.append(NAME, key, {"arms": found, "installed": installed})
    if "accuracy" in options.only or not set(options.only) & set(CASES):
        who = set(options.only) - set(CASES)
        accuracy.main_with(options.data, only=[*who, *(["reunet"] if who else [])], quick=options.quick)


if __name__ == "__main__":
    main()
