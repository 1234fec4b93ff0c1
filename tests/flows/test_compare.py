"""The verb `compare`: what it refuses, its order, restarts, differences and their intervals."""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import reunet
from reunet.cli import main
from reunet.contracts.options.records import CompareOptions
from reunet.contracts.plan import Plan
from reunet.contracts.results import ComparedRun
from reunet.contracts.run import RunFolder
from reunet.errors import InterruptedRunError, TrainingError
from reunet.flows.compare import compare as room
from reunet.flows.compare.contest import Contender, Contest, parse_contenders
from reunet.flows.compare.standings import difference, image_units, pairs_of, table
from reunet.metrics.bootstrap import crossed_interval
from reunet.planning import PlanRequest

IMAGES = 4
GAIN = {"unet": 0.0, "cnn_rnn_unet": 0.04, "cnn_rnn_unet_control": 0.01}


class FakeTraining:
    """Stands in for the process of a training: writes a run whose scores are known, and keeps the words."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.fail: dict[int, Exception] = {}

    def __call__(self, words: list[str], name: str, progress: Any) -> None:
        self.calls.append(words)
        error = self.fail.get(len(self.calls))
        if error is not None:
            raise error
        run = RunFolder(Path(words[words.index("-o") + 1]))
        file = Path(words[words.index("--plan") + 1]) if "--plan" in words else run.plan_file
        plan = Plan.read(file)
        plan.write(run.plan_file)
        gain, rng = GAIN[plan.network.preset], np.random.default_rng(plan.seed)
        scores = [0.8 + gain + 0.02 * i + 0.01 * rng.normal() for i in range(IMAGES)]
        write_scores(run, "val", scores)
        run.history_file.write_text("step,time_s,val_score\n3,1.5,0.5\n6,3.0,\n9,4.5,0.7\n")


def write_scores(run: RunFolder, split: str, scores: list[float]) -> None:
    """What an evaluation leaves in a run, as far as comparisons read it."""
    evaluation = run.evaluation(split)
    evaluation.mkdir(parents=True)
    dice = {"mean_foreground": float(np.mean(scores))}
    metrics = {"dice": {"per_image": dice, "pooled": dice}, "iou": {"pooled": {"mean": 0.7}}}
    (evaluation / "metrics.json").write_text(json.dumps(metrics))
    lines = [f"i{i},{score!r}\n" for i, score in enumerate(scores)]
    (evaluation / "metrics.csv").write_text("id,dice.mean_foreground\n" + "".join(lines))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, backend: str) -> FakeTraining:
    training = FakeTraining()
    monkeypatch.setattr(room, "run_process", training)
    return training


def words(data: Path, output: Path, *, presets: str = "unet,cnn_rnn_unet", steps: int = 9) -> list[str]:
    return ["compare", str(data), "--presets", presets, "--steps", str(steps), "-o", str(output)]


@pytest.mark.parametrize(
    ("presets", "more", "hint"),
    [
        ("unet", [], "at least two"),
        ("unet,unet", [], "each of them once"),
        ("unet,r2unett", [], "did you mean 'r2unet'"),
        ("unet,unet:control", [], "no recurrence"),
        ("unet,control", [], "no recurrence"),
        ("unet,r2unet:contrl", [], "r2unet:control"),
        ("unet,resunet", ["--seeds", "0"], "--seeds"),
        ("unet,resunet", ["--split", "train"], "--split"),
        ("unet,resunet", ["--minutes", "3"], "two budgets"),
    ],
)
def test_what_compares_nothing_is_refused(
    presets: str, more: list[str], hint: str, tmp_path: Path, fake: FakeTraining, capsys: Any
) -> None:
    assert main([*words(tmp_path / "data", tmp_path / "out", presets=presets), *more]) == 1
    assert hint in capsys.readouterr().err
    assert fake.calls == []
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, tiny_dataset: Path, fake: FakeTraining, capsys: Any
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert main(words(tiny_dataset, tmp_path / "out")) == 1
    assert "thesis.txt" in capsys.readouterr().err
    assert main([*words(tiny_dataset, tmp_path / "new"), "--seeds", "1"]) == 0
    done = len(fake.calls)
    assert main([*words(tiny_dataset, tmp_path / "new", steps=8), "--seeds", "1"]) == 1
    assert "other settings" in capsys.readouterr().err
    shutil.copytree(tiny_dataset, tmp_path / "changed")
    next((tmp_path / "changed" / "train" / "images").iterdir()).unlink()
    for mask in (tmp_path / "changed" / "train" / "masks").iterdir():
        if not (mask.parents[1] / "images" / mask.name).exists():
            mask.unlink()
    assert main([*words(tmp_path / "changed", tmp_path / "new"), "--seeds", "1"]) == 1
    assert "content" in capsys.readouterr().err
    assert len(fake.calls) == done


def test_trainings_alternate_and_share_data_seeds_and_budget(
    tmp_path: Path, tiny_dataset: Path, fake: FakeTraining, capsys: Any
) -> None:
    output = tmp_path / "out"
    presets = "cnn_rnn_unet,control,unet"
    assert main([*words(tiny_dataset, output, presets=presets), "--seeds", "2", "--axes", "YX"]) == 0
    names = [Path(call[call.index("-o") + 1]).name for call in fake.calls]
    control = "cnn_rnn_unet-control"
    assert names[:3] == ["cnn_rnn_unet-0", f"{control}-0", "unet-0"]
    assert names[3:] == [f"{control}-1", "unet-1", "cnn_rnn_unet-1"], "another one begins"
    assert all(call[:2] == ["train", str(tiny_dataset)] for call in fake.calls)
    assert all(call[call.index("--axes") + 1] == "YX" for call in fake.calls)
    plans = {name: RunFolder(output / "runs" / name).plan() for name in names}
    assert [plans[name].seed for name in names] == [0, 0, 0, 1, 1, 1]
    assert {plan.schedule.steps for plan in plans.values()} == {9}
    facts = json.loads((output / "compare.json").read_text())
    ours, other = facts["networks"][0], facts["networks"][1]
    assert other["parameters"] == pytest.approx(ours["parameters"], rel=0.02)
    assert [(pair["entry"], pair["reference"]) for pair in facts["pairs"]] == [
        ("unet", "cnn_rnn_unet"),
        ("cnn_rnn_unet", "cnn_rnn_unet:control"),
    ]
    assert facts["pairs"][1]["difference"] == pytest.approx(0.03), "the same seed has the same noise"
    with open(output / "compare.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "cnn_rnn_unet:control" in page
    assert str(tmp_path) not in page + json.dumps(facts)
    assert "+0.0300" in capsys.readouterr().out


@pytest.mark.slow
def test_it_goes_on_where_it_was_interrupted(tmp_path: Path, tiny_dataset: Path, fake: FakeTraining) -> None:
    output = tmp_path / "out"
    fake.fail = {3: InterruptedRunError("stopped", signal_number=15)}
    assert main([*words(tiny_dataset, output), "--seeds", "2"]) == 143
    plans = {file.name: file.read_bytes() for file in (output / "plans").iterdir()}
    half = output / "runs" / "cnn_rnn_unet-1"
    (half / "checkpoints" / "0000004").mkdir(parents=True)
    shutil.copy(output / "plans" / "cnn_rnn_unet-1.json", half / "plan.json")
    fake.fail, fake.calls = {}, []
    assert main([*words(tiny_dataset, output), "--seeds", "2"]) == 0
    assert [Path(call[call.index("-o") + 1]).name for call in fake.calls] == ["cnn_rnn_unet-1", "unet-1"]
    assert "--resume" in fake.calls[0]
    assert "--plan" in fake.calls[1]
    assert {file.name: file.read_bytes() for file in (output / "plans").iterdir()} == plans
    assert len(json.loads((output / "compare.json").read_text())["runs"]) == 4
    fake.calls = []
    result = reunet.compare(tiny_dataset, presets="unet,cnn_rnn_unet", steps=9, seeds=3, output=output)
    assert len(fake.calls) == 2, "more seeds may be asked for later"
    assert len(result.runs) == 6
    assert result.pairs[0].seeds == 3
    assert result.pairs[0].interval is not None
    assert result.pairs[0].interval[0] == pytest.approx(0.04) == result.pairs[0].interval[1]


def test_a_training_without_checkpoint_begins_anew(
    tmp_path: Path, tiny_dataset: Path, fake: FakeTraining
) -> None:
    output = tmp_path / "out"
    fake.fail = {1: TrainingError("the loss is not finite"), 2: TrainingError("the loss is not finite")}
    assert main([*words(tiny_dataset, output), "--seeds", "1"]) == 1, "nothing to compare"
    (output / "runs" / "unet-0").mkdir(parents=True)
    shutil.copy(output / "plans" / "unet-0.json", output / "runs" / "unet-0" / "plan.json")
    fake.fail, fake.calls = {2: TrainingError("the loss is not finite")}, []
    assert main([*words(tiny_dataset, output), "--seeds", "1"]) == 2, "one of two"
    assert "--overwrite" in fake.calls[0]
    facts = json.loads((output / "compare.json").read_text())
    assert facts["failures"] == {"cnn_rnn_unet, seed 0": "the loss is not finite"}
    assert "not in these numbers" in (output / "report.html").read_text()


def test_only_a_finished_training_is_scored_on_the_test_images(
    tmp_path: Path, tiny_dataset: Path, fake: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = []

    def evaluate(run: Path, data: Path, *, split: str, **options: Any) -> None:
        scored.append((run.name, split))
        write_scores(RunFolder(run), split, [0.5, 0.7])

    monkeypatch.setattr(room, "evaluate", evaluate)
    half = RunFolder(tmp_path / "out" / "runs" / "unet-0")
    call = [*words(tiny_dataset, tmp_path / "out"), "--seeds", "1", "--split", "test"]
    fake.fail = {1: InterruptedRunError("stopped", signal_number=2)}
    assert main(call) == 130
    half.weights_file.parent.mkdir(parents=True)
    half.weights_file.write_bytes(b"the best so far")
    shutil.copy(tmp_path / "out" / "plans" / "unet-0.json", half.plan_file)
    fake.fail, fake.calls = {}, []
    assert main(call) == 0
    assert len(fake.calls) == 2, "weights alone are no finished training"
    assert scored == [("unet-0", "test"), ("cnn_rnn_unet-0", "test")]
    facts = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert facts["networks"][0]["dice"] == pytest.approx(0.6)


def test_what_is_compared_with_what() -> None:
    assert pairs_of(parse_contenders("unet,resunet")) == [("resunet", "unet")]
    assert pairs_of(parse_contenders("r2unet,control")) == [("r2unet", "r2unet:control")]
    assert pairs_of((Contender("unet"), Contender("r2unet"), Contender("r2unet", control=True))) == [
        ("r2unet", "unet"),
        ("r2unet:control", "unet"),
        ("r2unet", "r2unet:control"),
    ]


def run_with(entry: str, seed: int, images: dict[str, float | None]) -> ComparedRun:
    known = [value for value in images.values() if value is not None]
    mean = float(np.mean(known))
    return ComparedRun(entry, seed, Path("run"), mean, mean, None, 9, 4.0, 100, 1000, images, ())


def test_a_difference_is_paired_and_frames_are_drawn_in_blocks() -> None:
    runs = [
        run_with("a", 0, {"x": 0.9, "y": 0.7, "z": None}),
        run_with("a", 1, {"x": 0.8, "w": 0.1}),
        run_with("b", 0, {"x": 0.8, "y": 0.8, "z": 0.2}),
        run_with("b", 1, {"x": 0.5}),
        run_with("b", 2, {"x": 0.0}),
    ]
    found = difference(runs, ("a", "b"), {})
    assert found is not None
    assert found.difference == pytest.approx((0.1 - 0.1 + 0.3) / 3), "z, w and seed 2 have no partner"
    assert (found.seeds, found.images, found.units) == (2, 2, 2)
    together = difference(runs, ("a", "b"), {"x": "block", "y": "block"})
    assert together is not None
    assert (together.units, together.interval) == (1, None)
    assert together.difference == found.difference
    rows = table(runs)
    assert rows[1]["lowest"] == 0.0
    assert rows[0]["deviation"] == pytest.approx(np.std([0.8, 0.45], ddof=1))
    assert rows[0]["flicker"] is None
    films = [replace(run, flicker=0.1 * (1 + run.seed)) for run in runs]
    assert [row["flicker"] for row in table(films)] == pytest.approx([0.15, 0.2])
    assert (found.flicker, found.flicker_interval) == (None, None)
    still = {"a": {"p": 0.1, "q": 0.2}, "b": {"p": 0.4, "q": 0.3, "r": 0.0}}
    films = [replace(run, flickers=still[run.entry]) for run in runs]
    found = difference(films, ("a", "b"), {"x": "block", "y": "block"})
    assert found is not None
    assert found.flicker == pytest.approx(-0.2)
    assert found.flicker_interval == pytest.approx((-0.3, -0.1))


@pytest.mark.parametrize(
    ("axis", "count"), [("T", {"val": 2 + 1, "test": 3}), ("Z", {"val": 16, "test": 25})]
)
def test_frames_in_time_are_drawn_in_blocks_of_their_own_split(
    axis: str, count: dict[str, int], tmp_path: Path
) -> None:
    frames = {"train": {"a": 12, "b": 4}, "test": {"a": 25}}
    entries = []
    for split, sequences in frames.items():
        for name in ("images", "masks"):
            (tmp_path / split / name).mkdir(parents=True)
        for sequence, length in sequences.items():
            stems = [f"{sequence}{number}" for number in range(length)]
            entries.append({"split": split, "sequence": sequence, "axis": axis, "frames": stems})
            for stem in stems:
                for name in ("images", "masks"):
                    picture = Image.fromarray(np.array([[0, 1]], np.uint8))
                    picture.save(tmp_path / split / name / f"{stem}.png")
    (tmp_path / "sequences.json").write_text(json.dumps(entries))
    for split, expected in count.items():
        options = CompareOptions(tmp_path, presets="unet,resunet", split=split, output=tmp_path / "out")
        contest = Contest(options, parse_contenders(options.presets), PlanRequest(steps=1))
        assert len(set(image_units(contest).values())) == expected


def test_interval_equals_the_enumeration_of_all_samples() -> None:
    """3 trainings x 4 units: every one of 27 x 256 samples counted once, by plain loops."""
    rng = np.random.default_rng(4)
    sums, counts = rng.normal(0.1, 1, (3, 4)), rng.integers(1, 4, (3, 4)).astype(float)
    means = []
    for trainings in itertools.product(range(3), repeat=3):
        for units in itertools.product(range(4), repeat=4):
            total = sum(sums[s, u] for s in trainings for u in units)
            means.append(total / sum(counts[s, u] for s in trainings for u in units))
    found = crossed_interval(sums, counts, n=200_000)
    assert found == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.03)


def test_interval_knows_that_trainings_share_their_images() -> None:
    """Differences that belong to the images alone are as uncertain as with one training."""
    images = np.random.default_rng(0).normal(0, 1, 30)
    one = crossed_interval(images[None], np.ones((1, 30)))
    many = crossed_interval(np.tile(images, (10, 1)), np.ones((10, 30)))
    assert one is not None
    assert many is not None
    assert many[1] - many[0] == pytest.approx(one[1] - one[0], rel=0.05)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills a group of processes")
def test_a_killed_comparison_goes_on(tiny_dataset: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reunet", *words(tiny_dataset, tmp_path / "out", presets="unet,resunet")]
    command += ["--seeds", "1", "--max-memory", "2GB"]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        first = tmp_path / "out" / "runs" / "unet-0" / "plan.json"
        ends = time.monotonic() + 120
        while not first.is_file() and time.monotonic() < ends:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    assert first.is_file()
    assert not (tmp_path / "out" / "compare.json").is_file()
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "resunet - unet" in answer.stdout
    assert len(json.loads((tmp_path / "out" / "compare.json").read_text())["runs"]) == 2
