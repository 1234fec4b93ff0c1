"""Several processes train as one would: the same losses, one run folder, and they end together."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.plan import Plan
from reunet.errors import UsageError
from reunet.flows.train.checks import check_team
from reunet.flows.train.train import train
from reunet.training.processes import Processes

pytestmark = pytest.mark.usefixtures("child_environment")
needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="needs JAX")

STEPS = 12


@pytest.fixture(scope="module")
def plan(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network on JAX; instance statistics, dropout and the moving average of weights included."""
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    command("plan", tiny_dataset, "-o", file, "--backend", "jax", "--steps", STEPS)
    made = json.loads(file.read_text())
    made["network"] |= {"filters": [4, 8], "strides": made["network"]["strides"][:1], "dropout": 0.2}
    made |= {"batch": 4, "precision": "float32"}
    made["schedule"] |= {"validations": 2, "ema": 0.9}
    Plan.parse(made, where="test").write(file)
    return file


def words(*given: object) -> list[str]:
    return [sys.executable, "-m", "reunet", *map(str, given)]


def environment(optimised: bool = True) -> dict[str, str]:
    """Without the backend of the tests, and, as users compile, without their way to compile quickly."""
    left_out = ("KERAS_BACKEND", "XLA_FLAGS") if optimised else ("KERAS_BACKEND",)
    return {name: value for name, value in os.environ.items() if name not in left_out}


def command(*given: object, check: bool = True, optimised: bool = True) -> subprocess.CompletedProcess[str]:
    variables = environment(optimised)
    return subprocess.run(words(*given), check=check, capture_output=True, text=True, env=variables)


def losses(run: Path) -> np.ndarray:
    with (run / "history.csv").open() as file:
        return np.array([[float(row["step"]), float(row["loss"])] for row in csv.DictReader(file)])


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("optimised", [False, True])
def test_two_processes_give_the_losses_of_one(
    optimised: bool, tiny_dataset: Path, plan: Path, tmp_path: Path
) -> None:
    given = ("train", tiny_dataset, "--plan", plan)
    command(*given, "-o", tmp_path / "one", optimised=optimised)
    command(*given, "-o", tmp_path / "two", "--processes", 2, optimised=optimised)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-3)
    assert len(losses(tmp_path / "two")) == STEPS
    command("predict", tmp_path / "two", tiny_dataset / "test/images")
    found = {path.relative_to(tmp_path / "two").as_posix() for path in (tmp_path / "two").rglob("*")}
    expected = {path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*")}
    assert found == expected


@pytest.mark.fault("one of several training processes dies", "all end with the cause; `--resume` goes on")
@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_after_an_end_of_one_all_end_and_go_on_later(
    tiny_dataset: Path, plan: Path, tmp_path: Path, number: signal.Signals
) -> None:
    made = json.loads(plan.read_text())
    made["schedule"]["steps"] = 60
    longer = tmp_path / "plan.json"
    longer.write_text(json.dumps(made))
    command("train", tiny_dataset, "-o", tmp_path / "whole", "--plan", longer, "--processes", 2)
    given = ["train", tiny_dataset, "-o", tmp_path / "run"]
    with subprocess.Popen(
        words(*given, "--plan", longer, "--processes", 2),
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        wait_until(lambda: (tmp_path / "run/history.csv").is_file() and len(losses(tmp_path / "run")) > 20)
        if number == signal.SIGKILL:
            os.kill(member(process.pid, 1), signal.SIGKILL)
        else:
            process.send_signal(number)
        told = process.communicate(timeout=120)[1]
    assert process.returncode == (1 if number == signal.SIGKILL else 128 + number)
    assert "--resume" in told
    assert not (tmp_path / "run/report.html").exists()
    command(*given, "--resume", "--processes", 2)
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(tmp_path / "whole"), rtol=1e-3)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def member(parent: int, number: int) -> int:
    """The process of that number among the children of a launcher."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode().split("\0")
            status = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(status[1]) == parent and ["--process-id", str(number)] in map(list, pairwise(line)):
            return int(folder.name)
    raise AssertionError("no such process")


@needs_jax
def test_another_backend_is_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    done = command(
        "train", tiny_dataset, "-o", tmp_path / "run", "--steps", 1, "--backend", "tensorflow",
        "--processes", 2, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--backend jax" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("team", "option"),
    [
        ((1, 0, "host:1"), "processes"),
        ((2, None, "host:1"), "process_id"),
        ((2, 2, "host:1"), "process_id"),
        ((2, 0, None), "coordinator"),
        ((2, 0, "host"), "coordinator"),
    ],
)
def test_a_team_needs_numbers_and_an_address(
    team: tuple[int, int | None, str | None], option: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--" + option.replace("_", "-")):
        check_team(*team)
    with pytest.raises(UsageError, match=option):
        train(tmp_path, output=tmp_path / "run", processes=team[0], process_id=team[1], coordinator=team[2])


def test_shares_are_the_batch() -> None:
    assert [list(Processes(3, number).share(6)) for number in range(3)] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(UsageError, match="divisor of the batch of 4"):
        Processes(3, 0).share(4)
