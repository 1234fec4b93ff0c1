"""One execution of a reader: a file is written and read; whatever happens but a ReunetError is a finding."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reunet.errors import ReunetError

from .mutations import FOLDER, unpack

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

STATM = Path("/proc/self/statm")
MOST_SECONDS = 2.0
MOST_BYTES = 500 << 20
MOST_PIXELS = 4_000_000
"""The house's limit of pixels while it is fuzzed, a hundredth of the real one: memory is bounded by it."""


@dataclass(frozen=True)
class Reader:
    """What is fuzzed.

    file: name of the file or folder that is read. read: what users do with it. seeds: small valid files, and
    odd ones. modules: of reunet, whose branches are to be reached. beside: writes what must be there.
    """

    name: str
    file: str
    read: Callable[[Path], object]
    seeds: Callable[[], Iterable[bytes]]
    modules: tuple[str, ...]
    beside: Callable[[Path], object] = lambda folder: None


class TooLong(BaseException):
    """Raised inside of a reader that has used up its time; nothing is to catch it."""


@dataclass
class Trials:
    """Executions of one reader in `folder`, which had better be in memory; findings go to `found`.

    is_alone: in a process of its own, whose memory may be limited for good. is_traced: by what keeps memory
    of its own for all that it sees, so that what files leave of memory is not known. most_bytes: of memory
    that a file took, with what those before it left. what: kind and place of every finding, with how often
    it was met.
    """

    reader: Reader
    folder: Path
    found: Path | None = None
    is_alone: bool = True
    is_traced: bool = False
    most_seconds: float = MOST_SECONDS
    executions: int = 0
    slowest: float = 0.0
    most_bytes: int = 0
    what: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.reader.beside(self.folder)
        self.path = self.folder / self.reader.file
        self._is_folder = any(one.startswith(FOLDER) for one in self.reader.seeds())
        self._left = 0
        if self.is_alone:
            limit_memory()

    def __call__(self, data: bytes) -> str | None:
        """Read `data`; the kind and place of what went wrong, None when nothing did."""
        if not self._write(data):
            return None
        self.executions += 1
        before = resident()
        most_resident(reset=True)
        began = time.process_time()
        wrong, said = None, ""
        try:
            with limited(self.most_seconds):
                self.reader.read(self.path)
        except ReunetError as cause:
            wrong = refusal(cause)
        except TooLong as cause:
            wrong = f"more than {self.most_seconds:g} s at {place(cause)}"
        except BaseException as cause:  # that is what is looked for
            if isinstance(cause, KeyboardInterrupt):
                raise
            wrong = f"{type(cause).__name__} at {place(cause)}"
            said = str(cause)[:200]
        self.slowest = max(self.slowest, seconds := time.process_time() - began)
        grown = self._left + most_resident() - before
        if not self.is_traced:
            self._left += resident() - before
        self.most_bytes = max(self.most_bytes, grown)
        if wrong is None and seconds > self.most_seconds:
            wrong = f"more than {self.most_seconds:g} s, {self.reader.name}"
        if self.is_alone and grown > MOST_BYTES:
            wrong = wrong or f"more than {MOST_BYTES >> 20} MB, {self.reader.name}"
        if wrong is not None:
            self._keep(wrong, said, data)
        return wrong

    def _write(self, data: bytes) -> bool:
        if not data.startswith(FOLDER):
            if self._is_folder:
                return False
            self.path.write_bytes(data)
            return True
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        try:
            for name, content in unpack(data).items():
                file = self.path / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        except (ValueError, OSError):  # no folder any more
            return False
        return True

    def _keep(self, wrong: str, said: str, data: bytes) -> None:
        self.what[wrong] = self.what.get(wrong, 0) + 1
        if self.found is not None and self.what[wrong] == 1:
            self.found.mkdir(parents=True, exist_ok=True)
            name = f"{self.reader.name}-{hashlib.sha256(wrong.encode()).hexdigest()[:8]}"
            suffix = ".folder" if data.startswith(FOLDER) else "".join(self.path.suffixes)
            (self.found / (name + suffix)).write_bytes(data)
            (self.found / (name + ".what")).write_text(
                f"{wrong}\n{said}\n", encoding="utf-8", errors="replace"
            )


def refusal(cause: BaseException | None) -> str | None:
    """What is wrong with a ReunetError: it hides that memory ran out (FFmpeg calls so what it refuses)."""
    while cause is not None:
        if isinstance(cause, MemoryError) and not type(cause).__module__.startswith("av."):
            return f"memory ran out at {place(cause)}"
        cause = cause.__cause__
    return None


def refused(action: Callable[[], object]) -> object:
    """What an action gives, None where it refuses its file, which is right."""
    try:
        return action()
    except ReunetError as cause:
        if (wrong := refusal(cause)) is not None:
            raise MemoryError(wrong) from cause
        return None


def place(cause: BaseException) -> str:
    """Where in the house something was raised."""
    frames = traceback.extract_tb(cause.__traceback__)
    ours = [one for one in frames if f"{os.sep}reunet{os.sep}" in one.filename] or frames
    return f"{ours[-1].filename.rpartition(f'{os.sep}src{os.sep}')[2]}:{ours[-1].lineno}" if ours else "?"


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooLong after so much processor time, where signals reach Python."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        # By default the signal ends the process, and other threads may be given one that is on its way.
        signal.signal(signal.SIGPROF, signal.SIG_IGN if before == signal.SIG_DFL else before)


def resident() -> int:
    """Bytes of memory that this process has now; 0 where the system does not tell."""
    try:
        return int(STATM.read_bytes().split()[1]) * resource.getpagesize()
    except (OSError, AttributeError):
        return 0


def most_resident(*, reset: bool = False) -> int:
    """The most bytes of memory there were at once since the last reset."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    except (OSError, AttributeError):
        return 0


def limit_memory(more: int = 2 << 30) -> None:
    """Let this process take so many bytes more, no others: a bomb is to hurt nobody else."""
    try:
        pages = int(STATM.read_bytes().split()[0])
        resource.setrlimit(
            resource.RLIMIT_AS, (pages * resource.getpagesize() + more, resource.RLIM_INFINITY)
        )
    except (OSError, AttributeError):
        return


def fewer_pixels(change: Callable[[object, str, int], object] = setattr) -> None:
    """Lower the limit of pixels, and of pieces of them, in every room that knows it."""
    limits = {"MAX_PIXELS": MOST_PIXELS, "MOST_PIECES": 1000}
    for name, module in list(sys.modules.items()):
        for limit in limits if name.startswith("reunet.") else ():
            if hasattr(module, limit):
                change(module, limit, limits[limit])
