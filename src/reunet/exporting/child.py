"""Run a part of the export in a process of its own: Keras has one backend per process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import reunet
from reunet.errors import BackendError
from reunet.signals import ends_with_us


def run_child(backend: str, *arguments: object, task: str, fix: str) -> None:
    """`python -m reunet.exporting.BACKEND_child ARGUMENTS...` with Keras on `backend`.

    task: what it does, for the error. Raises BackendError, with the last lines it wrote, when it fails.
    """
    with open_child(backend, *arguments, task=task, fix=fix):
        pass


@contextmanager
def open_child(backend: str, *arguments: object, task: str, fix: str) -> Iterator[Callable[[str], None]]:
    """The same for as long as it is needed: gives a function that tells the process a word and waits until it
    says so, too. It ends when its input does.
    """
    with (
        tempfile.TemporaryFile("w+", errors="replace") as told,
        subprocess.Popen(
            [sys.executable, "-P", "-m", f"reunet.exporting.{backend}_child", *map(str, arguments)],
            env=environment_of(backend),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        ) as child,
        ends_with_us(child),
    ):
        try:
            yield partial(_ask, child)
            child.communicate()
        except _EndedError:
            child.wait()
        except BaseException:
            child.kill()
            raise
        else:
            if child.returncode == 0:
                return
        told.seek(0)
        ended = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
        raise BackendError(
            f"{task} failed",
            received="; ".join(told.read().strip().splitlines()[-3:]) or f"the process ended with {ended}",
            fix=fix,
        )


def environment_of(backend: str) -> dict[str, str]:
    """Of a process of ours with Keras on `backend`, which finds this package wherever it lies."""
    package_root = str(Path(reunet.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path}


class _EndedError(Exception):
    """A process ended that was to answer."""


def _ask(child: subprocess.Popen[str], word: str) -> None:
    said = None
    with suppress(BrokenPipeError):
        print(word, file=child.stdin, flush=True)
    while child.stdout and said != word:  # libraries print, too
        if not (line := child.stdout.readline()):
            raise _EndedError
        said = line.strip()
