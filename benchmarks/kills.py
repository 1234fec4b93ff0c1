"""Kill storing, predicting, exporting and training (SIGKILL) around each write, fsync and rename.

python benchmarks/kills.py --minutes 60 -o KILLS.jsonl     a line per kill; goes on where it stopped
python benchmarks/kills.py --summary -o KILLS.jsonl        the lines of docs/benchmarks.md

Every kill happens in a copy of the process (fork) at one of the moments that a first run has counted: first
one of each kind (the same call on a file of the same name but for numbers), then the others. Then it
is looked for what was lost (the old content, where the new one is not there yet), for half files under the
names that users see, and the same command is given again: its results must be those of a run that was never
killed, and no temporary file may be left. A training is resumed, and must end with the same weights.

The engine's export, which is a process of its own, is taken from an earlier run. Last, whole commands are
killed with all that they started at random moments.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import numpy as np
import records
from kill_points import forked
from PIL import Image

from reunet import locks
from reunet.contracts.run import RunFolder
from reunet.training.checkpoint import load_checkpoint, save_checkpoint

Content = dict[str, str]
WHOLE = 60
"""Whole runs that are killed at random moments."""


def content(folder: Path, *, hidden: bool = False) -> Content:
    """Hash of every file below a folder by its name; what is hidden (temporary) only when asked for."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        is_hidden = any(part.startswith((".tmp-", ".lock")) for part in path.relative_to(folder).parts)
        if path.is_file() and is_hidden == hidden:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def temporaries(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(".tmp-*")]


class Scenario:
    """Something that writes into a folder that holds an old state.

    prepare: makes the old state. work: what is killed. again: what is done then, `work` by default.
    """

    def __init__(self, name: str, prepare: Callable[[Path], None], work: Callable[[Path], object]) -> None:
        self.name, self.prepare, self.work = name, prepare, work

    def again(self, folder: Path) -> object:
        return self.work(folder)

    def lost(self, folder: Path, old: Content, new: Content) -> list[str]:
        """What is neither there as it was nor as it is to be, when the next command has cleared up."""
        forked(lambda: locks.sweep(folder), folder, None, folder.with_suffix(".log"))
        now = content(folder)
        return [name for name in old.keys() & new.keys() if now.get(name) not in (old[name], new[name])]

    def half(self, folder: Path, old: Content, new: Content) -> list[str]:
        """What users see that is neither of the old state nor of the new one."""
        now = content(folder)
        return [name for name, found in now.items() if found not in (old.get(name), new.get(name))]

    def differs(self, folder: Path, new: Content) -> list[str]:
        """What is not as after a run that was never killed."""
        now = content(folder)
        return [name for name in now.keys() | new.keys() if now.get(name) != new.get(name)]


def run(scenario: Scenario, output: Path, ends: float, order: random.Random) -> None:
    """Kill at each moment that has no line yet, in random order, until the time is up."""
    done = {line["point"] for line in lines(output) if line["scenario"] == scenario.name}
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        base = Path(place)
        start, reference = base / "start", base / "folder"
        start.mkdir()
        scenario.prepare(start)
        old = content(start)
        shutil.copytree(start, reference)
        code, moments = forked(lambda: scenario.work(reference), reference, None, base / "log")
        if code:
            raise SystemExit(f"{scenario.name} fails:\n{(base / 'log.err').read_text()}")
        new = content(reference)
        kinds = [kind_of(moment) for moment in moments]
        for point in in_order(kinds, done, order):
            if time.monotonic() > ends:
                return
            shutil.rmtree(reference)
            shutil.copytree(start, reference)  # under the same name: names are in some results
            code, _ = forked(lambda: scenario.work(reference), reference, point, base / "log")
            result = {
                "scenario": scenario.name, "point": point, "of": len(moments), "at": moments[point],
                "kinds": len(set(kinds)), "killed": code == -9,
                "lost": scenario.lost(reference, old, new),
                "half": scenario.half(reference, old, new),
                "temporary": len(temporaries(reference)),
            }  # fmt: skip
            code, _ = forked(lambda: scenario.again(reference), reference, None, base / "log")
            result |= {
                "again": code,
                "differs": scenario.differs(reference, new)
                if code == 0
                else [(base / "log.err").read_text()[-300:]],
                "unswept": len(temporaries(reference)),
            }
            write(output, result)


def kind_of(moment: str) -> str:
    """A moment without what tells a call from the next one of its kind: names of temporaries, numbers."""
    return re.sub(r"[0-9]+", "0", re.sub(r"\.tmp-[0-9a-f]+", ".tmp", moment))


