"""Prediction on a Dask cluster: two workers of one thread against one, the same images in turns, and what a
worker costs that is killed half-way. One line for all repeats.

    python benchmarks/cluster.py [--images 24] [--repeats 3]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import records
from distributed import Client, LocalCluster
from PIL import Image

from reunet.flows.predict.predict import predict

SIDE = 1024


def make_run() -> Path:
    """A run with random weights, like that of benchmarks/scaling.py."""
    folder = records.RUNS / "scaling_image"
    if not (folder / "engine" / "engine.json").is_file():
        script = Path(__file__).with_name("standard_run.py")
        subprocess.run([sys.executable, str(script), str(folder), "0", "batch"], check=True)
    return folder


def digest(folder: Path) -> str:
    """Of all masks."""
    found = hashlib.sha256()
    for file in sorted((folder / "masks").iterdir()):
        found.update(file.name.encode() + file.read_bytes())
    return found.hexdigest()


def timed(run: Path, images: Path, output: Path, address: str) -> float:
    began = time.monotonic()
    result = predict(run, images, output=output, cluster=address, overwrite=True)
    if result.failures:
        raise SystemExit(str(result.failures))
    return time.monotonic() - began


def kill_one(address: str, after: float) -> threading.Thread:
    """Kill a worker in a while."""
    with Client(address, set_as_default=False) as client:
        victim = next(iter(client.run(os.getpid).values()))
    thread = threading.Timer(after, os.kill, (victim, signal.SIGKILL))
    thread.start()
    return thread


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    key = {"images": options.images, "side": SIDE, "repeats": options.repeats}
    if records.is_done("cluster", key):
        return
    records.RUNS.mkdir(exist_ok=True)
    run = make_run()
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(dir=records.RUNS) as folder:
        images, output = Path(folder) / "images", Path(folder) / "out"
        images.mkdir()
        rng = np.random.default_rng(0)
        for number in range(options.images):
            pixels = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(images / f"{number:03d}.png")
        clusters = {
            count: LocalCluster(
                n_workers=count, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
            )
            for count in seconds
        }
        try:
            for cluster in clusters.values():  # each worker loads its engine
                timed(run, images, output, cluster.scheduler_address)
            expected = digest(output)
            for _ in range(options.repeats):
                for count, cluster in clusters.items():
                    seconds[count].append(timed(run, images, output, cluster.scheduler_address))
            address = clusters[2].scheduler_address
            thread = kill_one(address, statistics.median(seconds[2]) / 2)
            killed = timed(run, images, output, address)
            thread.join()
            same = digest(output) == expected
        finally:
            for cluster in clusters.values():
                cluster.close()
    medians = {count: statistics.median(values) for count, values in seconds.items()}
    result = {
        "images_per_second": {count: options.images / value for count, value in medians.items()},
        "speedup": medians[1] / medians[2],
        "seconds": seconds,
        "seconds_with_a_killed_worker": killed,
        "same_masks_with_a_killed_worker": same,
    }
    records.append("cluster", key, result)
    print(f"two workers: {result['speedup']:.2f}x one; one killed: {killed:.0f} s, same masks: {same}")


if __name__ == "__main__":
    main()
