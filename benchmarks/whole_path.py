"""The whole path on a large image, from TIFF to TIFF: reunet with all around its engine against the engine
alone, and, given `--peers`, against the sliding windows of MONAI and nnU-Net on an equal network in PyTorch.

The pieces take turns. Normalisation by the image's mean and deviation, tiles of 256 x 256 that overlap by a
quarter, Gaussian weights, two classes.

    python benchmarks/whole_path.py [--side 10000] [--rounds 3] [--peers DIR/bin/python]
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
import time
from math import prod
from pathlib import Path

import numpy as np
import records
import tifffile
from standard_run import SIZE

from reunet import load
from reunet.flows.predict.predict import predict
from reunet.inference.predictor import Predictor

HERE = Path(__file__).resolve().parent


def make_run() -> Path:
    """The standard network with Batch Normalisation and random weights."""
    folder = records.RUNS / "scaling_image"
    if not (folder / "engine" / "engine.json").is_file():
        subprocess.run([sys.executable, HERE / "standard_run.py", folder, "0", "batch"], check=True)
    return folder


def make_image(file: Path, side: int) -> None:
    """Soft waves with noise, (side, side, 3) uint8, tiled and compressed."""
    rng = np.random.default_rng(0)
    waves = (np.sin(np.arange(side) / 17.0)[:, None] + np.sin(np.arange(side) / 23.0)) * 50 + 110
    noise = rng.integers(0, 16, (side, side, 3), np.uint8)
    pixels = noise + waves[..., None].astype(np.uint8)
    tifffile.imwrite(file, pixels, photometric="rgb", tile=(512, 512), compression="zlib")


def engine_alone(predictor: Predictor, tiles: int) -> float:
    """Seconds that the engine takes for so many tiles."""
    batch = np.random.default_rng(0).normal(size=(predictor.tiling.batch, SIZE, SIZE, 3)).astype(np.float32)
    predictor.runtime(batch)
    count = -(-tiles // len(batch))
    began = time.perf_counter()
    for _ in range(count):
        predictor.runtime(batch)
    return (time.perf_counter() - began) * tiles / (count * len(batch))


def whole(run: Path, image: Path, output: Path) -> float:
    shutil.rmtree(output, ignore_errors=True)
    began = time.perf_counter()
    result = predict(run, image, output=output)
    if result.failures:
        raise SystemExit(str(result.failures))
    return time.perf_counter() - began


def peer(python: Path, name: str, image: Path, output: Path) -> float:
    """Seconds of a peer, without the start of its process and the loading of its libraries."""
    done = subprocess.run(
        [python, HERE / "sliding_window_run.py", name, image, output],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="Python of an environment with torch, monai, nnunetv2")
    options = parser.parse_args()
    names = ("monai", "nnunet") if options.peers else ()
    key = {"side": options.side, "rounds": options.rounds, "peers": list(names)}
    if records.is_done("whole_path", key):
        return
    records.RUNS.mkdir(exist_ok=True)
    run = make_run()
    predictor = load(run)
    assert isinstance(predictor, Predictor)
    size = (options.side,) * 2
    tiles = prod(len(axis.starts) for axis in predictor.tiling.cut(size))
    seconds: dict[str, list[float]] = {"reunet": [], "engine": []} | {name: [] for name in names}
    with tempfile.TemporaryDirectory(dir=records.RUNS) as folder:
        image, output = Path(folder) / "image.tif", Path(folder) / "out"
        make_image(image, options.side)
        for number in range(options.rounds):
            seconds["reunet"].append(whole(run, image, output))
            seconds["engine"].append(engine_alone(predictor, tiles))
            for name in names if number == 0 else ():  # each takes minutes: once
                seconds[name].append(peer(options.peers, name, image, Path(folder) / "peer.tif"))
            print(
                {name: [round(value, 1) for value in values] for name, values in seconds.items()}, flush=True
            )
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    result = {
        "tiles": tiles,
        "precision": predictor.runtime.precision,
        "tiles_per_second": {name: round(tiles / value, 2) for name, value in medians.items()},
        "share_of_the_engine": round(medians["engine"] / medians["reunet"], 3),
        "times_as_fast_as": {name: round(medians[name] / medians["reunet"], 2) for name in names},
        "seconds": {name: [round(value, 2) for value in values] for name, values in seconds.items()},
    }
    records.append("whole_path", key, result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
