"""What is loaded may be shared: threads that use one model at once each get what they would get alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import numpy as np
import pytest

from reunet.contracts.labels import LabelMap, default_classes
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import ClipSpec, Inference, InputSpec, Intensity, Plan, Schedule
from reunet.errors import ModelFileError, UsageError
from reunet.inference.load import load
from reunet.inference.openvino_runtime import OpenVINORuntime
from reunet.inference.sequence import SequencePredictor
from reunet.inference.stream import Stream
from reunet.networks.presets import configure

THREADS = 16
MakeRun = Callable[..., Path]


def at_once(function: Callable[[int], object], count: int = THREADS) -> list[object]:
    """What `function` gives for each number, called by as many threads at the same moment."""
    ready = Barrier(count)

    def call(number: int) -> object:
        ready.wait()
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def shared_by_threads(model: Callable[[np.ndarray], object], images: Sequence[np.ndarray]) -> None:
    """Every thread has an image of its own and predicts it again and again."""
    alone = [model(image).probabilities for image in images]

    def again(number: int) -> None:
        for _ in range(4):
            np.testing.assert_allclose(model(images[number]).probabilities, alone[number], atol=1e-4)

    at_once(again, len(images))


def noise(count: int, tile: tuple[int, int] = (32, 32)) -> list[np.ndarray]:
    """Images of one tile, of several, and smaller ones."""
    rng = np.random.default_rng(0)
    shapes = [tuple(int(side * factor) for side in tile) for factor in (1, 2.5, 0.7)]
    return [rng.integers(0, 256, shapes[number % 3], np.uint8) for number in range(count)]


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_an_engine_is_shared(make_bright_run: MakeRun, tmp_path: Path, engine: str) -> None:
    if engine == "onnx":
        pytest.importorskip("onnxruntime")
    run = make_bright_run(tmp_path / "run")
    shared_by_threads(load(run, engine=engine, precision="f32"), noise(THREADS))


@pytest.mark.slow
@pytest.mark.keras
def test_a_keras_network_is_shared(tiny_run: Path) -> None:
    shared_by_threads(load(tiny_run, engine="keras"), noise(6, (64, 64)))


def test_a_run_is_loaded_by_many_at_once(make_bright_run: MakeRun, tmp_path: Path) -> None:
    run, image = make_bright_run(tmp_path / "run"), noise(1)[0]
    expected = load(run, precision="f32")(image).labels
    for labels in at_once(lambda _: load(run, precision="f32")(image).labels, 6):
        np.testing.assert_array_equal(labels, expected)


def test_a_call_that_fails_keeps_no_other_waiting(make_bright_run: MakeRun, tmp_path: Path) -> None:
    """Half of the calls are wrong: what they held of the engine is given back."""
    runtime = OpenVINORuntime(make_bright_run(tmp_path / "run") / "engine" / "model.xml", (32, 32))
    good = np.full((3, 32, 32, 1), 200, np.float32)

    def call(number: int) -> None:
        for _ in range(4):
            if number % 2:
                with pytest.raises(ModelFileError):
                    runtime(good[:, :16])
            else:
                assert runtime(good)["semantic"].shape == (3, 32, 32, 2)

    at_once(call)


def film_plan() -> Plan:
    network = configure(
        "conv_gru_unet", in_channels=1, filters=(4, 8), heads=(HeadSpec(channels=2),), normalisation="none"
    )
    return Plan(
        dataset="x",
        labels=LabelMap(classes=default_classes([0, 1])),
        input=InputSpec(channels=1, intensity=Intensity(method="fixed", offset=(0.0,), scale=(255.0,))),
        network=network,
        patch=(16, 16),
        clip=ClipSpec(frames=4),
        batch=1,
        schedule=Schedule(steps=1),
        inference=Inference(tile=(16, 16)),
    )


class Sum:
    """A stand-in for a causal engine that adds up the frames; it waits where `hold` is given."""

    name, precision = "sum", "f32"

    def __init__(self, hold: Event | None = None) -> None:
        self.states = {"sum": (16, 16, 1)}
        self.hold, self.began = hold, Event()

    def step(self, batch: np.ndarray, states: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.began.set()
        if self.hold is not None:
            self.hold.wait(20)
        total = states["sum"] + batch
        share = np.clip(total / 8, 0, 1)
        return {"semantic": np.concatenate([1 - share, share], axis=-1), "sum": total}


def test_each_sequence_has_states_of_its_own() -> None:
    rng = np.random.default_rng(0)
    films = [rng.integers(0, 256, (5, 21, 30), np.uint8) for _ in range(8)]
    model = SequencePredictor(film_plan(), Sum())
    shared_by_threads(model, films)

    def streamed(number: int) -> np.ndarray:
        stream = Stream(model)
        return np.stack([stream(frame).probabilities for frame in films[number]])

    for film, found in zip(films, at_once(streamed, len(films)), strict=True):
        np.testing.assert_allclose(found, model(film).probabilities, atol=1e-6)


def test_a_stream_belongs_to_one_thread_at_a_time() -> None:
    """Its frames have an order: a second one while the first is predicted is refused, and changes nothing."""
    hold = Event()
    runtime, frames = Sum(hold), np.full((3, 16, 16), 90, np.uint8)
    stream = Stream(SequencePredictor(film_plan(), runtime))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(stream, frames[0])
        runtime.began.wait(20)
        with pytest.raises(UsageError, match="of its own"):
            stream(np.zeros((16, 16), np.uint8))
        hold.set()
        found = [first.result(), stream(frames[1]), stream(frames[2])]
    expected = SequencePredictor(film_plan(), Sum())(frames).probabilities
    np.testing.assert_array_equal(np.stack([one.probabilities for one in found]), expected)
