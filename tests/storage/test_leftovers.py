"""What a killed process left is cleared by the next one that writes there, never what is at work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reunet import locks, storage
from reunet.errors import StorageError
from reunet.storage import atomic_path, folder_lock, publish_folder, scratch_folder, take_room, write_text

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows renames nothing that is open: no locks")

WRITER = """
import sys, time
from pathlib import Path
from reunet.storage import atomic_path, scratch_folder
folder = Path(sys.argv[1])
with atomic_path(folder / "a.png") as file, scratch_folder(folder) as scratch:
    file.write_text("half")
    (scratch / "part").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_swept", set())


@pytest.fixture
def writer(tmp_path: Path, child_environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Another process that has a file and a folder in hand."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def test_the_next_write_sweeps_what_was_left_and_nothing_in_use(
    writer: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = [".tmp-notes", ".tmp-0123456789abcdefg", "a.tmp-0123456789abcdef"]
    for name in foreign:
        (tmp_path / name).write_text("of another program")
    before = set(os.listdir(tmp_path))
    write_text(tmp_path / "b", "b")
    assert set(os.listdir(tmp_path)) == before | {"b"}, "the writer is at work"
    writer.kill()
    writer.wait()
    write_text(tmp_path / "c", "c")
    assert set(os.listdir(tmp_path)) == before | {"b", "c"}, "once in each process"
    monkeypatch.setattr(locks, "_swept", set())
    write_text(tmp_path / "d", "d")
    assert set(os.listdir(tmp_path)) == {*foreign, "b", "c", "d"}


def test_what_another_machine_left_is_swept_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / ".tmp-00000000deadbeef.weights.h5"
    left.touch()
    for age, is_there in ((locks.OLD_S / 2, True), (locks.OLD_S * 2, False)):
        then = left.stat().st_ctime - age
        os.utime(left, (then, then))
        monkeypatch.setattr(locks, "_swept", set())
        locks.sweep(tmp_path)
        assert left.exists() == is_there


def test_a_folder_that_was_being_replaced_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed on a disk that cannot exchange folders, after the old one had made room."""
    path = tmp_path / "weights"
    publish_folder(path, lambda folder: (folder / "file").write_text("old"))

    class Killed(BaseException):
        pass

    def rename(old: Path, new: Path) -> None:
        if Path(new) == path:
            raise Killed
        original(old, new)

    original = os.rename
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_swap", lambda *_: False)
        patch.setattr(os, "rename", rename)
        with pytest.raises(Killed):
            publish_folder(path, lambda folder: (folder / "file").write_text("new"))
    assert not path.exists()
    monkeypatch.setattr(locks, "_swept", set())
    locks.sweep(tmp_path)
    assert (path / "file").read_text() == "old"
    old = locks.temporary_name(path, old=True)
    shutil.copytree(path, old)
    monkeypatch.setattr(locks, "_swept", set())
    locks.sweep(tmp_path)
    assert os.listdir(tmp_path) == ["weights"]


def test_a_folder_that_is_removed_under_a_command_does_not_come_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with folder_lock(run):
        write_text(run / "a", "a")
        shutil.rmtree(run)
        for write in (
            lambda: write_text(run / "b" / "c", "c"),
            lambda: publish_folder(run / "checkpoints" / "1", lambda folder: None),
        ):
            with pytest.raises(StorageError, match="removed or replaced") as caught:
                write()
            assert str(run) in str(caught.value)
            assert not run.exists()
        write_text(tmp_path / "elsewhere", "a")


def test_nothing_is_written_into_a_folder_that_took_its_place(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with folder_lock(run):
        run.rename(tmp_path / "moved")
        with pytest.raises(StorageError, match="removed or replaced"):
            write_text(run / "a", "a")
        run.mkdir()
        (run / ".lock").write_text("of another process")
        with pytest.raises(StorageError, match="removed or replaced"), atomic_path(run / "a"):
            pass
    assert (run / ".lock").read_text() == "of another process"
    assert os.listdir(run) == [".lock"]


def test_a_file_with_holes_takes_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for has_system_call in (True, False):
        file = tmp_path / "a"
        with open(file, "wb") as opened:
            opened.write(b"head")
            opened.truncate(3 << 20)
        assert file.stat().st_blocks * 512 < 1 << 20
        if not has_system_call:
            monkeypatch.delattr(os, "posix_fallocate")
        take_room(file)
        assert file.stat().st_blocks * 512 >= (3 << 20) - 4096
        assert file.stat().st_size == 3 << 20
        assert file.read_bytes()[:5] == b"head\0"


def test_what_is_not_finished_is_gone_after_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_folder(tmp_path) as scratch:
            (scratch / "a").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert os.listdir(tmp_path) == []


def test_a_library_that_loses_the_reason_does_not_hide_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NumPy tells of a disk that is full as "1000 requested and 0 written"."""
    usage = shutil.disk_usage(tmp_path)
    for free, told in ((65_535, "No space left.*free some space"), (65_536, "1000 requested")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        with pytest.raises(StorageError, match=f"(?s){told}"), atomic_path(tmp_path / "a" / "b"):
            raise OSError("1000 requested and 0 written")
