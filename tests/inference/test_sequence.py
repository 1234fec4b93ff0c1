"""Sequences: frame by frame equals all at once, windows are blended, any number of frames, bad input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration, ClipSpec, Inference, InputSpec, Intensity, Plan, Schedule
from reunet.errors import DataError, PlanError, ReunetError
from reunet.inference.sequence import SequencePredictor, over_windows
from reunet.inference.stream import Stream
from reunet.networks.presets import PRESETS, configure

TILE = (16, 16)


def make_plan(preset: str, *, frames: int = 4, overlap: float = 0.25) -> Plan:
    name, _, control = preset.partition(":")
    fields = dict(PRESETS[name].control) if control else {}
    if name == "conv_gru_unet":
        fields["recurrence"] = {"gain": 0.5}  # with gains of zero it would show no memory
    heads = (HeadSpec(channels=2),)
    network = configure(name, in_channels=1, filters=(4, 8), heads=heads, normalisation="none", **fields)
    return Plan(
        dataset="x",
        labels=LabelMap(classes=default_classes([0, 1])),
        input=InputSpec(channels=1, intensity=Intensity(method="fixed", offset=(100.0,), scale=(50.0,))),
        network=network,
        patch=TILE,
        clip=ClipSpec(frames=frames),
        batch=1,
        schedule=Schedule(steps=1),
        inference=Inference(tile=TILE, overlap=overlap),
    )


class Memory:
    """A stand-in for a causal engine: the probability is the mean of the pixel over the frames so far."""

    name, precision = "memory", "f32"

    def __init__(self) -> None:
        self.states = {"sum": (*TILE, 1), "count": (1, 1, 1)}

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        raise AssertionError("a causal network goes from frame to frame")

    def step(self, batch: np.ndarray, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        total, count = states["sum"] + batch, states["count"] + 1
        mean = np.clip(total / count, 0, 1)
        return {"semantic": np.concatenate([1 - mean, mean], axis=-1), "sum": total, "count": count}


class Windows:
    """A stand-in for an engine on windows: the probability is the pixel; it remembers what it was shown."""

    name, precision = "windows", "f32"

    def __init__(self, places: bool = False) -> None:
        self.states: dict[str, tuple[int, ...]] = {}
        self.shown: list[int] = []
        self.places = places

    def step(self, batch: np.ndarray, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise AssertionError("this network sees windows")

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        self.shown.append(batch.shape[1])
        values = batch
        if self.places:  # where in the window a frame is, to see how windows are weighted
            steps = np.linspace(0, 1, batch.shape[1], dtype=np.float32)
            values = np.broadcast_to(steps[None, :, None, None, None], batch.shape)
        return {"semantic": np.concatenate([1 - values, values], axis=-1)}


def film(frames: int, size: tuple[int, int] = (21, 30)) -> np.ndarray:
    """(T, H, W) with values that the plan's intensity turns into 0..1."""
    return np.random.default_rng(frames).uniform(100, 150, (frames, *size)).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(frames=st.integers(1, 7), height=st.integers(1, 40), width=st.integers(1, 40))
def test_every_tile_keeps_its_own_states(frames: int, height: int, width: int) -> None:
    stack = film(frames, (height, width))
    result = SequencePredictor(make_plan("conv_gru_unet"), Memory(), batch=3)(stack)
    pixels = (stack - 100) / 50
    means = np.cumsum(pixels, axis=0) / np.arange(1, frames + 1)[:, None, None]
    assert result.labels.shape == (frames, height, width)
    np.testing.assert_allclose(result.probabilities[..., 1], means, atol=1e-5)


@pytest.mark.parametrize("preset", ["conv_gru_unet", "unet_2d_t"])
def test_frames_are_seen_at_the_spacing_of_the_plan_and_put_back(preset: str) -> None:
    plan = make_plan(preset).model_copy(update={"spacing": (2.0, 3.0)})
    engine = Memory() if preset == "conv_gru_unet" else Windows()
    frames = np.full((5, 41, 62), 100.0, np.float32)
    frames[:, 8:24, 12:36] = 150
    found = SequencePredictor(plan, engine)(frames).probabilities[..., 1]
    assert found.shape == (5, 41, 62)
    np.testing.assert_allclose(found[:, 11:21, 16:32], 1, atol=1e-5)
    assert np.abs(found - (frames - 100) / 50).mean() < 0.05


@settings(deadline=None, max_examples=25)
@given(frames=st.integers(1, 23), window=st.integers(1, 8), height=st.integers(1, 40))
def test_windows_cover_every_frame_once(frames: int, window: int, height: int) -> None:
    stack, engine = film(frames, (height, 18)), Windows()
    predictor = SequencePredictor(make_plan("unet_2d_t", frames=window), engine)
    result = predictor(stack)
    np.testing.assert_allclose(result.probabilities[..., 1], (stack - 100) / 50, atol=1e-4)
    np.testing.assert_allclose(result.probabilities.sum(-1), 1, atol=1e-5)
    assert set(engine.shown) == {window}


