"""Interrupted and resumed equals never interrupted, bit for bit; and a kill costs one interval at most."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from reunet.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.keras

STEPS = 60


def plan_file(data: Path, folder: Path, backend: str) -> Path:
    """A small plan with everything that has a state: dropout, moving statistics, weight averages."""
    from reunet.contracts.plan import Plan
    from reunet.flows.plan import plan

    made = plan(data, steps=STEPS, backend=backend).model_dump()
    made["network"].update(filters=(4, 8, 8), strides=((2, 2), (2, 2)), dropout=0.2, normalisation="batch")
    made["schedule"].update(ema=0.9, validations=6)
    made.update(patch=(32, 32), inference={"tile": (32, 32)}, batch=2)
    file = folder / "plan.json"
    Plan.parse(made, where="test").write(file)
    return file


def command(data: Path, run: Path, *options: str | Path) -> list[str]:
    return [sys.executable, "-m", "reunet", "train", str(data), "-o", str(run), *map(str, options)]


def losses(run: Path) -> list[tuple[str, str, str]]:
    with open(run / "history.csv", newline="") as file:
        return [(row["step"], row["loss"], row["val_score"]) for row in csv.DictReader(file)]


def interrupt_after_first_checkpoint(arguments: list[str], run: Path, number: int) -> int:
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not (run / "checkpoints" / "LATEST").is_file():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, number)
    process.communicate()
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_resumed_equals_uninterrupted(
    number: signal.Signals, tiny_dataset: Path, tmp_path: Path, backend: str, whole: Path
) -> None:
    if number != signal.SIGKILL and backend != "tensorflow":
        pytest.skip("how a signal is received does not depend on the backend")
    run = tmp_path / "cut"
    arguments = command(tiny_dataset, run, "--plan", plan_file(tiny_dataset, tmp_path, backend))
    code = interrupt_after_first_checkpoint(arguments, run, number)
    assert code == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    step = load_checkpoint(run / "checkpoints")[0]
    assert 0 < step < STEPS
    subprocess.run(command(tiny_dataset, run, "--resume"), check=True)

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
    subprocess.run(command(tiny_dataset, folder / "run", "--plan", plan), check=True)
    return folder / "run"


def test_resuming_other_data_is_refused(whole: Path, tmp_path: Path, make_dataset: object) -> None:
    other = make_dataset(tmp_path / "other", seed=5)  # type: ignore[operator]
    result = subprocess.run(command(other, whole, "--resume"), capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "have changed since this training began" in result.stderr


def test_resuming_nothing_is_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        command(tiny_dataset, tmp_path / "none", "--resume"), capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "no checkpoint to resume from" in result.stderr
    assert not (tmp_path / "none").exists()
