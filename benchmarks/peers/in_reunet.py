"""reunet's own part of the races, in its environment; its work, see worker.py."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
Step = Callable[[int], None]


def prediction(run: str, precision: str) -> tuple[Step, dict[str, Any]]:
    """Probabilities of so many tiles by the engine of a run, as `reunet predict` calls it."""
    from reunet.contracts.run import RunFolder
    from reunet.inference.openvino_runtime import OpenVINORuntime, native_bf16

    folder = RunFolder(Path(run))
    plan = folder.plan()
    if precision == "default":
        precision = "bf16" if native_bf16() else "f32"
    file = folder.int8_file if precision == "int8" else folder.engine_file
    engine, rng = OpenVINORuntime(file, plan.engine_input, precision), np.random.default_rng(0)

    def step(batch: int) -> None:
        engine(rng.standard_normal((batch, *plan.inference.tile, plan.input.channels), dtype=np.float32))

    return step, {"precision": precision}


def training(
    kind: str, precision: str = "bfloat16", width: int = 16, axes: int = 2
) -> tuple[Step, dict[str, Any]]:
    """A step of the plain U-Net on so many patches, as `reunet train` makes it. kind: of normalisation."""
    from reunet.backend import use_backend

    use_backend("tensorflow")
    from standard_run import FILTERS, standard_plan, volume_plan

    from reunet.training.compile import compiled_network
    from reunet.training.precision import training_precision

    plan = standard_plan(0, kind) if axes == 2 else volume_plan(2, (64,) * 3)
    most = 1024 if axes == 2 else 320
    filters = tuple(min(width * 2**level, most) for level in range(len(FILTERS)))
    network = plan.network.model_copy(update={"filters": filters, "normalisation": kind})
    plan = plan.model_copy(update={"precision": precision, "network": network})
    model, rng = compiled_network(plan), np.random.default_rng(0)

    def step(batch: int) -> None:
        images = rng.standard_normal((batch, *plan.patch, network.in_channels), dtype=np.float32)
        labels = {"semantic": rng.integers(0, 2, (batch, *plan.patch)).astype(np.int32)}
        with training_precision(plan.precision):
            model.train_on_batch(images, labels)

    return step, {"parameters": model.count_params(), "precision": precision}


def engine(run: str, side: int, told: str) -> None:
    """The engine alone on as many tiles as an image of that side has; its seconds into `told`."""
    from reunet.inference.load import load

    predictor = load(run)
    count = prod(len(axis.starts) for axis in predictor.tiling.cut((side, side)))
    batch = np.zeros((predictor.tiling.batch, *predictor.tiling.tile, 3), np.float32)
    predictor.runtime(batch)
    began = time.perf_counter()
    for _ in range(-(-count // len(batch))):
        predictor.runtime(batch)
    share = count / (-(-count // len(batch)) * len(batch))
    seconds = (time.perf_counter() - began) * share
    Path(told).write_text(json.dumps({"seconds": seconds, "tiles": count}))
