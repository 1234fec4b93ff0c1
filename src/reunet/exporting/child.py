"""Run a part of the export in a process of its own: Keras has one backend per process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import reunet
from reunet.errors import BackendError
from reunet.signals import ends_with_us


def run_child(backend: str, *arguments: object, task: str, fix: str) -> None:
    """`python -m reunet.exporting.BACKEND_child ARGUMENTS...` with Keras on `backend`.

    task: what it does, for the error. Raises BackendError, with the last lines it wrote, when it fails.
    """
    package_root = str(Path(reunet.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    settings = {"KERAS_BACKEND": backend, "PYTHONPATH": path}
    with (
        subprocess.Popen(
            [sys.executable, "-P", "-m", f"reunet.exporting.{backend}_child", *map(str, arguments)],
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as child,
        ends_with_us(child),
    ):
        try:
            told = child.communicate()[1]
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        ended = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
        raise BackendError(
            f"{task} failed",
            received="; ".join(told.strip().splitlines()[-3:]) or f"the process ended with {ended}",
            fix=fix,
        )
