"""Wall time and peak memory of `reunet predict RUN one.png` and `reunet --help`, each in a new process.

Files are in the disk cache, modules compiled to bytecode: each command runs once before it is measured.

    python benchmarks/cold_start.py [--run RUN] [--repeats 10] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import records
from PIL import Image

SIZE = 256
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(command: list[str], output: Path) -> tuple[float, float]:
    """(seconds, peak resident megabytes) of one process; what it wrote to `output` is removed."""
    seconds, peak = records.measured(command, env=ENVIRONMENT)
    shutil.rmtree(output, ignore_errors=True)
    return seconds, peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, help="a finished run; else the standard network, untrained")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = options.run or folder / "run"
        if options.run is None:  # in a process of its own: a child's peak memory starts at its parent's
            program = [sys.executable, str(records.HERE / "standard_run.py")]
            subprocess.run([*program, str(run), str(options.seed)], check=True)
        pixels = np.random.default_rng(options.seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "one.png")
        program = [sys.executable, "-m", "reunet"]
        commands = {
            "predict": [*program, "predict", str(run), str(folder / "one.png"), "-o", str(folder / "out")],
            "help": [*program, "--help"],
        }
        for verb, command in commands.items():
            measure(command, folder / "out")
            samples = [measure(command, folder / "out") for _ in range(options.repeats)]
            seconds, megabytes = (statistics.median(values) for values in zip(*samples, strict=True))
            result[verb] = {"seconds": round(seconds, 3), "peak_megabytes": round(megabytes, 1)}
    key = {"repeats": options.repeats, "seed": options.seed, "run": options.run and options.run.name}
    records.append("cold_start", key, result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
