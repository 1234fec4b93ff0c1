"""Training steps of one network: reunet, PyTorch as it ships, and PyTorch tuned, in turns.

    python benchmarks/training_step.py [--rounds 15] [--torch PEERS/bin/python]

Each has a process of its own and computes only when it is its turn. Widths of reunet alone, and other
people's processors by what oneDNN may use of this one:

    python benchmarks/training_step.py --widths [--isa AVX2]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import records

ARMS = ("reunet", "pytorch as it ships", "pytorch tuned", "pytorch tuned and compiled")
WIDTHS = {2: (16, 24, 32, 48, 64), 3: (8, 16, 24, 32)}
SIDE, LEVELS = {2: 256, 3: 64}, 5
BATCH = {2: 4, 3: 2}
WARM_UP = 4


def reunet_step(width: int, batch: int, rank: int, precision: str) -> Callable[[], None]:
    """A step of the plain U-Net with Instance Normalisation on a fixed batch, as `reunet train` makes it."""
    from reunet.backend import use_backend

    use_backend("tensorflow")
    from standard_run import standard_plan, volume_plan

    from reunet.training.compile import compiled_network
    from reunet.training.precision import training_precision

    plan = standard_plan(0, "instance") if rank == 2 else volume_plan(2, (SIDE[3],) * 3)
    most = 1024 if rank == 2 else 320
    filters = tuple(min(width * 2**level, most) for level in range(LEVELS))
    network = plan.network.model_copy(update={"filters": filters, "normalisation": "instance"})
    plan = plan.model_copy(update={"batch": batch, "precision": precision, "network": network})
    model, rng = compiled_network(plan), np.random.default_rng(0)
    images = rng.normal(size=(batch, *plan.patch, network.in_channels)).astype(np.float32)
    labels = {"semantic": rng.integers(0, 2, (batch, *plan.patch)).astype(np.int32)}

    def step() -> None:
        with training_precision(plan.precision):
            model.train_on_batch(images, labels)

    return step


def torch_step(batch: int, arm: str) -> Callable[[], None]:
    """The same network, optimiser and cross-entropy in PyTorch; tuned: bfloat16 and channels last."""
    import torch
    from torch_unet import UNet

    torch.manual_seed(0)
    tuned = arm != "pytorch as it ships"
    model, layout = UNet("instance"), torch.channels_last if tuned else torch.contiguous_format
    model = model.to(memory_format=layout)
    run = torch.compile(model) if arm.endswith("compiled") else model
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    images = torch.randn(batch, 3, SIDE[2], SIDE[2]).contiguous(memory_format=layout)
    labels = torch.randint(0, 2, (batch, SIDE[2], SIDE[2]))

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=tuned):
            logits = run(images)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


class Worker:
    """A process that makes a step whenever it is told to."""

    def __init__(self, python: Path, isa: str | None, *arguments: object) -> None:
        settings = {"ONEDNN_MAX_CPU_ISA": isa} if isa else {}
        self.process = subprocess.Popen(
            [python, __file__, "--work", *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **settings},
        )  # fmt: skip

    def step(self) -> tuple[float, float]:
        """Seconds by the clock, and of the processor."""
        assert self.process.stdin
        assert self.process.stdout
        print("step", file=self.process.stdin, flush=True)
        wall, cpu = self.process.stdout.readline().split()
        return float(wall), float(cpu)

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def work(arm: str, width: int, batch: int, rank: int, precision: str) -> None:
    step = reunet_step(width, batch, rank, precision) if arm == "reunet" else torch_step(batch, arm)
    for _ in sys.stdin:
        began, cpu = time.perf_counter(), time.process_time()
        step()
        print(time.perf_counter() - began, time.process_time() - cpu, flush=True)


def in_turns(workers: dict[str, Worker], rounds: int) -> dict[str, dict[str, float]]:
    """Of each the median and quartiles of seconds by the clock, and the median of the processor's."""
    for worker in workers.values():
        for _ in range(WARM_UP):
            worker.step()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            found[name].append(worker.step())
    for worker in workers.values():
        worker.end()
    result = {}
    for name, steps in found.items():
        wall, cpu = zip(*steps, strict=True)
        low, middle, high = statistics.quantiles(wall, n=4)
        result[name] = {"wall": middle, "low": low, "high": high, "cpu": statistics.median(cpu)}
    return result


def compare(python: Path, torch: Path, rounds: int) -> None:
    for batch in (4, 8):
        key = {"what": "peers", "batch": batch, "rounds": rounds}
        if not records.is_done("training_step", key):
            workers = {
                arm: Worker(python if arm == "reunet" else torch, None, arm, 16, batch, 2, "bfloat16")
                for arm in ARMS
            }
            records.append("training_step", key, {"seconds": in_turns(workers, rounds)})


def compare_widths(python: Path, isa: str | None, rounds: int) -> None:
    precision = "float32" if isa == "AVX2" else "bfloat16"
    for rank, widths in WIDTHS.items():
        for width in widths:
            key = {"what": "widths", "isa": isa, "axes": rank, "width": width, "rounds": rounds}
            if not records.is_done("training_step", key):
                worker = Worker(python, isa, "reunet", width, BATCH[rank], rank, precision)
                seconds: Any = in_turns({"reunet": worker}, rounds)["reunet"]
                records.append("training_step", key, {**seconds, "patches": BATCH[rank]})


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        arm, width, batch, rank, precision = sys.argv[2:]
        work(arm, int(width), int(batch), int(rank), precision)
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--torch", type=Path, default=Path(sys.executable))
    parser.add_argument("--widths", action="store_true")
    parser.add_argument("--isa", choices=("AVX2", "AVX512_CORE_BF16"))
    arguments = parser.parse_args()
    if arguments.widths:
        compare_widths(Path(sys.executable), arguments.isa, arguments.rounds)
    else:
        compare(Path(sys.executable), arguments.torch, arguments.rounds)


if __name__ == "__main__":
    main()
