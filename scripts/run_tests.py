"""Run the tests: all of them on the first backend, then those marked `keras` on each other backend.

Keras can be loaded on one backend only, so every backend has its own processes: two, which share the files
of tests. Backends that are not installed are left out, and that is said.
"""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.util import find_spec

BACKENDS = ("tensorflow", "jax", "torch")
PROCESSES = ("-n", "2", "--dist", "loadscope")
"""Two processes; the tests of a file share what they set up."""


def main(slow: bool) -> int:
    backends = [name for name in BACKENDS if find_spec(name) is not None]
    summary = [f"{name}: not installed, left out" for name in BACKENDS if name not in backends]
    failed = False
    for position, backend in enumerate(backends):
        markers = [] if position == 0 else ["keras"]
        markers += [] if slow else ["not slow"]
        command = [sys.executable, "-m", "pytest", "-q", "--backend", backend, *PROCESSES]
        command += ["-m", " and ".join(markers)] if markers else []
        print(f"== {backend}: {' '.join(command[1:])}", flush=True)
        started = time.monotonic()
        status = subprocess.run(command, check=False).returncode
        failed |= status != 0
        outcome = "passed" if status == 0 else f"FAILED (pytest's exit status {status})"
        summary.append(f"{backend}: {outcome} in {time.monotonic() - started:.0f} s")
    print("\n".join(summary))
    return int(failed or not backends)


if __name__ == "__main__":
    sys.exit(main("--slow" in sys.argv[1:]))
