"""From maps of a large image to its objects: seconds and peak memory above the maps, in a new process.

Maps are what a network should give for touching ellipses, with noise; 1,024 of them per 1000 x 1000 pixels.

    python benchmarks/decoding.py [--side 10000] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import records

from reunet.contracts.labels import Classes, LabelMap, default_classes
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.contracts.truth import Truth
from reunet.tasks import task
from reunet.tasks.base import Maps

TILE, PITCH, NOISE = 500, 32, 0.05


def ellipses(random: np.random.Generator) -> np.ndarray:
    """(TILE, TILE) int32: one ellipse per PITCH x PITCH pixels; many touch."""
    tile = np.zeros((TILE, TILE), np.int32)
    middles = range(PITCH // 2, TILE, PITCH)
    for number, (y, x) in enumerate(((y, x) for y in middles for x in middles), start=1):
        centre = int(x + random.integers(-1, 2)), int(y + random.integers(-1, 2))
        axes = int(random.integers(9, 15)), int(random.integers(9, 17))
        cv2.ellipse(tile, centre, axes, float(random.uniform(0, 180)), 0, 360, number, -1)
    return tile


def activated(head: HeadSpec, target: np.ndarray) -> np.ndarray:
    """What a good network gives for a target: (*space, channels) float32."""
    if head.activation == "softmax":
        return np.eye(head.channels, dtype=np.float32)[target] * 0.9 + np.float32(0.1 / head.channels)
    return np.nan_to_num(target).astype(np.float32)


def decode(side: int, seed: int) -> dict[str, float]:
    """Decode one image; run in a process of its own, whose peak memory it reads."""
    random = np.random.default_rng(seed)
    classes = Classes(LabelMap(classes=default_classes([0, 1])))
    instances, tile, times = task("instances"), ellipses(random), side // TILE
    targets, heads = instances.targets(Truth(objects=tile), classes), {}
    for head in instances.heads(classes, 2):
        values = np.tile(activated(head, targets[head.name]), (times, times, 1))
        for row in values:
            row += random.standard_normal(row.shape, dtype=np.float32) * np.float32(NOISE)
        heads[head.name] = values
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    began, cpu = time.perf_counter(), time.process_time()
    found = instances.decode(Maps(heads, (side, side)), classes, Calibration()).instances
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "side": side,
        "true objects": int(tile.max()) * times**2,
        "found objects": int(found.max()) if found is not None else 0,
        "seconds": round(seconds, 1),
        "processor seconds": round(cpu, 1),
        "gigabytes above the maps": round((peak - before) / 1e9, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(decode(options.side, options.seed)))
        return
    key = {"task": "instances", "side": options.side, "seed": options.seed}
    if not records.is_done("decoding", key):
        child = subprocess.run([sys.executable, *sys.argv, "--child"], check=True, stdout=subprocess.PIPE)
        records.append("decoding", key, json.loads(child.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
