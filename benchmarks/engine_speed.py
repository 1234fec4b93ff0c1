"""Images per second of one network: reunet's engines against PyTorch.

PyTorch: eager, inference mode, batches of 1 and 8, in float32 with channels first, as it ships, and in
bfloat16 with channels last, cast or by autocast. reunet: the exported engine as `reunet predict` uses it, in
f32, bf16 where the CPU computes it, and int8 (needs the extra `int8`). All include the softmax. They take
turns, so that a busy moment of the machine meets all.

    python benchmarks/engine_speed.py [--rounds 15] [--normalisation instance]
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
import records
import torch
from standard_run import SIZE, write_standard_run
from torch import nn
from torch_unet import UNet

from reunet.exporting.int8 import is_installed, quantise
from reunet.inference.openvino_runtime import OpenVINORuntime, native_bf16

BATCH = 8


def parameters(model: nn.Module) -> int:
    """Weights and moving statistics, as Keras counts them."""
    counters = sum(name.endswith("num_batches_tracked") for name in model.state_dict())
    return sum(value.numel() for value in model.state_dict().values()) - counters


def measure(steps: dict[str, Callable[[], int]], rounds: int) -> dict[str, float]:
    """Images per second of each, the median over rounds in which they take turns."""
    for step in steps.values():
        step(), step()
    speeds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            images = step()
            speeds[name].append(images / (time.perf_counter() - began))
    return {name: round(statistics.median(values), 2) for name, values in speeds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--normalisation", choices=("instance", "batch"), default="instance")
    options = parser.parse_args()
    tiles = np.random.default_rng(options.seed).standard_normal((BATCH, SIZE, SIZE, 3), dtype=np.float32)
    channels_first = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)))
    model = nn.Sequential(UNet(options.normalisation), nn.Softmax(1)).eval()

    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        run, count = write_standard_run(Path(folder) / "run", options.seed, options.normalisation)
        if parameters(model) != count:
            raise SystemExit(f"the networks differ: {parameters(model)} and {count} parameters")
        precisions = ["bf16", "f32"] if native_bf16() else ["f32"]
        files = dict.fromkeys(precisions, run.engine_file)
        if is_installed():
            quantise(run.engine_file, run.int8_file, tiles)
            files["int8"] = run.int8_file
        engines = {name: OpenVINORuntime(file, (SIZE, SIZE), name) for name, file in files.items()}

        def ours(name: str) -> Callable[[], int]:
            return lambda: len(engines[name](tiles)["semantic"])

        def theirs(batch: int) -> Callable[[], int]:
            return lambda: len(model(channels_first[:batch]))

        last = channels_first.to(memory_format=torch.channels_last)
        other = copy.deepcopy(model).to(memory_format=torch.channels_last)
        small = copy.deepcopy(other).to(torch.bfloat16)

        def cast(batch: int) -> Callable[[], int]:
            return lambda: len(small(last[:batch].to(torch.bfloat16)).float())

        def autocast(batch: int) -> Callable[[], int]:
            def step() -> int:
                with torch.autocast("cpu", torch.bfloat16):
                    return len(other(last[:batch]).float())

            return step

        steps = {f"reunet {name}": ours(name) for name in files}
        for batch in (1, BATCH):
            steps[f"pytorch f32 batch {batch}"] = theirs(batch)
            steps[f"pytorch bf16 batch {batch}"] = cast(batch)
            steps[f"pytorch autocast batch {batch}"] = autocast(batch)
        speeds = measure(steps, options.rounds)

    def best(*kinds: str) -> float:
        return max(speed for name, speed in speeds.items() if name.split(" batch")[0] in kinds)

    ours_speed = speeds[f"reunet {precisions[0]}"]
    ratios = {
        "to f32 at batch 8": ours_speed / speeds[f"pytorch f32 batch {BATCH}"],
        "to f32 at its best batch": ours_speed / best("pytorch f32"),
        "to bf16 at its best": ours_speed / best("pytorch bf16", "pytorch autocast"),
    }
    if "int8" in files:
        ratios["int8 to bf16"] = speeds["reunet int8"] / ours_speed
    ratios = {name: round(ratio, 2) for name, ratio in ratios.items()}
    result = {"images_per_second": speeds, "ratio": ratios}
    key = {
        "normalisation": options.normalisation,
        "rounds": options.rounds,
        "seed": options.seed,
        "batch": BATCH,
        "size": SIZE,
        "parameters": count,
    }
    records.append("engine_speed", key, result | {"torch_threads": torch.get_num_threads()})
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
