"""A disk that fills up while training: the error says so, nothing saved before is lost, --resume goes on.

The limit on the size of a file stands for the full disk: the system refuses to write beyond it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reunet.cli import main
from reunet.training.checkpoint import load_checkpoint

pytest.importorskip("resource", reason="Windows has no limit on the size of a file")

STEPS, CHECKPOINT = 12, 4

# Weights, engine and checkpoints are larger than the limit, all other files are smaller.
CHILD = """
import resource, sys
from reunet.cli import main
from reunet.training import checkpoint

moment, full_at = sys.argv[1], int(sys.argv[2])
save = checkpoint.save_checkpoint

def fill_up():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

def filling_up(folder, step, *rest):
    if (moment, step) == ("before", full_at):
        fill_up()
    save(folder, step, *rest)
    if (moment, step) == ("after", full_at):
        fill_up()

checkpoint.save_checkpoint = filling_up
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.fault(
    "the disk is full anywhere in a training", "an error that says so; `--resume` goes on afterwards"
)
@pytest.mark.parametrize(
    ("moment", "full_at", "kept", "named"),
    [
        pytest.param("before", 2 * CHECKPOINT, CHECKPOINT, "checkpoints", marks=pytest.mark.slow),
        ("after", CHECKPOINT, CHECKPOINT, "weights"),
        pytest.param("after", STEPS, STEPS, "engine", marks=pytest.mark.slow),
    ],
    ids=["checkpoint", "weights", "engine"],
)
def test_a_full_disk_stops_training_and_resuming_goes_on(
    moment: str,
    full_at: int,
    kept: int,
    named: str,
    tiny_dataset: Path,
    tmp_path: Path,
    make_plan: Callable[..., Path],
    child_environment: dict[str, str],
) -> None:
    plan = make_plan(
        tmp_path / "plan.json", tiny_dataset, steps=STEPS, schedule__validations=STEPS // CHECKPOINT,
        network__filters=(32, 64), network__normalisation="instance",
        # Weights that hardly move: every validation is as good as the one before, so they are kept.
        schedule__learning_rate=1e-9,
    )  # fmt: skip
    run = tmp_path / "run"
    words = ["train", str(tiny_dataset), "-o", str(run)]
    answer = subprocess.run(
        [sys.executable, "-c", CHILD, moment, str(full_at), *words, "--plan", str(plan)],
        capture_output=True, text=True, check=False, env=child_environment,
    )  # fmt: skip
    assert answer.returncode == 1, answer.stderr
    error = answer.stderr[answer.stderr.rindex("error: ") :]
    assert named in error
    assert "fix:" in error
    assert "Traceback" not in error
    assert [path for path in run.rglob("*") if path.name.startswith((".tmp-", ".lock"))] == []
    step, _, _, notes = load_checkpoint(run / "checkpoints")
    assert (step, notes) == (kept, [])

    assert main([*words, "--resume"]) == 0
    assert load_checkpoint(run / "checkpoints")[0] == STEPS
    images = str(tiny_dataset / "test" / "images")
    assert main(["predict", str(run), images, "-o", str(tmp_path / "out")]) == 0
