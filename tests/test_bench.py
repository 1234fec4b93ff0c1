"""The referee of benchmarks/: who takes turns, who fails, what its page makes of it. No time counts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
WORK = """
import os

def turn(name, place, fails_at=None):
    steps = []

    def step(images):
        steps.append(images)
        if len(steps) == fails_at:
            raise SystemExit("out of memory")
        with open(place, "a") as file:
            file.write(f"{name}{images} ")

    print("a library prints")
    return step, {"parameters": 7}
"""


@pytest.fixture
def referee(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child_environment: dict[str, str]
) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(FOLDER))
    import bench

    (tmp_path / "fake_work.py").write_text(WORK)
    monkeypatch.setattr(bench.records, "RUNS", tmp_path)
    monkeypatch.setattr(bench, "environment", lambda *_: {**os.environ, "PYTHONPATH": str(tmp_path)})
    yield bench
    for name in ("bench", "bench_page", "accuracy", "peers", "records", "quality", "training_runs"):
        sys.modules.pop(name, None)


def test_all_take_turns_and_who_fails_is_told(referee: ModuleType, tmp_path: Path) -> None:
    place = tmp_path / "order.txt"

    def arm(name: str, **more: object) -> object:
        settings = {"name": name, "place": str(place), **more}
        return referee.Arm(name, "reunet", "fake_work", "turn", settings)

    arms = (arm("a"), arm("b", fails_at=6), arm("c", unknown=1))
    race = referee.Race("prediction", "batch", arms, batches=(1, 8))
    found = referee.in_turns(race, 2, None)
    assert place.read_text().split() == [*["a1", "a8", "b1", "b8"] * 2, "a1", "a8", "b1", "a1", "a8"]
    assert found["b"] == {"failed": "out of memory"}
    assert "unknown" in found["c"]["failed"]
    assert found["a"]["parameters"] == 7
    assert found["a"]["peak_bytes"] > 1e6
    assert [len(times) for times in found["a"]["times"].values()] == [2, 2]


def test_the_best_batch_counts_and_ratios_are_those_of_an_image(referee: ModuleType) -> None:
    import bench_page

    def arm(**times: list[list[float]]) -> dict[str, object]:
        return {"times": {name[1:]: rounds for name, rounds in times.items()}, "peak_bytes": 10**8}

    own = arm(n1=[[1.0, 2.0]] * 3, n8=[[4.0, 8.0]] * 3)
    peer = arm(n1=[[1.5, 2.0], [1.0, 2.0], [5.0, 2.0]], n8=[[16.0, 8.0]] * 3)
    assert referee.best_batch(own) == "8"
    assert referee.summary(peer, "1")["seconds"] == 1.5
    line = {"key": {}, "result": {"arms": {"reunet": own, "peer": peer, "ill": {"failed": "no compiler"}}}}
    rows = [*bench_page.step_rows(line)]
    assert [row[:3] for row in rows[:2]] == [["reunet", "8", "2.0"], ["peer", "1", "0.7"]]
    assert [row[4] for row in rows[:2]] == ["1.00", "3.00"]
    assert "no compiler" in rows[2][2]


def test_peers_can_be_chosen(referee: ModuleType) -> None:
    arms = tuple(referee.Arm(name, name) for name in ("reunet", "smp", "monai"))
    race = referee.Race("training", "batch", arms, (4,))
    assert referee.chosen(race, []) is race
    assert referee.chosen(race, ["training"]) is race
    assert [one.name for one in referee.chosen(race, ["smp"]).arms] == ["reunet", "smp"]
    assert [one.name for one in referee.chosen(race, ["training", "monai"]).arms] == ["reunet", "monai"]
    assert referee.chosen(race, ["prediction", "smp"]) is None
    assert referee.chosen(race, ["keras"]) is None
