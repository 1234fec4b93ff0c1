"""Memory that joins late: single frames first, as in the control; then chains of windows that grow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reunet.errors import PlanError

from .test_carry import plan_of
from .test_transfer import values_of

pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture(scope="module")
def films(make_films: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_films(tmp_path_factory.mktemp("films"))


def test_single_frames_come_first_then_chains_that_grow(films: Path, backend: str) -> None:
    from reunet.networks.residual import MEMORY
    from reunet.training.phases import phases_of

    plan = plan_of(films, backend, "conv_gru_unet", frames=4, carry=4, late=0.4)
    phases = phases_of(plan, [MEMORY])
    assert [phase.begins_at for phase in phases] == pytest.approx([0, 0.4, 0.6, 0.8])
    assert [bool(phase.resting) for phase in phases] == [True, False, False, False]
    cut = [(one.plan.batch, one.plan.clip.frames, one.plan.clip.carry) for one in phases if one.plan.clip]
    assert cut == [(8, 1, 1), (2, 4, 1), (2, 4, 2), (2, 4, 4)]
    assert phases[0].plan.augmentation.frames is None
    assert phases[-1].plan == plan
    assert [phase.plan for phase in phases_of(plan, [])] == [plan]


@pytest.mark.keras
def test_memory_that_rests_is_not_there_and_then_joins(films: Path, backend: str) -> None:
    """A step on single frames is that of the control; then the gains, which are zero, move first."""
    from reunet.networks.presets import PRESETS
    from reunet.training.carry import begin_batch
    from reunet.training.compile import compiled_network
    from reunet.training.phases import Phases

    plan = plan_of(films, backend, "conv_gru_unet", carry=2, late=0.5)
    spec = plan.network.recurrence.model_copy(update={"gain": 0.0})
    plan = plan.model_copy(update={"network": plan.network.model_copy(update={"recurrence": spec})})
    frames = np.random.default_rng(0).normal(size=(2, 2, 16, 16, 1)).astype(np.float32)
    labels = (frames[..., 0] > 0).astype(np.int32)
    single, marks = frames.reshape(4, 1, 16, 16, 1), labels.reshape(4, 1, 16, 16)

    without = plan.network.model_copy(update=dict(PRESETS["conv_gru_unet"].control or {}))
    schedule = plan.schedule.model_copy(update={"memory_from": 0.0})
    clip = plan.clip and plan.clip.model_copy(update={"carry": 1})
    control = compiled_network(
        plan.model_copy(update={"network": without, "schedule": schedule, "clip": clip})
    )
    model = compiled_network(plan)
    phases, begun = Phases(model, plan), values_of(model)
    phases.begin()
    assert not phases.enter(0.0)
    with phases.training():
        networks = (model, control)
        losses = [one.train_on_batch(single, {"semantic": marks}, return_dict=True) for one in networks]
    assert losses[0]["loss"] == pytest.approx(losses[1]["loss"], rel=1e-5)
    rested = values_of(model)
    for path, value in values_of(control).items():
        np.testing.assert_allclose(rested[path], value, atol=2e-5, err_msg=path)
    memory = [path for path in begun if "_memory_" in path and "_state" not in path]
    assert memory
    for path in memory:
        np.testing.assert_array_equal(rested[path], begun[path])

    assert phases.enter(0.5)
    begin_batch(model, phases.phase.plan, 1)
    with phases.training():
        model.train_on_batch(frames, {"semantic": labels})
    joined, rate = values_of(model), plan.schedule.learning_rate * plan.schedule.gain_rate
    for path in memory:
        moved = np.abs(joined[path] - rested[path]).max()
        assert moved == pytest.approx(rate, rel=0.01) if path.endswith("gain") else moved < 1e-3, path


def test_a_run_of_single_frames_is_a_start_for_memory(films: Path, backend: str) -> None:
    """The outputs are those of the run, until the gains are learned; what has no memory to add is refused."""
    from reunet.networks import build_network
    from reunet.networks.controls import with_memory
    from reunet.networks.presets import configure
    from reunet.training.transfer import copy_by_name

    plan = plan_of(films, backend, "conv_gru_unet")
    single = configure("unet", in_channels=1, filters=(4, 6), heads=plan.network.heads)
    plan = plan.model_copy(update={"network": with_memory(single, "conv_gru_unet")})
    begun = plan.model_copy(update={"network": single, "clip": None})
    source, model = build_network(single, seed=1), build_network(plan.network, seed=2)
    notes = copy_by_name(model, plan, values_of(source), begun)
    assert notes == ["the memory starts fresh: the other run has none"]
    frames = np.random.default_rng(0).normal(size=(2, 3, 16, 16, 1)).astype(np.float32)
    expected, found = numbers_of(source(frames.reshape(6, 16, 16, 1))), numbers_of(model(frames))
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    for preset, network in (("slice_unet", single), ("conv_gru_unet", plan.network)):
        with pytest.raises(PlanError, match="cannot be given the memory"):
            with_memory(network, preset)


def test_what_the_engine_is_held_against_has_the_weights_of_now(films: Path, backend: str) -> None:
    """The best weights are read back after the last validation: the network for one frame follows."""
    from reunet.networks import build_network
    from reunet.sampling.patches import PatchSampler
    from reunet.training.validation import Validator

    plan = plan_of(films, backend, "conv_gru_unet")
    model, better = (build_network(plan.network, seed=seed) for seed in (1, 2))
    validator = Validator(model, plan, PatchSampler([], plan), [])
    frame = np.random.default_rng(0).normal(size=(1, 16, 16, 1)).astype(np.float32)
    states = {name: np.zeros((1, *shape), np.float32) for name, shape in validator.runtime.states.items()}
    before = validator.runtime.step(frame, states)["semantic"]
    model.set_weights(better.get_weights())
    assert np.abs(validator.runtime.step(frame, states)["semantic"] - before).max() > 1e-3


def numbers_of(outputs: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(outputs["semantic"]))
