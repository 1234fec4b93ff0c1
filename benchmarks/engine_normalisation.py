"""What a normalisation costs the prediction engine: images per second of the same network, in turn.

Uses the engines that `normalisation.py` trained and exported.

    python benchmarks/engine_normalisation.py
"""

from __future__ import annotations

import json
import statistics
import time

import numpy as np
import records

from reunet.contracts.run import RunFolder
from reunet.inference.openvino_runtime import OpenVINORuntime

KINDS = ("batch", "instance", "group")
ROUNDS = 15
BATCH = 8


def main() -> None:
    key = {"set": "dsb2018_nuclei", "batch": BATCH, "rounds": ROUNDS}
    if records.is_done("engine_normalisation", key):
        return
    seconds: dict[str, list[float]] = {}
    engines = {}
    for kind in KINDS:
        run = RunFolder(records.RUNS / f"normalisation-dsb2018_nuclei-{kind}-0")
        plan = run.plan()
        for precision in ("bf16", "f32"):
            engines[f"{kind} {precision}"] = OpenVINORuntime(run.engine_file, plan.inference.tile, precision)
    tiles = np.random.default_rng(0).standard_normal((BATCH, 256, 256, 3), dtype=np.float32)
    for engine in engines.values():
        engine(tiles)
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            began = time.perf_counter()
            engine(tiles)
            seconds.setdefault(name, []).append(time.perf_counter() - began)
    speeds = {name: round(BATCH / statistics.median(times), 1) for name, times in seconds.items()}
    records.append("engine_normalisation", key, {"images_per_second": speeds})
    print(json.dumps(speeds, indent=1))


if __name__ == "__main__":
    main()
