"""Training on windows: the state carried from window to window, and resumed with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.contracts.plan import Plan
from reunet.flows.train.train import train
from reunet.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.usefixtures("backend")

STEPS = 8


def numbers(state: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(state.value))


class CutError(Exception):
    """The training ends here, as if killed."""


@pytest.fixture(scope="module")
def films(make_films: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_films(tmp_path_factory.mktemp("films"))


def plan_of(
    films: Path,
    backend: str,
    preset: str,
    *,
    frames: int = 2,
    carry: int = 1,
    late: float = 0,
    **network: Any,
) -> Plan:
    from reunet.flows.plan import plan

    made = plan(films, steps=STEPS, backend=backend, preset=preset).model_dump()
    strides = made["network"]["strides"][:1]
    made["network"].update(filters=(4, 6), strides=strides, **network)
    if made["network"]["recurrence"]["gain"] is not None:
        made["network"]["recurrence"]["gain"] = 0.5  # with gains of zero it would show no memory
    made["schedule"].update(validations=2, memory_from=late)
    made["clip"].update(frames=frames, carry=carry)
    made.update(patch=(16, 16), inference={"tile": (16, 16)}, batch=2, precision="float32")
    return Plan.parse(made, where="test")


@pytest.mark.keras
def test_windows_of_a_chain_are_one_sequence(films: Path, backend: str) -> None:
    import keras

    from reunet.networks import build_network
    from reunet.training.carry import CarryingModel, begin_batch

    plan = plan_of(films, backend, "conv_gru_unet", carry=3)
    model, whole = CarryingModel(plan), build_network(plan.network, seed=plan.seed)
    frames = np.random.default_rng(0).normal(size=(2, 6, 16, 16, 1)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(whole(frames)["semantic"])
    later = keras.ops.convert_to_numpy(whole(frames[:, 2:])["semantic"])
    for number in range(2):  # the second time shows that what was carried is forgotten
        parts = []
        for k, window in enumerate(np.split(frames, 3, axis=1)):
            begin_batch(model, plan, 3 * number + k)
            parts.append(keras.ops.convert_to_numpy(model(window, training=True)["semantic"]))
        np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, atol=1e-5)
    assert np.abs(expected[:, 2:] - later).max() > 1e-3
    before = [numbers(state) for state in model.carried.values()]
    model(frames[:, :2], training=False)
    for state, kept in zip(model.carried.values(), before, strict=True):
        np.testing.assert_array_equal(numbers(state), kept)


@pytest.mark.keras
def test_a_training_step_carries_and_learns(films: Path, backend: str) -> None:
    from reunet.training.carry import begin_batch
    from reunet.training.compile import compiled_network

    plan = plan_of(films, backend, "conv_lstm_unet", carry=2)
    model = compiled_network(plan)
    random = np.random.default_rng(0)
    images = random.normal(size=(2, 2, 16, 16, 1)).astype(np.float32)
    labels = (images[..., 0] > 0).astype(np.int32)
    losses = []
    for k in range(12):
        begin_batch(model, plan, k)
        losses.append(float(model.train_on_batch(images, {"semantic": labels}, return_dict=True)["loss"]))
        assert any(np.abs(numbers(state)).max() > 0 for state in model.carried.values())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("preset", "carry", "late"),
    [
        pytest.param("conv_gru_unet", 3, 0.0, marks=pytest.mark.keras_slow),
        pytest.param("conv_gru_unet", 2, 0.5, marks=pytest.mark.keras, id="when memory joins"),
        ("unet_2d_t", 1, 0.0),
    ],
)
def test_resumed_within_a_chain_equals_uninterrupted(
    films: Path,
    tmp_path: Path,
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
    preset: str,
    carry: int,
    late: float,
) -> None:
    from reunet.training import loop

    monkeypatch.setattr("reunet.flows.train.finish.finish", lambda *_: None)
    normalisation = "batch" if preset == "conv_gru_unet" else "instance"
    plan = tmp_path / "plan.json"
    plan_of(films, backend, preset, carry=carry, late=late, normalisation=normalisation).write(plan)
    train(films, output=tmp_path / "whole", plan=plan, workers=0)

    save = loop.Training._save

    def save_and_end(self: loop.Training, step: int) -> None:
        save(self, step)
        if step == STEPS // 2:  # with three windows to a chain: after its first one
            raise CutError

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "_save", save_and_end)
        with pytest.raises(CutError):
            train(films, output=tmp_path / "cut", plan=plan, workers=0)
    if carry > 1 and not late:
        _, half, _, _ = load_checkpoint(tmp_path / "cut/checkpoints")
        assert any(np.abs(array).max() > 0 for name, array in half.items() if "state" in name)
    train(films, output=tmp_path / "cut", resume=True, workers=0)
    steps, whole, _, _ = load_checkpoint(tmp_path / "whole/checkpoints")
    resumed_steps, resumed, _, _ = load_checkpoint(tmp_path / "cut/checkpoints")
    assert steps == resumed_steps == STEPS
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)


def test_other_orders_of_the_frames_are_not_resumed(
    films: Path, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reunet.errors import DataError

    monkeypatch.setattr("reunet.flows.train.finish.finish", lambda *_: None)
    data = shutil.copytree(films, tmp_path / "films")
    plan = tmp_path / "plan.json"
    plan_of(data, backend, "unet_2d_t").write(plan)
    train(data, output=tmp_path / "run", plan=plan, workers=0)
    file = data / "sequences.json"
    text = file.read_text()
    file.write_text(text.replace('"walk0_001", "walk0_002"', '"walk0_002", "walk0_001"'))
    assert file.read_text() != text
    with pytest.raises(DataError, match="have changed since") as caught:
        train(data, output=tmp_path / "run", resume=True, workers=0)
    assert "order of the frames" in str(caught.value.received)
