"""What Windows lacks or does otherwise, as far as another system can pretend it."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from reunet import machine, signals, storage
from reunet.errors import StorageError


def reunet(*words: str, environment: dict[str, str], code: str = "") -> subprocess.CompletedProcess[bytes]:
    program = f"{code}\nfrom reunet.__main__ import run\nrun()"
    return subprocess.run(
        [sys.executable, "-c", program, *words], env=environment, capture_output=True, check=False
    )


@pytest.fixture
def console(child_environment: dict[str, str]) -> dict[str, str]:
    """A console that knows 200 characters, where text of all kinds is to be shown."""
    return child_environment | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("words", [["doctor"], ["models", "unet"], ["train", "--help"]], ids=" ".join)
def test_a_console_of_few_characters_shows_every_page(words: list[str], console: dict[str, str]) -> None:
    answer = reunet(*words, environment=console)
    assert answer.returncode == 0, answer.stderr
    answer.stdout.decode("cp1252")


def test_names_that_the_console_cannot_show_are_told_all_the_same(
    console: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "细胞"
    for name in ("images", "masks"):
        (data / name).mkdir(parents=True)
        Image.new("L", (40, 40)).save(data / name / "图.png")
    (data / "images" / "Ω.png").write_bytes(b"not an image")
    answer = reunet("check", str(data), environment=console)
    assert answer.returncode == 1
    assert rb"\u03a9.png" in answer.stdout + answer.stderr
    assert b"Traceback" not in answer.stderr


def test_a_python_that_lacks_what_posix_has_still_starts(child_environment: dict[str, str]) -> None:
    """As on Windows with Python 3.11: no SIGHUP, no `set_blocking`, no scheduler, no sysconf, no fcntl."""
    missing = ("set_blocking", "sched_getaffinity", "sched_setaffinity", "sysconf", "posix_fallocate")
    code = (
        "import os, signal, sys\n"
        "wake, block = signal.set_wakeup_fd, os.set_blocking\n"
        "signal.set_wakeup_fd = lambda fd, **how: (block(fd, False), wake(fd, **how))\n"  # which is not asked
        f"for name in {missing}: hasattr(os, name) and delattr(os, name)\n"
        "del signal.SIGHUP\n"
        "sys.modules['resource'] = sys.modules['pwd'] = sys.modules['grp'] = None\n"
    )
    answer = reunet("doctor", environment=child_environment, code=code)
    assert answer.returncode == 0, answer.stderr.decode()
    assert b"memory:" in answer.stdout


def test_one_heap_is_asked_for_only_where_there_is_such_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str | None) -> None:
        raise TypeError("LoadLibrary() argument 1 must be str, not None")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    machine.share_one_heap()


def test_the_memory_of_windows_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(status: Any) -> int:
        assert status._obj.length == 64
        status._obj.physical = 16 * 2**30
        return 1

    kernel = SimpleNamespace(GlobalMemoryStatusEx=tell)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert machine._memory_of_windows() == 16 * 2**30


def test_a_process_is_asked_to_end_as_its_system_can(monkeypatch: pytest.MonkeyPatch) -> None:
    class Process:
        def __init__(self) -> None:
            self.sent: list[int] = []

        def send_signal(self, number: int) -> None:
            self.sent.append(number)

    process: Any = Process()
    signals.ask_to_end(process)
    monkeypatch.setattr(signal, "CTRL_BREAK_EVENT", 1, raising=False)
    signals.ask_to_end(process)
    assert process.sent == [signal.SIGINT, 1]
    assert signals.apart() == {"start_new_session": True}
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 512, raising=False)
    assert signals.apart() == {"creationflags": 512}


def test_a_path_that_is_too_long_for_windows_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "long" / ("a" * 120) / ("b" * 120)

    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "The system cannot find the path specified")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError) as caught:
        storage.write_text(folder / "plan.json", "{}")
    assert "LongPathsEnabled" not in str(caught.value)
    monkeypatch.setattr(storage.sys, "platform", "win32")
    with pytest.raises(StorageError, match="LongPathsEnabled"):
        storage.write_text(folder / "plan.json", "{}")


def test_sources_read_text_with_an_encoding() -> None:
    """Python would take the console's, which is cp1252 in the West."""
    root = Path(signals.__file__).parent
    found = [file.name for file in root.rglob("*.py") if ".read_text()" in file.read_text("utf-8")]
    assert not found
