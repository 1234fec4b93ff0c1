"""What each engine and precision of a run costs: against the network, against float32, and in time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.plan import Calibration, Plan
from reunet.errors import BackendError, ModelFileError
from reunet.inference import onnx_runtime
from reunet.inference.onnx_runtime import ONNXRuntime
from reunet.inference.openvino_runtime import OpenVINORuntime, native_bf16
from reunet.inference.runtime import StepRuntime
from reunet.inference.sequence import over_windows
from reunet.inference.tiling import Network
from reunet.tasks.base import Maps
from reunet.tasks.work import Work

TOLERANCE = 1e-4
"""Largest difference of a probability between the Keras network and its export in float32."""

NUMBERS = 10.0
"""Heads without a softmax or sigmoid, which damp what is rounded differently, may differ by so many times
that, relative to their largest value where it is above 1.
"""

SECONDS = 0.3
"""How long each engine is timed."""


@dataclass(frozen=True)
class Trial:
    """What engines are tried on.

    samples: (N, [T,] *tile, C) float32 normalised tiles, best of held-out images. crops: the same of training
    images, for int8; None for no int8. score: of an engine on held-out images; None where there are none.
    calibrate: what the run's thresholds should be, by an engine; None to leave them as they are.
    """

    samples: np.ndarray
    crops: np.ndarray | None = None
    score: Callable[[StepRuntime], float | None] | None = None
    calibrate: Callable[[StepRuntime], Calibration] | None = None


@dataclass(frozen=True)
class SelfTest:
    """A tile (1, [T,] *tile, C) and what the Keras network makes of it, by head."""

    image: np.ndarray
    expected: dict[str, np.ndarray]


def measure(
    model: Path, int8: Path | None, plan: Plan, calibration: Calibration, test: SelfTest, trial: Trial
) -> dict[str, Any]:
    """Facts about every engine that can be used here, None for those that cannot, or whose numbers overflow.

    `precision` has an entry for f32, bf16 and int8 in OpenVINO, `onnx` is f32 in ONNX Runtime. Raises
    BackendError when f32 differs from the Keras network by more than TOLERANCE.
    """
    exact = OpenVINORuntime(model, plan.engine_input, "f32")
    difference = largest_difference(over_windows(exact, plan)(test.image), test.expected, plan)
    if not difference <= TOLERANCE:
        raise BackendError(
            "the exported engine does not compute what the network computes",
            where=model.name,
            expected=f"probabilities within {TOLERANCE}",
            received=f"a difference of {difference:.2g}",
            fix="predict with --engine keras, and report this with the output of `reunet doctor`",
        )
    best = None if trial.score is None else trial.score(exact)
    f32 = {"max_difference": difference, "score": best, "tiles_per_second": _speed(exact, plan, trial)}

    def against(runtime: StepRuntime) -> dict[str, Any] | None:
        facts = _compare(
            over_windows(runtime, plan), over_windows(exact, plan), trial.samples, plan, calibration
        )
        if not np.isfinite(facts["max_difference"]):
            return None
        if trial.score is not None and best is not None:
            is_same = facts["max_difference"] <= TOLERANCE  # the score would be, too, after some seconds
            try:
                score = best if is_same else trial.score(runtime)
            except ModelFileError:  # of an output that is not finite
                return None
            facts |= {"score": score, "score_drop": None if score is None else round(best - score, 6)}
        return facts | {"tiles_per_second": _speed(runtime, plan, trial)}

    tile = plan.engine_input
    return {
        "precision": {
            "f32": f32,
            "bf16": against(OpenVINORuntime(model, tile, "bf16")) if native_bf16() else None,
            "int8": against(OpenVINORuntime(int8, tile, "int8")) if int8 is not None else None,
        },
        "onnx": against(ONNXRuntime(model)) if onnx_runtime.is_installed() else None,
    }


def _speed(runtime: StepRuntime, plan: Plan, trial: Trial) -> float:
    """Tiles (or windows) per second, after a first call that is not counted."""
    network, tiles = over_windows(runtime, plan), trial.samples[:8]
    network(tiles)
    began, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < SECONDS:
        network(tiles)
        done += len(tiles)
    return round(done / passed, 2)


def _compare(
    fast: Network, exact: Network, samples: np.ndarray, plan: Plan, calibration: Calibration
) -> dict[str, Any]:
    work = Work.of(plan)

    def decided(heads: dict[str, np.ndarray]) -> np.ndarray:
        """What the main task makes of one tile (or window of them), as numbers that are equal or not."""
        tile = {head: values[0] for head, values in heads.items()}
        size = next((values.shape[:-1] for values in tile.values() if values.ndim > 1), ())
        return work.main.decided(Maps(tile, size), work.classes, calibration)

    differ = pixels = 0
    largest = 0.0
    for sample in samples:
        one, other = fast(sample[None]), exact(sample[None])
        largest = float(
            np.maximum(largest, largest_difference(one, other, plan))
        )  # that keeps what is no number
        first, second = decided(one), decided(other)
        differ += int(np.count_nonzero(first != second))
        pixels += first.size
    return {
        "labels_differ_ppm": round(1e6 * differ / pixels, 1),
        "max_difference": largest,
        "pixels": pixels,
    }


def largest_difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray], plan: Plan) -> float:
    """Of any value of any head, nan where one is; see `NUMBERS`."""
    numbers = {head.name for head in plan.network.heads if head.activation not in ("softmax", "sigmoid")}
    differences = [
        np.abs(one[head] - values).max()
        / (NUMBERS * max(1.0, float(np.abs(values).max())) if head in numbers else 1.0)
        for head, values in other.items()
    ]
    return float(np.max(differences))
