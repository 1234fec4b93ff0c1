"""Open a finished run as a predictor: which engine, in which precision, on which device."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from reunet.backend import import_openvino, use_backend
from reunet.contracts.names import DeviceName, EngineName, PrecisionName
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.devices import able_backend, check_seen, choose_device
from reunet.errors import BackendError, UsageError, known_name
from reunet.inference.choice import check_exact, choose
from reunet.inference.predictor import Predictor
from reunet.inference.runtime import StepRuntime
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.inference.signature import check_signature
from reunet.inference.thinking import iterations_of

if TYPE_CHECKING:
    from reunet.inference.keras_runtime import OwnNetwork


def load(
    run: str | Path,
    engine: str = "auto",
    precision: str = "auto",
    tta: bool = False,
    threads: int | None = None,
    network: OwnNetwork | None = None,
    iterations: int | str | None = None,
    device: str = "auto",
    uncertainty: bool = False,
) -> AnyPredictor:
    """The predictor of a run, with its engine; see `reunet.load`, which raises what this does."""
    asked = {"engine": (engine, EngineName), "precision": (precision, PrecisionName)}
    for option, (value, names) in (asked | {"device": (device, DeviceName)}).items():
        known_name(value, get_args(names), where=f"--{option}", error=UsageError)
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        fix = "give 1 or more, or None for all"
        raise UsageError("not a number of threads", where="threads", received=threads, fix=fix)
    folder = run_at(Path(run))
    plan = folder.plan()
    count = iterations_of(iterations, plan)
    is_own = network is not None or (plan.custom is not None and plan.custom.network is not None)
    engine = "keras" if is_own or (engine == "auto" and not _has_engine(folder)) else engine
    place = engine_on(device, engine, plan)
    runtime = _runtime(folder, plan, place, precision, threads, network)
    calibration = folder.calibration(plan)
    tta = tta or calibration.tta
    if plan.clip is None:
        return Predictor(plan, runtime, calibration, tta=tta, iterations=count, uncertainty=uncertainty)
    if uncertainty:
        raise UsageError(
            "the uncertainty of sequences is not told",
            where="--uncertainty",
            received=f"a run of {plan.network.preset} on sequences",
            fix="leave --uncertainty out; --probabilities tells how sure the mean is",
        )
    return SequencePredictor(plan, runtime, calibration, tta=tta)


def _runtime(
    run: RunFolder, plan: Plan, place: Place, precision: str, threads: int | None, network: OwnNetwork | None
) -> StepRuntime:
    if place.engine == "keras":
        check_exact("keras", precision)
        from reunet.inference.keras_runtime import load_keras

        return load_keras(run, plan, network)
    from reunet.inference.onnx_runtime import ONNXRuntime
    from reunet.inference.openvino_runtime import OpenVINORuntime

    if place.device == "GPU":
        check_exact("openvino on a GPU", precision)
        precision = "f32"
    chosen = choose(run.verified_engine(plan), place.engine, precision)
    file = run.int8_file if chosen.precision == "int8" else run.engine_file
    runtime = (
        ONNXRuntime(file, threads)
        if chosen.engine == "onnx"
        else OpenVINORuntime(file, plan.engine_input, chosen.precision, threads, place.device)
    )
    check_signature(plan, runtime.inputs, runtime.outputs, file)
    return runtime


def _has_engine(run: RunFolder) -> bool:
    if os.path.isfile(run.engine_file):
        return True
    run.require_finished(", or use its best weights so far: --engine keras")
    return False


@dataclass(frozen=True)
class Place:
    """An engine, and what OpenVINO calls the device."""

    engine: str
    device: str = "CPU"


def engine_on(device: str, engine: str, plan: Plan) -> Place:
    """The engine that predicts on `device`, of those that `engine` allows; where there is a choice, the
    network in Keras on a GPU that a framework can use, else OpenVINO on one of its own.

    device: `auto` leaves engines on the CPU, and Keras where its framework computes. Raises UsageError and
    BackendError where a device cannot be had.
    """
    if device == "cpu" and engine == "keras":
        choose_device("cpu", plan.backend)
    if device != "gpu":
        return Place(engine)
    if engine == "onnx":
        raise UsageError(
            "the onnx engine predicts on the CPU", where="--device gpu", fix="leave --engine out, or --device"
        )
    backend = able_backend(plan.backend)
    if engine in ("auto", "keras") and backend is not None:
        use_backend(backend)
        check_seen("gpu")
        return Place("keras")
    if engine == "keras":
        choose_device("gpu", plan.backend)  # which says why it cannot
    devices = import_openvino().Core().available_devices
    if not any(name.startswith("GPU") for name in devices):
        if engine == "auto":
            choose_device("gpu", plan.backend)
        raise BackendError(
            "OpenVINO sees no GPU of its own (Intel's)",
            where="--device gpu",
            received=f"its devices: {', '.join(devices)}",
            fix="leave --engine out: Keras predicts on NVIDIA GPUs" if backend else "leave --device out",
        )
    return Place("openvino", "GPU")
