"""Open a finished run as a predictor, choosing engine and precision."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from reunet.contracts.names import EngineName, PrecisionName
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import UsageError, known_name
from reunet.inference.choice import check_exact, choose
from reunet.inference.predictor import Predictor
from reunet.inference.runtime import StepRuntime
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.inference.signature import check_signature


def load(
    run: str | Path,
    engine: str = "auto",
    precision: str = "auto",
    tta: bool = False,
    threads: int | None = None,
) -> AnyPredictor:
    """Load a run: `load(RUN)(image)` gives a Prediction.

    A run for sequences takes a stack of frames (T, H, W, C), T from 1, and where its network looks back only,
    `stream = load(RUN).stream()` takes frames as they come: `stream(frame)` gives a Prediction too.

    Parameters
    ----------
    run: a run folder.
    engine: `openvino` (exported at the end of training), `onnx` for the same graph in ONNX Runtime,
        `keras`, or `auto`: the fastest of the first two where the run has an exported engine, otherwise
        keras if the training has finished.
    precision: `f32`, `bf16`, `int8` where the run has that, or `auto`: the fastest that can be used here and
        was found harmless at export, see `inference.choice`.
    tta: average over the mirrorings of each image.
    threads: of the processor that openvino and onnx may use; None for all.

    Raises UsageError for an unknown name, ModelFileError for an incomplete or damaged run, PlanError
    for an invalid plan, BackendError for a missing package or instruction set.
    """
    for option, value, names in (("engine", engine, EngineName), ("precision", precision, PrecisionName)):
        known_name(value, get_args(names), where=f"--{option}", error=UsageError)
    folder = RunFolder(Path(run))
    plan = folder.plan()
    runtime = _runtime(folder, plan, engine, precision, threads)
    kind = Predictor if plan.clip is None else SequencePredictor
    return kind(plan, runtime, folder.calibration(plan), tta=tta)


def _runtime(run: RunFolder, plan: Plan, engine: str, precision: str, threads: int | None) -> StepRuntime:
    if engine == "keras" or (engine == "auto" and not _has_engine(run)):
        check_exact("keras", precision)
        from reunet.inference.keras_runtime import load_keras

        return load_keras(run, plan)
    from reunet.inference.onnx_runtime import ONNXRuntime
    from reunet.inference.openvino_runtime import OpenVINORuntime

    chosen = choose(run.verified_engine(plan), engine, precision)
    file = run.int8_file if chosen.precision == "int8" else run.engine_file
    runtime = (
        ONNXRuntime(file, threads)
        if chosen.engine == "onnx"
        else OpenVINORuntime(file, plan.engine_input, chosen.precision, threads)
    )
    check_signature(plan, runtime.inputs, runtime.outputs, file)
    return runtime


def _has_engine(run: RunFolder) -> bool:
    if os.path.isfile(run.engine_file):
        return True
    run.require_finished(", or use its best weights so far: --engine keras")
    return False
