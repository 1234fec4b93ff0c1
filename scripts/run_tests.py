"""Run the tests: all of them on the first backend, then those marked `keras` on each other backend; with
--slow those marked `keras_slow` there, too.

Keras can be loaded on one backend only, so every backend has its own processes: two, which share the files
of tests. Backends that are not installed are left out, and that is said.

    python scripts/run_tests.py [--slow | --fast] [--coverage] [PATH ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BACKENDS = ("tensorflow", "jax", "torch")
PROCESSES = ("-n", "2", "--dist", "loadscope", "--no-loadscope-reorder", "--max-worker-restart", "0")
"""Two processes; the tests of a file share what they set up, and conftest.py orders the files. One that dies
ends the run: with another in its place the rest may wait for ever.
"""

COVERAGE = ("--cov=reunet", "--cov-report=term:skip-covered", "--cov-report=xml")


def main() -> int:
    options = parse()
    backends = [name for name in BACKENDS if find_spec(name) is not None]
    summary = [f"{name}: not installed, left out" for name in BACKENDS if name not in backends]
    if options.fast or options.coverage or options.paths:
        backends, summary = backends[:1], []
    failed = False
    for backend in backends:
        arguments = ["--backend", backend, *PROCESSES, "--durations", "25", "--durations-min", "1"]
        if options.fast:
            arguments.append("--fast")
        if options.coverage:
            arguments += COVERAGE
        markers = [] if options.slow else ["not slow"]
        paths = options.paths
        if backend != backends[0]:
            markers.append("(keras or keras_slow)" if options.slow else "keras")
            paths = files_marked("keras")
        if markers:
            arguments += ["-m", " and ".join(markers)]
        print(
            f"== {backend}: pytest {' '.join(arguments)}, {len(paths) or 'all'} files or folders", flush=True
        )
        started = time.monotonic()
        status = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *arguments, *paths], check=False
        ).returncode
        failed |= status != 0
        outcome = "passed" if status == 0 else f"FAILED (pytest's exit status {status})"
        summary.append(f"{backend}: {outcome} in {time.monotonic() - started:.0f} s")
    print("\n".join(summary))
    return int(failed or not backends)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--slow", action="store_true", help="with the tests marked `slow`")
    which.add_argument("--fast", action="store_true", help="only what needs no training framework")
    parser.add_argument("--coverage", action="store_true", help="tell which lines and branches are reached")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only these, on the first backend")
    return parser.parse_args()


def files_marked(marker: str) -> list[str]:
    """The files with a test of that marker: to collect all others would take longer than to run some."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if f"mark.{marker}" in file.read_text("utf-8")]


if __name__ == "__main__":
    sys.exit(main())
