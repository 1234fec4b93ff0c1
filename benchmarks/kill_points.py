"""A shim around every write, fsync, rename, mkdir and removal below a folder, and a kill at any of them.

Python's own calls are wrapped, before and after; what C libraries do between them is covered by those, since
a file of theirs is temporary until a call of ours publishes it.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reunet import storage

CALLS = ("fsync", "rename", "replace", "mkdir", "unlink", "remove", "rmdir", "posix_fallocate", "write")
"""Of `os`."""


class Points:
    """Counts the moments before and after each call that concerns `root`; at number `kill` the process dies.

    log: what each moment was, "before rename .../weights".
    """

    def __init__(self, root: Path, kill: int | None = None) -> None:
        self.root, self.kill = str(root), kill
        self.log: list[str] = []

    def moment(self, when: str, what: str, where: object) -> None:
        """Another moment."""
        path = str(where)
        if os.path.isabs(path) and not path.startswith(self.root):
            return
        self.log.append(f"{when} {what} {path.removeprefix(self.root)}")
        if len(self.log) - 1 == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, owner: Any, name: str) -> None:
        """Put moments around a function."""
        real = getattr(owner, name)

        def wrapped(*arguments: Any, **more: Any) -> Any:
            where = self._path(arguments[-1] if name in ("rename", "replace", "_swap") else arguments[0])
            self.moment("before", name, where)
            result = real(*arguments, **more)
            self.moment("after", name, where)
            return result

        setattr(owner, name, wrapped)

    @staticmethod
    def _path(of: object) -> str:
        if not isinstance(of, int):
            return os.path.abspath(os.fsdecode(of)) if isinstance(of, (str, bytes, os.PathLike)) else "?"
        try:
            return os.readlink(f"/proc/self/fd/{of}")
        except OSError:
            return "?"

    def install(self) -> None:
        """From here on, in this process."""
        for name in CALLS:
            self.wrap(os, name)
        self.wrap(storage, "_swap")
        points = self

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                points.moment("before", "write", points._path(self.name))
                # In two halves, so that a file can be seen with one of them.
                view = memoryview(data).cast("B")
                half = len(view) // 2
                done = super().write(view[:half]) if half else 0
                points.moment("amid", "write", points._path(self.name))
                done = done + (super().write(view[half:]) or 0)
                points.moment("after", "write", points._path(self.name))
                return done

        real = io.open

        def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
            path = points._path(file)
            if not set(mode) & set("wax+") or not path.startswith(points.root) or isinstance(file, int):
                return real(file, mode, buffering, *rest, **more)
            points.moment("before", "open", path)
            raw = File(path, mode.replace("b", "").replace("t", ""))
            points.moment("after", "open", path)
            if "b" in mode:
                if buffering == 0:
                    return raw
                return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            names = ("encoding", "errors", "newline")
            return io.TextIOWrapper(io.BufferedWriter(raw), **dict(zip(names, rest, strict=False)), **more)

        io.open = builtins.open = opened  # type: ignore[assignment]


def forked(work: Callable[[], object], root: Path, kill: int | None, log: Path) -> tuple[int, list[str]]:
    """Do some work in a copy of this process, which is killed at one of its moments below `root`.

    Returns the exit code, -9 if it was killed, and the moments, if it was not.
    """
    process = os.fork()
    if process == 0:
        code = 1
        try:
            with open(log.with_suffix(".err"), "w") as told:
                os.dup2(told.fileno(), 2), os.dup2(told.fileno(), 1)
            points = Points(root, kill)
            points.install()
            code = int(work() or 0)  # type: ignore[call-overload]
            points.kill = None
            log.write_text("\n".join(points.log))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code, log.read_text().splitlines() if code == 0 and kill is None else []
