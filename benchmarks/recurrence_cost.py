"""What recurrence costs on a CPU: training steps of a hybrid against its control, and the parallel scan.

The two networks have equal parameters and take turns, so that a busy moment of the machine meets both.

    python benchmarks/recurrence_cost.py [--rounds 15] [--backend tensorflow]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import records

from reunet.backend import use_backend
from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import LossSpec

CELLS = ("min_gru", "simple_rnn", "gru", "lstm")
LENGTHS = (16, 32, 64, 128, 256)
SIDE, BATCH, FILTERS = 256, 4, (16, 32, 64, 128, 256)
SEQUENCES, UNITS = 64, 128


def in_turns(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median seconds of each, over rounds in which they take turns; the first three calls do not count."""
    for step in steps.values():
        step(), step(), step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


def training_step(config: NetworkConfig) -> Callable[[], None]:
    """One training step of a network on a fixed batch, as `reunet train` makes it."""
    import keras

    from reunet.losses import SegmentationLoss
    from reunet.networks import build_network
    from reunet.training.precision import training_precision

    rng = np.random.default_rng(0)
    images = rng.normal(size=(BATCH, SIDE, SIDE, config.in_channels)).astype("float32")
    labels = rng.integers(0, 2, (BATCH, SIDE, SIDE)).astype("int32")
    model = build_network(config)
    model.compile(
        keras.optimizers.AdamW(1e-3),
        {"semantic": SegmentationLoss(LossSpec(), (1,))},
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )

    def step() -> None:
        with training_precision("bfloat16" if keras.backend.backend() == "tensorflow" else "float32"):
            model.train_on_batch(images, {"semantic": labels})

    return step


def hybrid_and_control(cell: str) -> dict[str, NetworkConfig]:
    from reunet.networks.controls import control_of
    from reunet.networks.presets import configure

    hybrid = configure(
        "cnn_rnn_unet",
        in_channels=3,
        heads=({"channels": 2},),
        filters=FILTERS,
        normalisation="instance",
        recurrence={"cell": cell},
    )
    return {"hybrid": hybrid, "control": control_of(hybrid)}


def scan_step(cell: str, length: int) -> Callable[[], None]:
    """Forward and backward through one recurrent layer."""
    import keras

    from reunet.networks.recurrence import Recurrence

    sequence = keras.Input((length, UNITS))
    model = keras.Model(sequence, Recurrence(cell, UNITS)(sequence)[0])
    model.compile("sgd", "mse", jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
    x = np.random.default_rng(0).normal(size=(SEQUENCES, length, UNITS)).astype("float32")
    return lambda: model.train_on_batch(x, x) and None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--backend", default="tensorflow")
    arguments = parser.parse_args()
    use_backend(arguments.backend)
    for cell in CELLS:
        key = {
            "what": "training step",
            "cell": cell,
            "backend": arguments.backend,
            "rounds": arguments.rounds,
        }
        if not records.is_done("recurrence_cost", key):
            from reunet.networks.controls import count_parameters

            configs = hybrid_and_control(cell)
            seconds = in_turns({k: training_step(c) for k, c in configs.items()}, arguments.rounds)
            result = {
                "seconds": seconds,
                "ratio": round(seconds["hybrid"] / seconds["control"], 3),
                "parameters": {k: count_parameters(c) for k, c in configs.items()},
            }
            records.append("recurrence_cost", key, result)
            print(json.dumps(key | result))
    for length in LENGTHS:
        key = {"what": "scan", "length": length, "backend": arguments.backend, "rounds": arguments.rounds}
        if not records.is_done("recurrence_cost", key):
            steps = {cell: scan_step(cell, length) for cell in ("min_gru", "gru")}
            seconds = in_turns(steps, arguments.rounds)
            result = {"seconds": seconds, "gru_over_min_gru": round(seconds["gru"] / seconds["min_gru"], 2)}
            records.append("recurrence_cost", key, result)
            print(json.dumps(key | result))


if __name__ == "__main__":
    main()
