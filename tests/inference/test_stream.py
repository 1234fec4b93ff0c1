"""Streams: lost frames, frames that are refused, a memory that is kept, and files that are none."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from reunet.contracts.augmentation import Augmentation, BadFrames
from reunet.contracts.plan import Calibration, Plan
from reunet.errors import DataError, ModelFileError, ReunetError, UsageError
from reunet.inference.pace import LONGEST, Pace, follow
from reunet.inference.sequence import SequencePredictor
from reunet.inference.stream import Stream

from .test_sequence import Memory, film, make_plan


def plan_of(*, expects: bool = True) -> Plan:
    """Of a network that learned from lost frames, or did not."""
    frames = BadFrames() if expects else BadFrames(lost=0.0)
    return make_plan("conv_gru_unet").model_copy(update={"augmentation": Augmentation(frames=frames)})


def stream_of(*, expects: bool = True, tta: bool = False, batch: int = 3, weights: str = "a" * 64) -> Stream:
    calibration = Calibration(weights=weights)
    return Stream(SequencePredictor(plan_of(expects=expects), Memory(), calibration, tta=tta, batch=batch))


def probabilities(stream: Stream, frames: list[np.ndarray | None]) -> list[np.ndarray]:
    return [stream(frame).probabilities for frame in frames]


def test_a_lost_frame_is_blank_for_a_network_that_learned_from_such() -> None:
    stack = film(5)
    blank = np.full_like(stack[0], 100)  # what the plan's intensity makes zeros of
    found = probabilities(stream_of(), [*stack[:2], None, None, *stack[4:]])
    expected = probabilities(stream_of(), [*stack[:2], blank, blank, *stack[4:]])
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(found[2], found[1])


def test_else_the_last_result_is_held_and_the_memory_stays() -> None:
    stack = film(5)
    found = probabilities(stream_of(expects=False), [*stack[:2], None, None, *stack[2:]])
    whole = probabilities(stream_of(expects=False), list(stack))
    np.testing.assert_array_equal(found, [*whole[:2], whole[1], whole[1], *whole[2:]])


@pytest.mark.parametrize("expects", [True, False])
def test_a_stream_does_not_begin_with_a_lost_frame(expects: bool) -> None:
    stream, stack = stream_of(expects=expects), film(3)
    for _ in range(2):
        with pytest.raises(DataError, match="cannot begin with a frame that was lost"):
            stream(None)
    found = probabilities(stream, list(stack))
    np.testing.assert_array_equal(found, probabilities(stream_of(), list(stack)))


def test_a_frame_that_is_refused_is_not_remembered() -> None:
    stream, stack, found = stream_of(), film(4), []
    for frame in stack:
        found.append(stream(frame).probabilities)
        with pytest.raises(DataError, match="different sizes") as caught:
            stream(frame[:-1])
        assert "21 x 30" in str(caught.value)
        with pytest.raises(ReunetError):
            stream(np.full_like(frame, np.nan))
    np.testing.assert_array_equal(found, probabilities(stream_of(), list(stack)))


@pytest.mark.parametrize("tta", [False, True])
def test_a_saved_memory_is_taken_up_as_if_nothing_had_happened(tta: bool, tmp_path: Path) -> None:
    stack, path = film(6), tmp_path / "memory.npz"
    one = stream_of(tta=tta)
    whole = probabilities(one, list(stack[:3]))
    one.save_state(path)
    whole += probabilities(one, [None, *stack[3:]])
    other = stream_of(tta=tta, batch=5)  # with tiles in other groups
    other(stack[5])
    other.load_state(path)
    np.testing.assert_array_equal(probabilities(other, [None, *stack[3:]]), whole[3:])
    with np.load(path, allow_pickle=False) as arrays:
        assert any(name.startswith("states/0/sum") for name in arrays.files)


def test_a_memory_that_holds_the_last_result_does_not_begin_with_a_lost_frame(tmp_path: Path) -> None:
    stream, stack = stream_of(expects=False), film(3)
    with pytest.raises(UsageError, match="no memory to save"):
        stream.save_state(tmp_path / "memory.npz")
    stream(stack[0])
    stream.save_state(tmp_path / "memory.npz")
    stream.load_state(tmp_path / "memory.npz")
    with pytest.raises(DataError, match="cannot begin"):
        stream(None)
    with pytest.raises(DataError, match="different sizes"):
        stream(stack[1][:, :-2])
    whole = probabilities(stream_of(), list(stack))
    np.testing.assert_array_equal(probabilities(stream, list(stack[1:])), whole[1:])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    stream = stream_of()
    for frame in film(2):
        stream(frame)
    stream.save_state(tmp_path / "memory.npz")
    return tmp_path / "memory.npz"


def repacked(path: Path, changed: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()} | changed
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in parts.items():
            if content:
                file.writestr(name, content)


def about(path: Path, **fields: object) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {"about.json": json.dumps(json.loads(file.read("about.json")) | fields).encode()}


def array(values: np.ndarray) -> bytes:
    packed = io.BytesIO()
    np.save(packed, values, allow_pickle=True)
    return packed.getvalue()


SUM = "states/0/sum.npy"
DAMAGE: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("no state"),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "bytes": lambda path: path.write_bytes(path.read_bytes()[:900] + b"????" + path.read_bytes()[904:]),
    "missing": lambda path: repacked(path, {SUM: b""}),
    "shape": lambda path: repacked(path, {SUM: array(np.zeros((6, 16, 16, 2), np.float32))}),
    "kind": lambda path: repacked(path, {SUM: array(np.zeros((6, 16, 16, 1), np.float64))}),
    "objects": lambda path: repacked(path, {SUM: array(np.array([{}, None]))}),
    "huge": lambda path: repacked(path, {SUM: array(np.zeros((6, 16, 16, 1), np.float32)) + bytes(2**20)}),
    "nan": lambda path: repacked(path, {SUM: array(np.full((6, 16, 16, 1), np.nan, np.float32))}),
    "compressed": lambda path: repacked(path, {}, zipfile.ZIP_DEFLATED),
    "about": lambda path: repacked(path, {"about.json": b"{}"}),
    "nested": lambda path: repacked(path, {"about.json": b"[" * 60_000}),
    "version": lambda path: repacked(path, about(path, schema_version=2)),
    "size": lambda path: repacked(path, about(path, size=[2**15, 2**15])),
    "sides": lambda path: repacked(path, about(path, size=[0, 4])),
    "other": lambda path: repacked(path, about(path, size=[40, 60])),
    "axes": lambda path: repacked(path, about(path, size=[4, 4, 4])),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_memory_is_refused_and_the_stream_goes_on(damage: str, saved: Path) -> None:
    DAMAGE[damage](saved)
    stream, stack = stream_of(), film(3)
    first = stream(stack[0])
    with pytest.raises(ReunetError) as caught:
        stream.load_state(saved)
    assert caught.value.where == saved
    whole = probabilities(stream_of(), list(stack))
    np.testing.assert_array_equal([first.probabilities, *probabilities(stream, list(stack[1:]))], whole)


def test_a_memory_of_another_network_is_refused(saved: Path) -> None:
    plan = plan_of()
    tiles = plan.model_copy(update={"inference": plan.inference.model_copy(update={"overlap": 0.5})})
    finer = Stream(SequencePredictor(tiles, Memory(), Calibration(weights="a" * 64)))
    others = stream_of(weights="b" * 64), finer
    for other in others:
        with pytest.raises(ModelFileError, match="another network"):
            other.load_state(saved)
    with pytest.raises(ModelFileError, match="another way to predict"):
        stream_of(tta=True).load_state(saved)
    with pytest.raises(ModelFileError, match="does not exist"):
        stream_of().load_state(saved.with_name("other.npz"))


def missing(times: list[float | None]) -> list[int | None]:
    pace = Pace()
    return [pace.missing(time) for time in times]


@pytest.mark.parametrize("seed", range(4))
def test_missing_frames_are_told_from_the_times_of_the_others(seed: int) -> None:
    """35 of 100 are lost, and the times of the others are off by a tenth of a step."""
    rng = np.random.default_rng(seed)
    shown = np.flatnonzero(rng.random(400) < 0.65)
    found = missing([number / 25 + rng.uniform(-0.004, 0.004) for number in shown])
    gaps = [after - before - 1 for before, after in pairwise(shown)]
    assert sum(told != lost for told, lost in zip(found[1:], gaps, strict=True)) <= 2


def test_a_new_rate_becomes_the_usual_one_and_late_frames_are_none() -> None:
    slower = [*np.arange(10) / 25, *(0.36 + np.arange(1, 16) / 12.5)]
    assert missing(slower) == [0] * 10 + [1] * 8 + [0] * 7
    faster = [*np.arange(10) / 10, *(0.9 + np.arange(1, 11) / 30)]
    assert missing(faster) == [0] * 20
    assert missing([0.0, 0.1, 0.2, 0.1, 0.2, 0.3]) == [0, 0, 0, -1, -1, 0]
    assert missing([None, None, 0.0, 0.1, None, 5.0, 5.1]) == [0] * 7


def test_a_pause_and_a_clock_that_begins_anew_are_no_lost_frames() -> None:
    usual = [0.0, 0.1, 0.2]
    assert missing([*usual, 0.2 + 0.1 * (LONGEST + 1)])[3:] == [LONGEST]
    assert missing([*usual, 0.2 + 0.1 * (LONGEST + 2)])[3:] == [None]
    assert missing([95000.0, 95000.1, 95000.2, 0.0, 0.1])[3:] == [None, 0]


def test_a_stream_is_followed_frame_by_frame() -> None:
    stack = film(6)
    times = [0.0, 0.1, 0.4, 0.2, 0.5, 90.0]
    found = list(follow(stream_of(), zip(times, stack, strict=True)))
    assert [one.kind for one in found] == ["seen", "seen", "lost", "lost", "seen", "late", "seen", "seen"]
    assert [one.seconds for one in found] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.2, 0.5, 90.0])
    assert [one.begins for one in found] == [False] * 7 + [True]
    told = [one.result.probabilities for one in found if one.result is not None]
    expected = probabilities(stream_of(), [stack[0], stack[1], None, None, stack[2], stack[4]])
    np.testing.assert_array_equal(told[:-1], expected)
    np.testing.assert_array_equal(told[-1], stream_of()(stack[5]).probabilities)
