"""Results as JSON lines: one per finished run, appended and synced, so that an interruption loses one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reunet.machine import describe, versions

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
RUNS = HERE / "runs"
DATA = HERE.parent.parent / "shared" / "data"
"""The reference datasets, if they lie beside the repository; else `--data` names their folder."""


def read(name: str) -> list[dict[str, Any]]:
    """All lines of a result file, oldest first."""
    file = RESULTS / f"{name}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def append(name: str, key: dict[str, Any], result: dict[str, Any]) -> None:
    """Add one line: what was run (`key`), what came out, on what and when."""
    line = {
        "key": key,
        "result": result,
        "command": " ".join(
            ["python", os.path.relpath(sys.argv[0], HERE.parent), *map(_shown, sys.argv[1:])]
        ),
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe(),
        "versions": versions(),
    }
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / f"{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _shown(word: str) -> str:
    """A word of the command as it is kept: of a path that only this machine has, the last part."""
    path = Path(word)
    return path.name if path.is_absolute() else word


def is_done(name: str, key: dict[str, Any]) -> bool:
    """Whether this run has a line already."""
    return any(line["key"] == key for line in read(name))


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    head = list(header)
    lines = [head, ["---"] * len(head), *[[str(cell) for cell in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


class Took(NamedTuple):
    """Of a process: seconds by the clock and of the processor, and the most bytes that were resident."""

    seconds: float
    cpu: float
    peak: int


def measured(command: Sequence[str | Path], **more: Any) -> Took:
    """What a command in a process of its own takes. Raises when it fails."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more) as process:
        said = process.stderr.read() if process.stderr else b""
        took = ended(process)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{said.decode()}")
    return took._replace(seconds=time.perf_counter() - began)


def ended(process: subprocess.Popen[Any]) -> Took:
    """What a process that is about to end took, but for the clock."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Took(0.0, usage.ru_utime + usage.ru_stime, peak)


def reunet(*arguments: str | Path) -> None:
    """Run the command line as a user would; its output goes to ours. Raises when it fails."""
    subprocess.run([sys.executable, "-m", "reunet", *map(str, arguments)], check=True)
