"""A step that needs more memory than there is: half the batch, from the latest checkpoint on, repeatably."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.backend import is_out_of_memory
from reunet.contracts.plan import Plan, Schedule
from reunet.errors import TrainingError
from reunet.progress import NullProgress
from reunet.training.checkpoint import load_checkpoint

MakePlan = Callable[..., Path]
STEPS = 6


def out_of_memory(backend: str) -> BaseException:
    """What the framework raises when a GPU has no memory left."""
    text = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes."
    if backend == "jax":
        import jax

        return jax.errors.JaxRuntimeError(text)
    if backend == "tensorflow":
        import tensorflow

        return tensorflow.errors.ResourceExhaustedError(None, None, text)
    import torch

    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 16.00 GiB.")


@pytest.mark.keras
def test_what_frameworks_raise_for_want_of_memory_is_known(backend: str) -> None:
    assert is_out_of_memory(out_of_memory(backend))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_smaller_batches_go_on_where_the_larger_ones_ended() -> None:
    from reunet.sampling.patches import PatchSampler

    sampler = object.__new__(PatchSampler)
    sampler.plan = type("plan", (), {"batch": 8})()  # type: ignore[assignment]
    sampler.halved = ((3, 4), (5, 2))
    assert [sampler.size(k) for k in range(7)] == [8, 8, 8, 4, 4, 2, 2]
    assert [sampler.shown(k) for k in range(7)] == [0, 8, 16, 24, 28, 32, 34]
    sampler.halved = ((0, 4),)
    assert [sampler.shown(k) for k in range(3)] == [0, 4, 8]


def test_the_plan_holds_them_for_trainings_by_steps_only() -> None:
    assert Schedule(steps=5, halved=((0, 2),)).halved == ((0, 2),)
    with pytest.raises(ValueError, match="halved belong to a training by steps"):
        Schedule(minutes=5, halved=((0, 2),))


class Short:
    """In place of a training's step: at some calls it fails for want of memory, after the step was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, backend: str, *calls: int) -> None:
        import keras

        self.calls, self.sizes = 0, list[int]()
        real = keras.Model.train_on_batch

        def step(model: Any, images: np.ndarray, *given: Any, **named: Any) -> Any:
            self.calls += 1
            self.sizes.append(len(images))
            loss = real(model, images, *given, **named)  # what it changed has to be undone
            if self.calls in calls:
                raise out_of_memory(backend)
            return loss

        monkeypatch.setattr(keras.Model, "train_on_batch", step)


@pytest.fixture
def data(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("reunet.flows.train.finish.finish", lambda *_: None)
    return tiny_dataset


def arrays(run: Path) -> dict[str, np.ndarray]:
    step, found, _, _ = load_checkpoint(run / "checkpoints")
    assert step >= STEPS
    return found


@pytest.mark.keras
@pytest.mark.fault(
    "a training step needs more memory than there is",
    "batches half as large from the latest checkpoint on; the run folder tells, and repeats it",
)
def test_half_the_batch_and_on_and_the_same_again_from_what_was_recorded(
    data: Path, tmp_path: Path, backend: str, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reunet.flows.train.train import train

    plan = make_plan(tmp_path / "plan.json", data, batch=4, schedule__steps=STEPS, schedule__validations=3)
    run, told = tmp_path / "run", list[str]()
    with monkeypatch.context() as patch:
        short = Short(patch, backend, 4)
        train(data, output=run, plan=plan, workers=0, on_progress=Told(told))
    assert short.sizes == [4, 4, 4, 4, 2, 2, 2, 2], "a validation after two steps wrote a checkpoint"
    assert "not enough memory for 4 patches at once: batches of 2 from here on" in told
    replay = Plan.read(run / "replay.json")
    assert (replay.schedule.steps, replay.schedule.halved, replay.batch) == (STEPS, ((2, 2),), 4)
    saved = json.loads((run / "checkpoints" / f"{STEPS:08d}" / "state.json").read_text())
    assert saved["state"]["loop"]["halved"] == [[2, 2]], "so --resume goes on with it"

    again = tmp_path / "again"
    train(data, output=again, plan=run / "replay.json", workers=0)
    first, second = arrays(run), arrays(again)
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values, err_msg=name)


@pytest.mark.slow  # what --resume reads is looked at above
def test_resumed_after_it_is_the_same(
    data: Path, tmp_path: Path, backend: str, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reunet.flows.train.train import train
    from reunet.training import loop

    plan = make_plan(tmp_path / "plan.json", data, batch=4, schedule__steps=STEPS, schedule__validations=6)
    real = loop.Training._save

    def save_and_end(self: loop.Training, step: int) -> None:
        real(self, step)
        if step == 4:
            raise KeyboardInterrupt

    for name in ("whole", "cut"):
        with monkeypatch.context() as patch:
            Short(patch, backend, 3)
            if name == "cut":
                patch.setattr(loop.Training, "_save", save_and_end)
            if name == "whole":
                train(data, output=tmp_path / name, plan=plan, workers=0)
                continue
            with pytest.raises(KeyboardInterrupt):
                train(data, output=tmp_path / name, plan=plan, workers=0)
    train(data, output=tmp_path / "cut", resume=True, workers=0)
    first, second = arrays(tmp_path / "whole"), arrays(tmp_path / "cut")
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values, err_msg=name)


def test_it_may_happen_while_the_first_steps_are_timed(
    data: Path, tmp_path: Path, backend: str, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reunet.flows.train.train import train

    plan = make_plan(tmp_path / "plan.json", data, batch=4, schedule={"minutes": 0.05, "validations": 1})
    short = Short(monkeypatch, backend, 1)
    train(data, output=tmp_path / "run", plan=plan, workers=0)
    assert short.sizes[0] == 4
    assert set(short.sizes[1:]) == {2}
    assert Plan.read(tmp_path / "run" / "replay.json").schedule.halved == ((0, 2),)


def test_epochs_stay_epochs(
    data: Path, tmp_path: Path, backend: str, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reunet.flows.train.train import train

    plan = make_plan(tmp_path / "plan.json", data, batch=2, schedule={"epochs": 2, "validations": 1})
    short = Short(monkeypatch, backend, 1)
    result = train(data, output=tmp_path / "run", plan=plan, workers=0)
    assert sum(short.sizes[1:]) == 2 * 4, "as many patches as with the larger batch: four cases twice"
    assert result.steps == 8


def test_one_patch_that_is_too_much_is_an_error(
    data: Path, tmp_path: Path, backend: str, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reunet.flows.train.train import train

    plan = make_plan(tmp_path / "plan.json", data, batch=2, schedule__steps=3)
    Short(monkeypatch, backend, 1, 2)
    with pytest.raises(TrainingError, match="more memory than there is") as caught:
        train(data, output=tmp_path / "run", plan=plan, workers=0)
    assert "--max-memory" in str(caught.value.fix) or "max_memory" in str(caught.value.fix)
    assert "step 1, a batch of 1" in str(caught.value.where)


class Told(NullProgress):
    """Remembers messages."""

    def __init__(self, told: list[str]) -> None:
        self.message = told.append  # type: ignore[method-assign]
