"""The checkpoint room: at every moment the last good checkpoint loads."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from reunet import locks
from reunet.errors import CheckpointError, StorageError
from reunet.training.checkpoint import KEPT, load_checkpoint, save_checkpoint


def arrays_of(step: int) -> dict[str, np.ndarray]:
    return {"model:0:kernel": np.full((100, 100), step, np.float32), "seed": np.array([step, 7], np.uint32)}


def test_round_trip_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 30):
        save_checkpoint(tmp_path, step, arrays_of(step), {"best": 0.5, "step": step})
    step, arrays, state, notes = load_checkpoint(tmp_path)
    assert (step, state, notes) == (30, {"best": 0.5, "step": 30}, [])
    for name, array in arrays_of(30).items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == KEPT


@pytest.mark.fault(
    "a truncated or changed checkpoint", "found by its hash; the one before it is used, and that is said"
)
@pytest.mark.parametrize("damage", ["truncate", "flip", "state", "remove"])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path, damage: str) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, step, arrays_of(step), {})
    file = tmp_path / "00000002" / "arrays.npz"
    content = bytearray(file.read_bytes())
    if damage == "truncate":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "state":
        (file.parent / "state.json").write_text("{")
    else:
        file.unlink()
    step, _, _, notes = load_checkpoint(tmp_path)
    assert step == 1
    assert "00000002" in notes[0]


def test_after_a_damaged_one_the_newest_intact_ones_are_kept(tmp_path: Path) -> None:
    """A damaged checkpoint with a high number must not push out what was saved after resuming."""
    for step in (10, 20):
        save_checkpoint(tmp_path, step, arrays_of(step), {})
    (tmp_path / "00000020" / "arrays.npz").write_bytes(b"damaged")
    assert load_checkpoint(tmp_path)[0] == 10
    save_checkpoint(tmp_path, 15, arrays_of(15), {})
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["00000010", "00000015"]
    (tmp_path / "00000015" / "arrays.npz").write_bytes(b"damaged")
    assert load_checkpoint(tmp_path)[0] == 10


def test_steps_of_nine_digits(tmp_path: Path) -> None:
    for step in (99_999_998, 99_999_999, 100_000_000):
        save_checkpoint(tmp_path, step, arrays_of(step), {})
        assert load_checkpoint(tmp_path)[0] == step


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    locks.temporary_name(tmp_path / "00000001").mkdir()
    save_checkpoint(tmp_path, 1, arrays_of(1), {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000001", "LATEST"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"newest", b"[1]"])
def test_a_damaged_pointer_is_passed_over_and_named(tmp_path: Path, content: bytes) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, step, arrays_of(step), {})
    (tmp_path / "LATEST").write_bytes(content)
    step, _, _, notes = load_checkpoint(tmp_path)
    assert step == 2
    assert "LATEST" in notes[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"null", b"7", b"[]", b"{}", b"[" * 100_000, b'{"step": 1, "state": {}, "sha256": 3}'],
    ids=range(8),
)
def test_a_state_that_is_none_is_damage(tmp_path: Path, content: bytes) -> None:
    save_checkpoint(tmp_path, 1, arrays_of(1), {})
    (tmp_path / "00000001" / "state.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="no intact checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(("old", "new"), [("0.5", "0.7"), ('"best": 0.5', '"best": "high"'), ("1", "true")])
def test_a_state_with_another_value_is_damage(tmp_path: Path, old: str, new: str) -> None:
    save_checkpoint(tmp_path, 1, arrays_of(1), {"best": 0.5})
    file = tmp_path / "00000001" / "state.json"
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(CheckpointError, match="no intact checkpoint"):
        load_checkpoint(tmp_path)


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint to resume from"):
        load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, 1, arrays_of(1), {})
    (tmp_path / "00000001" / "arrays.npz").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no intact checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.fault("the disk is full while a checkpoint is written", "the older one is intact")
def test_a_full_disk_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 1, arrays_of(1), {})

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(StorageError, match="free some space"):
        save_checkpoint(tmp_path, 2, arrays_of(2), {})
    monkeypatch.undo()
    assert load_checkpoint(tmp_path)[0] == 1
    assert not list(tmp_path.glob(".tmp-*"))


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
import numpy as np
from reunet.training import checkpoint
from reunet import locks, storage

folder, at = Path(sys.argv[1]), int(sys.argv[2])
calls = 0
def trace(frame, event, argument):
    global calls
    rooms = [room.__file__ for room in (checkpoint, storage, locks)]
    if event == "line" and frame.f_code.co_filename in rooms:
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace
sys.settrace(trace)
checkpoint.save_checkpoint(folder, 2, {"a": np.arange(1000)}, {})
sys.settrace(None)
print(calls)
"""


@pytest.mark.fault("kill -9 while a checkpoint is written", "the last good one loads")
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_kill_at_any_line_of_the_writer_leaves_a_good_checkpoint(tmp_path: Path) -> None:
    script = tmp_path / "writer.py"
    script.write_text(textwrap.dedent(KILLED_WRITER))
    start = tmp_path / "start"
    save_checkpoint(start, 1, {"a": np.arange(5)}, {})
    count = subprocess.run(
        [sys.executable, script, shutil.copytree(start, tmp_path / "count"), "0"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for at in np.linspace(1, int(count), 12).astype(int):
        folder = shutil.copytree(start, tmp_path / f"kill{at}")
        subprocess.run([sys.executable, script, folder, str(at)], check=False)
        step, arrays, _, _ = load_checkpoint(folder)
        np.testing.assert_array_equal(arrays["a"], np.arange(5 if step == 1 else 1000))
        save_checkpoint(folder, 3, {"a": np.arange(3)}, {})
        assert load_checkpoint(folder)[0] == 3


@pytest.mark.fault(
    "a checkpoint that unpacks to much more than its file", "nothing is unpacked; it counts as damaged"
)
@pytest.mark.parametrize("content", ["packed", "cut", "no archive", "another array"])
def test_arrays_that_nobody_wrote_so_are_damage(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a hash that fits: what a stranger, not an accident, has left."""
    save_checkpoint(tmp_path, 1, arrays_of(1), {})
    whole = (tmp_path / "00000001" / "arrays.npz").read_bytes()

    def write(file: BinaryIO, **_: object) -> None:
        if content == "packed":
            np.savez_compressed(file, model=np.zeros(10**6, np.uint8))
        told = {
            "cut": whole[:-9],
            "no archive": b"PK",
            "another array": whole.replace(b"(100, 100)", b"(999, 999)"),
        }
        file.write(told.get(content, b""))

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", write)
        save_checkpoint(tmp_path, 2, {}, {})
    step, _, _, notes = load_checkpoint(tmp_path)
    assert step == 1
    assert "00000002 is damaged" in notes[0]
