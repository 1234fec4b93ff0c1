"""Train and predict on a device, and hold its masks against the CPU's: under 6 minutes where there is a GPU.

    python benchmarks/accelerator.py [--device gpu] [--minutes 1.5] [--backend jax] [--seed 0]

`--device cpu --minutes 0.3` checks the script itself where there is no GPU. Every command is a process of its
own, as users start it; seconds of predictions contain the start. The exit code is 1 where masks differ by
more than 2,000 pixels of a million.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import records
from PIL import Image

from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.datasets.synthetic import make_microscopy

MOST_DIFFERING_PPM = 2000
TRAIN_IMAGES, TEST_IMAGES = 24, 12


def reunet(*words: str | Path) -> float:
    """Seconds of a command in a process of its own, which tells the terminal. Raises when it fails."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "reunet", *map(str, words)], check=True, stdout=sys.stderr)
    return round(time.monotonic() - began, 2)


def differing_ppm(one: Path, other: Path) -> float:
    """Pixels of a million that differ between the masks of two predictions of the same images."""
    differ = pixels = 0
    names = sorted(file.name for file in (one / "masks").iterdir())
    assert names == sorted(file.name for file in (other / "masks").iterdir())
    for name in names:
        masks = [np.asarray(Image.open(folder / "masks" / name)) for folder in (one, other)]
        differ += int(np.count_nonzero(masks[0] != masks[1]))
        pixels += masks[0].size
    return round(1e6 * differ / pixels, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--backend", default=None)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    device = ["--device", options.device]
    backend = [] if options.backend is None else ["--backend", options.backend]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, run = folder / "data", folder / "run"
        data.mkdir()
        make_microscopy(data, train=TRAIN_IMAGES, test=TEST_IMAGES, seed=options.seed)
        budget = ["--task", "semantic", "--minutes", f"{options.minutes:g}", "--seed", str(options.seed)]
        reunet("train", data, "-o", run, *budget, *device, *backend)
        images = data / "test" / "images"
        engine = ["--engine", "keras"] if options.device == "cpu" else []
        ways = {
            options.device: [*device, *engine],
            "keras on the CPU": ["--device", "cpu", "--engine", "keras"],
            "openvino f32 on the CPU": ["--engine", "openvino", "--precision", "f32"],
        }
        seconds = {way: reunet("predict", run, images, "-o", folder / way, *how) for way, how in ways.items()}
        differ = {way: differing_ppm(folder / options.device, folder / way) for way in [*ways][1:]}
        last = (RunFolder(run).history() or [{}])[-1]  # no row where there was no time for a step
        plan = Plan.read(run / "plan.json")
        result = {
            "steps": int(last.get("step", 0)), "epochs": float(last.get("epoch", 0)),
            "val_score": last.get("val_score"),
            "backend": plan.backend, "precision": plan.precision, "batch": plan.batch,
            "filters": plan.network.filters[0], "predict_seconds": seconds, "masks_differ_ppm": differ,
        }  # fmt: skip
    records.append("accelerator", vars(options), result)
    print(json.dumps(result, indent=1))
    return int(max(differ.values()) > MOST_DIFFERING_PPM)


if __name__ == "__main__":
    sys.exit(main())
