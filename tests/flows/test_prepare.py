"""What planning and training do first."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reunet.contracts.options.records import DataOptions
from reunet.datasets import scan as layouts
from reunet.errors import DataError, UsageError
from reunet.flows import prepare as flow
from reunet.flows.plan import plan
from reunet.progress import NullProgress


class Listener(NullProgress):
    """Counts what is done of each task."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.totals: dict[str, int | None] = {}

    def start(self, task: str, total: int | None) -> None:
        self.totals[task] = total

    def advance(self, n: int = 1, **info: object) -> None:
        self.done[list(self.totals)[-1]] += n


def test_the_folders_are_scanned_once_and_progress_is_told(
    tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    real = layouts.class_list
    monkeypatch.setattr(layouts, "class_list", lambda *arguments: calls.append(1) or real(*arguments))
    listener = Listener()
    prepared = flow.prepare(tiny_dataset, DataOptions(), listener)
    assert len(calls) == 1
    assert listener.totals["reading images and masks"] == listener.done["reading images and masks"] == 6
    assert listener.done["loading the images"] == 6
    assert [case.id for case in prepared.val] == list(prepared.splits.val)
    assert prepared.dataset.name == "discs"


def test_a_colour_image_that_is_held_out_is_known_to_the_plan(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "data", train=4)
    shutil.copytree(data / "test", data / "val")
    file = data / "val" / "images" / "test_00.png"
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(file)
    fingerprint = flow.prepare(data, DataOptions(), NullProgress()).fingerprint
    assert (fingerprint.channels, fingerprint.mixed_channels) == (3, True)
    contents = {(case.split, case.id): case.content for case in fingerprint.cases}
    assert len(contents) == 6
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(file)
    changed = flow.prepare(data, DataOptions(), NullProgress()).fingerprint.cases
    assert [case.id for case in changed if contents[case.split, case.id] != case.content] == ["test_00"]


def test_every_error_is_listed_before_anything_is_loaded(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "data", train=4)
    for name in ("train_00", "train_02"):
        (data / "train" / "images" / f"{name}.png").write_bytes(b"no image")
    listener = Listener()
    with pytest.raises(DataError, match="train_02") as caught:
        flow.prepare(data, DataOptions(), listener)
    assert "train_00" in str(caught.value)
    assert "loading the images" not in listener.totals


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        ({"seed": -1}, "seed"), ({"minutes": -1.0}, "minutes"), ({"minutes": float("nan")}, "minutes"),
        ({"steps": 0}, "steps"), ({"epochs": float("inf")}, "epochs"), ({"task": ["objects"]}, "task"),
    ],
)  # fmt: skip
def test_wrong_wishes_are_told_before_the_dataset_is_read(wrong: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan("/no/such/dataset", **wrong)
    assert caught.value.where == option
