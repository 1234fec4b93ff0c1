"""Schedule, budget, statistics, state and transfer, each against its definition."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Plan, Schedule
from reunet.training.budget import Pace, spend
from reunet.training.schedule import Timeline, due, learning_rate


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    schedule, timeline = Schedule(steps=1000, learning_rate=1e-3, warmup=0.1), Timeline(1000)
    rates = [learning_rate(schedule, timeline.progress(step)) for step in range(1001)]
    assert 0 < rates[0] < 2e-5
    assert max(rates) == pytest.approx(1e-3, rel=0.02)
    assert np.argmax(rates) == pytest.approx(100, abs=2)
    assert (np.diff(rates[100:]) < 0).all()
    assert rates[-1] == 0.0


def test_laying_out_anew_is_continuous_and_still_ends_at_one() -> None:
    before = Timeline(1000)
    after = before.relaid(400, 700)
    assert after.progress(400) == before.progress(400)
    assert after.progress(700) == 1.0
    steps = np.array([after.progress(step) for step in range(400, 701)])
    assert (np.diff(steps) > 0).all()


@pytest.mark.parametrize(("total", "count"), [(1000, 10), (7, 10), (10, 3), (1, 1), (999, 100)])
def test_what_is_due_happens_as_often_as_asked_and_at_the_end(total: int, count: int) -> None:
    happened = [step for step in range(1, total + 1) if due(Timeline(total), step, count)]
    assert len(happened) == min(count, total)
    assert happened[-1] == total


def test_validation_stays_within_its_share() -> None:
    for validation_s in (0.01, 1, 10, 100):
        spent = spend(600, 0.5, validation_s, 10)
        cost = spent.validations * spent.share_of_cases * validation_s
        assert cost <= 0.15 * 600 + 1e-6
        assert spent.steps * 0.5 + cost <= 600
        assert spent.steps > 600 * 0.8 / 0.5
    assert spend(1, 10, 10, 10).steps == 1


def test_the_pace_leaves_out_the_slow_start_of_each_phase() -> None:
    """The first steps of a phase compile for seconds; taken for the pace they would end a training."""
    pace = Pace([0.0, 0.5])
    for progress, seconds in ((0.0, 0.2), (0.5, 1.0)):
        pace.expect(progress, seconds)
    assert pace.mean_seconds() == pytest.approx(0.6)
    assert pace.steps_within(60, 0.0) == pytest.approx(100)
    for phase, seconds in ((0.1, 0.4), (0.7, 2.0)):  # a machine of half the speed
        for step in range(60):
            pace.add(phase, 30.0 if step < Pace.SKIPPED else seconds)
            assert pace.is_known == (step >= Pace.SKIPPED + Pace.FEWEST - 1)
        left_in_rest = max(0.0, 0.5 - phase) / (1 - phase)
        mean = left_in_rest * 0.4 + (1 - left_in_rest) * 2.0
        assert pace.steps_within(100, phase) == pytest.approx(100 / mean)


def test_a_pace_of_one_phase() -> None:
    pace = Pace()
    pace.expect(0.0, 0.5)
    assert pace.mean_seconds() == 0.5
    assert pace.steps_within(0, 0.9) == 1


@pytest.mark.keras
def test_measured_statistics_are_those_of_the_data() -> None:
    """With one batch of everything, inference mode gives what training mode gives on it."""
    import keras

    from reunet.networks import build_network, configure
    from reunet.training.statistics import measure_statistics

    config = configure("unet", in_channels=1, filters=(4, 8), heads=({"channels": 2},), normalisation="batch")
    model = build_network(config)
    batch = np.random.default_rng(0).normal(3, 2, (16, 16, 16, 1)).astype("float32")
    measure_statistics(model, [batch] * 3)
    inference = keras.ops.convert_to_numpy(model(batch, training=False)["semantic"])
    training = keras.ops.convert_to_numpy(model(batch, training=True)["semantic"])
    np.testing.assert_allclose(inference, training, atol=0.05)
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    halves = build_network(config)
    halves.set_weights(model.get_weights())
    measure_statistics(halves, [batch[:8], batch[8:]])
    twin = halves.get_layer(first.name)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(twin.moving_mean.value),
        keras.ops.convert_to_numpy(first.moving_mean.value),
        atol=1e-5,
    )
    assert first.momentum == 0.99


@pytest.mark.keras
def test_state_is_restored_whatever_happens() -> None:
    import keras

    from reunet.training.state import capture, preserved

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    before = capture(model)

    def train_and_fail() -> None:
        with preserved(model):
            model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        train_and_fail()
    after = capture(model)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    assert any("seed" in name for name in before)


@pytest.mark.keras
def test_a_file_of_weights_made_in_memory_is_the_one_keras_writes(tmp_path: Path, backend: str) -> None:
    """With an optimiser, which is left out. A new Keras may move what `weights_content` calls of it."""
    import h5py
    import keras

    from reunet.networks import build_network, configure
    from reunet.training.state import weights_content

    network = configure("unet", in_channels=1, filters=(2, 4), heads=(HeadSpec(channels=2),))
    build_network(network).save_weights(tmp_path / "a.weights.h5")
    model = build_network(network)
    model.load_weights(tmp_path / "a.weights.h5")
    model.compile(optimizer=keras.optimizers.AdamW(), loss="mse")
    model.optimizer.build(model.trainable_variables)
    content = weights_content(model, cast(Plan, None))  # which only networks with memory need

    def arrays(file: Any) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        with h5py.File(file) as opened:
            opened.visititems(lambda name, x: found.update({name: x[()]} if hasattr(x, "shape") else {}))
        return found

    expected, made = arrays(tmp_path / "a.weights.h5"), arrays(io.BytesIO(content))
    assert expected.keys() == made.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(made[name], values)
