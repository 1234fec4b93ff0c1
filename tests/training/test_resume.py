"""Interrupted and resumed equals never interrupted, bit for bit; and a kill costs one interval at most."""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reunet.errors import CheckpointError, DataError
from reunet.flows.train.train import train
from reunet.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.keras_slow  # quickly on every backend: test_carry.py

STEPS = 30


def plan_file(data: Path, folder: Path, backend: str) -> Path:
    """A small plan with everything that has a state: dropout, moving statistics, weight averages, levels."""
    from reunet.contracts.plan import Plan
    from reunet.flows.plan import plan

    made = plan(data, steps=STEPS, backend=backend).model_dump()
    made["network"].update(
        filters=(4, 8, 8), strides=((2, 2), (2, 2)), dropout=0.2, normalisation="batch", deep_supervision=True
    )
    made["schedule"].update(ema=0.9, validations=6)
    made.update(patch=(32, 32), inference={"tile": (32, 32)}, batch=2)
    file = folder / "plan.json"
    Plan.parse(made, where="test").write(file)
    return file


def losses(run: Path) -> list[tuple[str, str, str]]:
    with open(run / "history.csv", newline="") as file:
        return [(row["step"], row["loss"], row["val_score"]) for row in csv.DictReader(file)]


PROGRAM = """
import os, sys
number, cut, backend = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
from reunet.backend import use_backend
use_backend(backend)
from reunet.flows.train import finish
from reunet.training import loop

finish.finish = lambda *given: None  # export and report: what is resumed is the training

real = loop.Training._save
def save(self, step):
    real(self, step)
    if step == cut:
        os.kill(os.getpid(), number)
loop.Training._save = save

from reunet import cli
sys.argv = ["reunet", *sys.argv[4:]]
cli.run()
"""
NEVER = 0


def run_training(
    number: int, cut: int, backend: str, *options: str | Path
) -> subprocess.CompletedProcess[str]:
    """`reunet train` in a process of its own, which sends itself a signal when it has saved step `cut`."""
    words = [sys.executable, "-c", PROGRAM, *map(str, (number, cut, backend, "train", *options))]
    return subprocess.run(words, capture_output=True, text=True, check=False)


CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.mark.fault(
    "Ctrl-C, SIGTERM or kill -9 in a training",
    "exit code 130 or 143; resumed, all weights are bit for bit those of a whole run",
)
@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([signal.SIGTERM, signal.SIGKILL], id="twice"),
        *(pytest.param([number], marks=pytest.mark.slow, id=number.name) for number in CODES),
    ],
)
def test_resumed_equals_uninterrupted(
    numbers: list[signal.Signals], tiny_dataset: Path, tmp_path: Path, backend: str, whole: Path
) -> None:
    if numbers in ([signal.SIGTERM], [signal.SIGINT]) and backend != "tensorflow":
        pytest.skip("how a signal is received does not depend on the backend")
    run = tmp_path / "cut"
    given = ["--plan", plan_file(tiny_dataset, tmp_path, backend)]
    for cut, number in zip((10, 20), numbers, strict=False):
        done = run_training(int(number), cut, backend, tiny_dataset, "-o", run, *given)
        assert done.returncode == CODES[number], done.stderr
        assert cut <= load_checkpoint(run / "checkpoints")[0] < cut + 10
        given = ["--resume"]
    run_training(NEVER, 0, backend, tiny_dataset, "-o", run, "--resume").check_returncode()

    steps, arrays, _, _ = load_checkpoint(whole / "checkpoints")
    resumed_steps, resumed, _, _ = load_checkpoint(run / "checkpoints")
    assert steps == resumed_steps == STEPS
    assert arrays.keys() == resumed.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)
    assert losses(run) == losses(whole)


@pytest.fixture(scope="module")
def whole(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory, backend: str) -> Path:
    """The same training, never interrupted, in a process of its own."""
    folder = tmp_path_factory.mktemp("whole")
    plan = plan_file(tiny_dataset, folder, backend)
    run_training(NEVER, 0, backend, tiny_dataset, "-o", folder / "run", "--plan", plan).check_returncode()
    return folder / "run"


def test_resuming_an_edited_plan_is_refused(whole: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    file = run / "plan.json"
    file.write_text(file.read_text().replace('"weight_decay": 0.01', '"weight_decay": 0.02'))
    with pytest.raises(CheckpointError, match=r"plan.json was changed"):
        train(tiny_dataset, output=run, resume=True)


@pytest.mark.fault("`--resume` with other images", "an error that counts the differences")
def test_resuming_other_data_is_refused(
    whole: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    other = make_dataset(tmp_path / "other", seed=5)
    with pytest.raises(DataError, match="have changed since this training began"):
        train(other, output=whole, resume=True)


@pytest.mark.fault("`--resume` without a checkpoint", "an error; it never starts anew")
def test_resuming_nothing_is_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
        train(tiny_dataset, output=tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()
