"""The lock of a folder: one process at a time, and nothing to clean up after a kill."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reunet import locks
from reunet.errors import StorageError
from reunet.storage import folder_lock

HOLDER = """
import sys, time
from pathlib import Path
from reunet.storage import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `tmp_path`."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_which_is_first(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match=f"process {holder.pid}"), folder_lock(tmp_path):
        pass
    (tmp_path / ".lock").write_text("")  # as before the number is written
    with pytest.raises(StorageError, match="another process"), folder_lock(tmp_path):
        pass
    assert holder.poll() is None


def test_a_killed_process_leaves_a_free_folder(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.kill()
    holder.wait()
    with folder_lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize(
    "content",
    [str(os.getpid()), str(os.getppid()), "1" * 50, "", "no number"],
    ids=["own", "parent", "long", "empty", "words"],
)
def test_a_number_that_another_process_has_now_locks_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(content)
    with folder_lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_the_lock_is_freed_on_errors_and_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), folder_lock(tmp_path / "new"):
            raise ZeroDivisionError
        assert list((tmp_path / "new").iterdir()) == []


def test_there_is_never_more_than_one_holder(tmp_path: Path) -> None:
    """Also when the file is removed by one while another has it open already."""
    inside, most, held = 0, 0, 0
    guard = threading.Lock()
    end = time.monotonic() + 1

    def work() -> None:
        nonlocal inside, most, held
        while time.monotonic() < end:
            try:
                with folder_lock(tmp_path):
                    with guard:
                        inside, held = inside + 1, held + 1
                        most = max(most, inside)
                    time.sleep(0)
                    with guard:
                        inside -= 1
            except StorageError:
                time.sleep(0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert held > 10


@pytest.mark.skipif(os.name == "nt", reason="flock is of POSIX")
def test_a_file_system_that_cannot_lock_is_used_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(code: int) -> None:
        def flock(*_: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(fcntl, "flock", flock)

    refuse(errno.ENOSYS)
    with folder_lock(tmp_path):
        pass
    refuse(errno.EIO)
    with pytest.raises(StorageError, match="Input/output"), folder_lock(tmp_path):
        pass


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux lists what is open")
def test_nothing_stays_open_when_a_lock_is_refused(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(StorageError), folder_lock(tmp_path):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


class FakeLocking:
    """`msvcrt`, which locks bytes from where a file stands; all that was locked is kept."""

    LK_NBLCK = 3

    def __init__(self) -> None:
        self.locked: list[tuple[int, int, int]] = []
        self.refuses = 0

    def locking(self, handle: int, mode: int, count: int) -> None:
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        self.locked.append((os.lseek(handle, 0, os.SEEK_CUR), mode, count))


@pytest.mark.skipif(os.name == "nt", reason="pretends to be Windows")
def test_on_windows_one_byte_far_behind_the_text_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeLocking()
    monkeypatch.setitem(sys.modules, "msvcrt", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(locks.sys, "platform", "win32")
    with folder_lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
        assert fake.locked == [(1 << 30, fake.LK_NBLCK, 1)]
        for is_folder in (False, True):
            with locks.temporary(tmp_path / "a.png", is_folder=is_folder) as made:
                assert made.is_dir() == is_folder
                if is_folder:
                    (made / "part").touch()
            assert not made.exists()
    assert not (tmp_path / ".lock").exists()
    assert len(fake.locked) == 1, "Windows renames nothing that is open"
    fake.refuses = errno.EACCES
    with pytest.raises(StorageError, match="another process"), folder_lock(tmp_path):
        pass


def test_a_temporary_that_is_gone_already_is_no_error(tmp_path: Path) -> None:
    for is_folder in (False, True):
        with locks.temporary(tmp_path / "a", is_folder=is_folder) as made:
            os.rmdir(made) if is_folder else os.remove(made)