def in_order(kinds: Sequence[str], done: Container[int], order: random.Random) -> list[int]:
    """The moments that are not done: one of every kind that has none, then the others, each at random."""
    met = {kind for point, kind in enumerate(kinds) if point in done}
    first, others = [], []
    for point in order.sample(range(len(kinds)), len(kinds)):
        if point not in done:
            (others if kinds[point] in met else first).append(point)
            met.add(kinds[point])
    return first + others


def lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines()] if output.is_file() else []


def write(output: Path, result: dict[str, Any]) -> None:
    with open(output, "a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


# -- the storage room, with a stand-in for each thing that is written ---------------------------------


def storing() -> Iterator[Scenario]:
    from fractions import Fraction

    from reunet import storage
    from reunet.contracts.labels import LabelMap, default_classes
    from reunet.io.annotations.instances import write_instances
    from reunet.io.large_masks import LargeMask, write_ome_zarr, write_tiled_tiff
    from reunet.io.pages import write_pages
    from reunet.io.raster import write_png
    from reunet.io.video import write_video
    from reunet.slices import size_of

    def both(name: str, save: Callable[[Path, int], object]) -> Scenario:
        """The same call with an old and a new content."""
        return Scenario(f"storage: {name}", lambda folder: void(save(folder, 1)), lambda f: void(save(f, 2)))

    def pixels(n: int) -> np.ndarray:
        return np.random.default_rng(n).integers(0, 2, (70, 90)).astype(np.uint8)

    def large(n: int) -> LargeMask:
        labels = LabelMap(classes=default_classes([0, 1]))
        return LargeMask(
            (70, 90), np.dtype(np.uint8), lambda part: np.full(size_of(part), n, np.uint8), None, labels
        )

    def fill(n: int) -> Callable[[Path], None]:
        def filled(folder: Path) -> None:
            (folder / "sub").mkdir()
            (folder / "sub" / "a").write_bytes(bytes([n]) * 100_000)
            storage.write_json(folder / "b.json", {"n": n})

        return filled

    def two_renames(folder: Path, n: int) -> None:
        if n == 2:
            storage._swap = lambda *_: False  # as on disks that cannot exchange folders
        storage.publish_folder(folder / "a", fill(n))

    def paged(folder: Path, n: int) -> None:
        write_pages(folder / "a.tif", pixels(n), lambda x: x, np.dtype(np.uint8))

    yield both("text", lambda folder, n: storage.write_text(folder / "a.txt", f"{n}" * 100_000))
    yield both("folder", lambda folder, n: storage.publish_folder(folder / "a", fill(n)))
    yield both("folder in two renames", two_renames)
    yield both("PNG", lambda folder, n: write_png(folder / "a.png", pixels(n)))
    yield both("instances", lambda folder, n: write_instances(folder / "a.tif", pixels(n).astype(np.int32)))
    yield both(
        "pages", lambda folder, n: write_pages(folder / "a.tif", pixels(n), lambda x: x, np.dtype(np.uint8))
    )
    yield both("tiled TIFF", lambda folder, n: write_tiled_tiff(folder / "a.tif", large(n)))
    yield both("OME-Zarr", lambda folder, n: write_ome_zarr(folder / "a.ome.zarr", large(n)))

    def video(folder: Path, n: int) -> None:
        with storage.atomic_path(folder / "a.mp4") as file:
            write_video(file, [np.full((32, 32, 3), 50 * n, np.uint8)] * 3, Fraction(25))

    yield both("video", video)
    yield Checkpoints(
        "storage: checkpoint", lambda f: void(save(f, 1), save(f, 2)), lambda f: void(save(f, 3))
    )


def save(folder: Path, step: int) -> None:
    save_checkpoint(folder, step, {"a": np.full(20_000, step)}, {"step": step})


def void(*_: object) -> None:
    """Nothing."""


class Checkpoints(Scenario):
    """At every moment the last good one, or the new one, loads."""

    def lost(self, folder: Path, old: Content, new: Content) -> list[str]:
        step, arrays, state, notes = load_checkpoint(folder)
        wrong = step not in (2, 3) or (arrays["a"] != step).any() or state["step"] != step or notes
        return ["checkpoint"] if wrong else []


# -- whole commands --------------------------------------------------------------------------------------


class Predicting(Scenario):
    """Old results are removed before the first new one is made, which --overwrite asks for."""

    def lost(self, folder: Path, old: Content, new: Content) -> list[str]:
        kept = [name for name in old if not name.startswith("out/")]
        now = content(folder)
        return [name for name in kept if now.get(name) != old[name]]


class Training(Scenario):
    """A training is resumed; before its first checkpoint it is begun again."""

    def lost(self, folder: Path, old: Content, new: Content) -> list[str]:
        checkpoints = folder / "run" / "checkpoints"
        if not any(checkpoints.glob("[0-9]*")):
            return []
        return [str(note) for note in load_checkpoint(checkpoints)[3]]

    def half(self, folder: Path, old: Content, new: Content) -> list[str]:
        wrong = []
        for path in folder.rglob("*"):
            if any(part.startswith((".tmp-", ".lock")) for part in path.relative_to(folder).parts):
                continue
            try:
                if path.suffix == ".json":
                    json.loads(path.read_text())
                elif path.suffix in (".npz", ".npy"):
                    np.load(path)
                elif path.suffix == ".png":
                    Image.open(path).load()
                elif path.suffix == ".html" and not path.read_text().rstrip().endswith("</html>"):
                    raise ValueError("cut")
            except (OSError, ValueError) as cause:
                wrong.append(f"{path.name}: {cause}")
        run = RunFolder(folder / "run")
        if run.weights_file.parent.exists():
            try:
                run.verified_weights(run.plan())
            except Exception as cause:
                wrong.append(str(cause))
        return wrong

    def differs(self, folder: Path, new: Content) -> list[str]:
        now = content(folder)
        names = [name for name in now.keys() ^ new.keys() if "checkpoints" not in name]
        same = ("run/weights/best.weights.h5", "run/calibration.json", "run/evaluation/val/metrics.csv")
        names += [name for name in same if now.get(name) != new.get(name)]
        return names


def command(*words: object) -> int:
    """One of ours, in this process."""
    from reunet.cli import main

    return main([str(word) for word in words])


def dataset(folder: Path, count: int = 6, side: int = 32) -> None:
    """Discs, as small as they are of use."""
    random = np.random.default_rng(0)
    for split, number in (("train", count), ("test", 2)):
        for name in ("images", "masks"):
            (folder / split / name).mkdir(parents=True)
        for i in range(number):
            y, x = np.mgrid[:side, :side] - random.uniform(10, side - 10, 2)[:, None, None]
            mask = (np.hypot(y, x) < 8).astype(np.uint8)
            image = np.clip(60 + 90 * mask + random.normal(0, 12, mask.shape), 0, 255).astype(np.uint8)
            Image.fromarray(image).save(folder / split / "images" / f"{split}{i}.png")
            Image.fromarray(mask).save(folder / split / "masks" / f"{split}{i}.png")


def planned(data: Path, file: Path, steps: int) -> None:
    from reunet import plan
    from reunet.contracts.plan import Plan

    made = plan(data, steps=steps).model_dump()
    made["network"].update(filters=(4, 8), strides=((2, 2),), normalisation="instance")
    made["schedule"].update(validations=2)
    made.update(patch=(32, 32), inference={"tile": (32, 32)}, batch=2)
    Plan.parse(made, where="benchmark").write(file)


def trained(place: Path) -> Path:
    """A finished run on a dataset, made once: `place/run`, `place/data`, `place/plan.json`, `place/graph`."""
    if not (place / "graph").is_dir():
        shutil.rmtree(place, ignore_errors=True)
        dataset(place / "data")
        words = [sys.executable, __file__, "--make", str(place)]
        subprocess.run(words, check=True)
    return place


def make(place: Path) -> None:
    """Train and export; in a process of its own, since one that has computed cannot be forked."""
    from reunet.exporting.formats import build_openvino

    planned(place / "data", place / "plan.json", steps=4)
    command("train", place / "data", "-o", place / "run", "--plan", place / "plan.json")
    build_openvino(RunFolder(place / "run"), place / "graph")


def commands(place: Path) -> Iterator[Scenario]:
    base = trained(place)

    def begin(folder: Path) -> None:
        for name in ("run", "data"):
            shutil.copytree(base / name, folder / name)
        shutil.copytree(base / "data" / "train" / "images", folder / "images")
        shutil.copy(base / "plan.json", folder)

    def predict(folder: Path) -> object:
        words = ["predict", folder / "run", folder / "images", "-o", folder / "out", "--probabilities"]
        return command(*words, *(["--overwrite"] if (folder / "out").exists() else []))

    def export(kind: str) -> Callable[[Path], object]:
        def work(folder: Path) -> object:
            stand_in(base)
            return command(
                "export", folder / "run", "--format", kind, "-o", folder / "exported", "--overwrite"
            )

        return work

    def train(folder: Path) -> object:
        from reunet.inference import onnx_runtime

        stand_in(base)
        onnx_runtime.is_installed = lambda: False  # of two engines either may be the faster one this time
        locks._swept.clear()
        resumable = any((folder / "run" / "checkpoints").glob("[0-9]*"))
        more = ["--resume"] if resumable else ["--plan", folder / "plan.json", "--overwrite"]
        return command("train", folder / "data", "-o", folder / "run", *more)

    def exported(kind: str) -> Callable[[Path], None]:
        def old(folder: Path) -> None:
            begin(folder)
            code, _ = forked(lambda: export(kind)(folder), folder, None, folder.with_suffix(".old"))
            assert code == 0, folder.with_suffix(".err").read_text()

        return old

    yield Predicting("predict", begin, predict)
    yield Scenario("export openvino", exported("openvino"), export("openvino"))
    yield Scenario("export onnx", exported("onnx"), export("onnx"))

    def unbegun(folder: Path) -> None:
        begin(folder)
        shutil.rmtree(folder / "run")

    yield Training("train", unbegun, train)


def stand_in(base: Path) -> None:
    """Take the graphs of an earlier export, which a process of its own would make, and never quantise."""
    from reunet.exporting import formats, int8, openvino

    def copied(kind: str, *arguments: object, task: str, fix: str) -> None:
        output = Path(str(next(word for word in arguments if str(word).endswith("model.xml"))))
        engine = base / ("graph" if len(arguments) > 3 else "run/engine") / "model.xml"
        for suffix in (".xml", ".bin"):
            shutil.copyfile(engine.with_suffix(suffix), output.with_suffix(suffix))

    formats.run_child = openvino.run_child = copied
    int8.is_installed = lambda: False


# -- whole runs at random moments --------------------------------------------------------------------------


def at_random(place: Path, output: Path, ends: float, order: random.Random) -> None:
    """Kill commands with all that they started, at any time; then give them again."""
    base = trained(place)
    begun = len([line for line in lines(output) if line["scenario"].startswith("whole")])
    kinds = {
        "train": ["train", "data", "-o", "new", "--plan", "plan.json"],
        "predict": ["predict", "run", "data/train/images", "-o", "out"],
        "export": ["export", "run", "--format", "onnx", "-o", "m.onnx"],
    }
    took: dict[str, float] = {}
    for number in range(begun, WHOLE):
        if time.monotonic() > ends:
            return
        kind = list(kinds)[number % 3]
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            here = Path(folder) / "here"
            shutil.copytree(base, here, ignore=shutil.ignore_patterns("graph"))
            before = content(here)
            moment = order.uniform(0.5, took.get(kind, 40.0))
            killed = called(kinds[kind], here, moment) == -9
            lost = [name for name, found in before.items() if content(here).get(name) != found]
            half = Training("", void, void).half(here, {}, {})
            words = list(kinds[kind])
            if kind == "train" and any((here / "new" / "checkpoints").glob("[0-9]*")):
                words = [*words[:4], "--resume"]
            elif (here / "new").exists() or (here / "out").exists() or (here / "m.onnx").exists():
                words.append("--overwrite")
            began = time.monotonic()
            code = called(words, here, None)
            took[kind] = time.monotonic() - began
            write(output, {
                "scenario": f"whole {kind}", "point": number, "of": WHOLE, "at": f"{moment:.1f} s",
                "killed": killed, "lost": lost, "half": half, "again": code, "differs": [],
                "unswept": len(temporaries(here)),
            })  # fmt: skip


def called(words: list[str], folder: Path, kill_after: float | None) -> int:
    process = subprocess.Popen(
        [sys.executable, "-m", "reunet", *words], cwd=folder, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        return process.wait(kill_after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def summary(output: Path) -> None:
    """One line per scenario for the page of benchmarks."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines(output):
        found.setdefault(line["scenario"], []).append(line)
    (records.RESULTS / "kills.jsonl").unlink(missing_ok=True)
    for name, kills in found.items():
        wrong = {
            key: sum(bool(line[key]) for line in kills) for key in ("lost", "half", "differs", "unswept")
        }
        result = {
            "moments": kills[0]["of"],
            "kinds": max(line.get("kinds", 0) for line in kills),
            "kinds killed": len({kind_of(line["at"]) for line in kills if "kinds" in line}),
            "kills": sum(line["killed"] for line in kills),
            **wrong,
        }
        result["refused"] = sum(line["again"] != 0 for line in kills)
        records.append("kills", {"what": name}, result)
        print(name, result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=records.RUNS / "kills.jsonl")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--only", default="", help="scenarios whose name begins like this")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make(given.make)
        return
    if given.summary:
        summary(given.output)
        return
    ends, order = time.monotonic() + 60 * given.minutes, random.Random(0)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    place = given.output.with_suffix(".base").absolute()
    for scenario in storing():
        if scenario.name.startswith(given.only):
            run(scenario, given.output, ends, order)
    for scenario in commands(place) if not given.only.startswith("storage") else ():
        if scenario.name.startswith(given.only):
            run(scenario, given.output, ends, order)
    if "whole".startswith(given.only):
        at_random(place, given.output, ends, order)


if __name__ == "__main__":
    main()
