"""How fast this machine trains beside what the planner's table says: measured once, and remembered.

    python -m reunet.training.pace      measures, and prints how many times as fast it is

It happens in a process of its own: how many threads TensorFlow computes with, on which bit-exact repetition
depends, can be said before its first operation only.
"""

import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np

from reunet.errors import StorageError
from reunet.exporting.child import environment_of
from reunet.machine import cores, processor, versions
from reunet.planning import PlanRequest
from reunet.planning.speed import step_seconds
from reunet.progress import Progress
from reunet.signals import ends_with_us
from reunet.storage import read_json, write_json

FILTERS, SIDE, BATCH = (32, 64, 128, 256), 128, 4
"""Of the network whose steps are timed; it compiles in two seconds, and a step takes some tenths of one."""

STEPS = 5
LIMITS = (0.05, 50.0)
"""A pace beyond is no measurement."""


def paced(request: PlanRequest, progress: Progress) -> PlanRequest:
    """What was asked, with the pace of this machine where it decides: how wide a network is that TensorFlow
    trains for minutes on the processor.
    """
    decides = request.network is None and "minutes" in request.budget
    if not decides or (request.backend, request.device) != ("tensorflow", "cpu"):
        return request
    return replace(request, pace=pace(progress))


def pace(progress: Progress) -> float:
    """How many times as fast as the table of `planning.speed` TensorFlow trains here.

    Measured at the first time on a machine, which takes some ten seconds, and read from the user's cache
    folder later. 1 where it cannot be measured.
    """
    file, machine = remembered(), this_machine()
    with suppress(StorageError, KeyError, TypeError, ValueError):
        told = read_json(file, StorageError, most_bytes=2**16)
        if told["machine"] == machine and is_pace(float(told["pace"])):
            return float(told["pace"])
    progress.message("measuring once how fast this machine trains")
    if (found := _in_a_process()) is None:
        return 1.0
    with suppress(StorageError):
        write_json(file, {"machine": machine, "pace": found})
    return found


def remembered() -> Path:
    """The file of what was measured."""
    import platformdirs

    return platformdirs.user_cache_path("reunet", appauthor=False) / "pace.json"


def this_machine() -> dict[str, object]:
    """What a measurement is of."""
    known = versions()
    tensorflow = known.get("tensorflow") or known.get("tensorflow-cpu")
    return {"processor": processor(), "cores": cores(), "tensorflow": tensorflow}


def is_pace(value: float) -> bool:
    """Whether it can have been measured."""
    return isfinite(value) and LIMITS[0] <= value <= LIMITS[1]


def _in_a_process() -> float | None:
    """What a process of its own measures; None when it fails."""
    words = [sys.executable, "-P", "-m", "reunet.training.pace"]
    environment = environment_of("tensorflow")
    with (
        subprocess.Popen(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child,
        ends_with_us(child),
    ):
        try:
            told, _ = child.communicate(timeout=120)
            found = float(told.split()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError):
            child.kill()
            return None
        except BaseException:
            child.kill()
            raise
    return found if is_pace(found) else None


def measure() -> float:
    """Of the steps of a plain U-Net, in the precision that a plan would have: the table's seconds over those
    of the processor, the median of STEPS.
    """
    from reunet.contracts.labels import LabelMap, default_classes
    from reunet.contracts.network import HeadSpec
    from reunet.contracts.plan import Inference, InputSpec, Intensity, Plan, Schedule
    from reunet.machine import has_cpu_bfloat16
    from reunet.networks import configure
    from reunet.training.compile import compiled_network
    from reunet.training.precision import fix_threads, training_precision

    fixed = Intensity(method="fixed", offset=(0.0,), scale=(1.0,))
    network = configure(
        "unet", in_channels=1, filters=FILTERS, heads=(HeadSpec(channels=2),), normalisation="instance"
    )
    plan = Plan(
        dataset="random numbers",
        labels=LabelMap(classes=default_classes([0, 1])),
        input=InputSpec(channels=1, intensity=fixed),
        network=network,
        patch=(SIDE, SIDE),
        batch=BATCH,
        inference=Inference(tile=(SIDE, SIDE)),
        schedule=Schedule(steps=1),
        precision="bfloat16" if has_cpu_bfloat16() else "float32",
    )
    fix_threads(cores())
    model, rng, taken = compiled_network(plan), np.random.default_rng(0), []
    images = rng.standard_normal((BATCH, SIDE, SIDE, 1), np.float32)
    labels = {"semantic": rng.integers(0, 2, (BATCH, SIDE, SIDE)).astype(np.int32)}
    with training_precision(plan.precision):
        for _ in range(STEPS + 2):
            began = time.process_time()
            model.train_on_batch(images, labels)
            taken.append(time.process_time() - began)
    return step_seconds(network, plan.patch, BATCH) / float(np.median(taken[2:]))


if __name__ == "__main__":
    sys.stdout.write(f"{measure()}\n")