def test_windows_are_blended_in_time() -> None:
    predictor = SequencePredictor(make_plan("unet_2d_t", frames=4), Windows(places=True))
    places = predictor(film(8, TILE)).probabilities[:, 0, 0, 1]
    assert places[0] == 0  # only the first window, at its first frame
    assert places[7] == 1
    assert np.abs(np.diff(places[2:6])).max() < 0.45  # without blending 1 -> 0 between two windows


def test_a_long_sequence_is_read_as_it_is_predicted() -> None:
    for predictor, ahead in (
        (SequencePredictor(make_plan("conv_gru_unet"), Memory()), 1),
        (SequencePredictor(make_plan("unet_2d_t", frames=4), Windows()), 4),
    ):
        read: list[int] = []

        def frames(read: list[int] = read) -> Iterator[np.ndarray]:
            for number in range(1000):
                read.append(number)
                yield film(1)[0]

        results = predictor.predictions(frames(), 1000)
        for given_out in range(1, 20):
            next(results)
            assert len(read) <= given_out + ahead


def test_mirrored_views_have_states_of_their_own() -> None:
    plan, stack = make_plan("conv_gru_unet"), film(4)
    plain, augmented = (SequencePredictor(plan, Memory(), tta=tta)(stack) for tta in (False, True))
    np.testing.assert_allclose(plain.probabilities, augmented.probabilities, atol=1e-5)
    plan = make_plan("unet_2d_t")
    plain, augmented = (SequencePredictor(plan, Windows(), tta=tta)(stack) for tta in (False, True))
    np.testing.assert_allclose(plain.probabilities, augmented.probabilities, atol=1e-5)


def test_a_stream_gives_what_the_whole_sequence_gives() -> None:
    predictor = SequencePredictor(make_plan("conv_gru_unet"), Memory(), Calibration(threshold=0.6))
    stack = film(5)
    whole, stream = predictor(stack), Stream(predictor)
    for _ in range(2):
        for t, frame in enumerate(stack):
            result = stream(frame)
            np.testing.assert_array_equal(result.probabilities, whole.probabilities[t])
            np.testing.assert_array_equal(result.labels, whole.labels[t])
        stream.reset()
    with pytest.raises(DataError):
        stream(np.zeros((3, 3), "U1"))
    np.testing.assert_array_equal(stream(stack[0]).probabilities, whole.probabilities[0])
    with pytest.raises(PlanError, match="cannot stream"):
        Stream(SequencePredictor(make_plan("unet_2d_t"), Windows()))


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 4)),
        np.zeros((2, 4, 4, 1, 1)),
        np.zeros((0, 4, 4)),
        [],
        np.float32(1),
        None,
        "film.png",
        np.full((2, 4, 4), np.nan),
        np.zeros((2, 4, 4, 5)),
        [np.zeros((4, 4)), np.zeros((4, 5))],
    ],
    ids=lambda value: str(getattr(value, "shape", value))[:30],
)
def test_what_is_no_sequence_is_refused(frames: object) -> None:
    for predictor in (
        SequencePredictor(make_plan("conv_gru_unet"), Memory()),
        SequencePredictor(make_plan("unet_2d_t"), Windows()),
    ):
        with pytest.raises(ReunetError):
            predictor(frames)


def test_frames_of_another_size_are_named() -> None:
    predictor = SequencePredictor(make_plan("conv_gru_unet"), Memory())
    with pytest.raises(DataError, match="different sizes") as caught:
        predictor([np.zeros((4, 4)), np.zeros((4, 5))], where="walk")
    assert caught.value.where == "walk, frame 2"
    assert caught.value.expected == "4 x 4"


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    "preset",
    [
        pytest.param("conv_gru_unet", marks=pytest.mark.keras),
        pytest.param("slice_unet", marks=pytest.mark.keras),
        "conv_gru_unet:control",
        "conv_lstm_unet",
        "unet_2d_t",
    ],
)
def test_prediction_equals_the_sequence_network(preset: str) -> None:
    """On one tile and, for networks on windows, one window: no blending, so the network itself is seen."""
    import keras

    from reunet.inference.keras_runtime import KerasRuntime, copy_weights
    from reunet.networks import build_network, build_step_network, probability_model

    plan = make_plan(preset, frames=5)
    network = build_network(plan.network, seed=3)
    predicting = network
    if plan.network.causal:
        predicting = build_step_network(plan.network, size=TILE)
        copy_weights(network, predicting)
    runtime = KerasRuntime(probability_model(predicting, plan.network))
    stack = film(5, TILE)
    result = SequencePredictor(plan, runtime)(stack)
    inputs = ((stack - 100) / 50)[None, ..., None]
    outputs = probability_model(network, plan.network)(inputs)
    expected = keras.ops.convert_to_numpy(outputs["semantic"])
    np.testing.assert_allclose(result.probabilities, expected[0], atol=1e-5)
    assert result.probabilities.std() > 1e-3
    np.testing.assert_allclose(over_windows(runtime, plan)(inputs)["semantic"], expected, atol=1e-5)
