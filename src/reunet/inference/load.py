"""Open a finished run as a predictor, choosing engine and precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from reunet.contracts.names import EngineName, PrecisionName
from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder, read_facts
from reunet.errors import ModelFileError, PlanError, UsageError, known_name
from reunet.inference.choice import check_exact, choose
from reunet.inference.predictor import Predictor
from reunet.inference.runtime import StepRuntime
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.storage import sha256_file


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
    return kind(plan, runtime, folder.calibration(), tta=tta)


def _runtime(run: RunFolder, plan: Plan, engine: str, precision: str, threads: int | None) -> StepRuntime:
    if engine == "keras" or (engine == "auto" and not _has_engine(run)):
        check_exact("keras", precision)
        from reunet.inference.keras_runtime import load_keras

        return load_keras(run, plan)
    from reunet.inference.onnx_runtime import ONNXRuntime
    from reunet.inference.openvino_runtime import OpenVINORuntime

    chosen = choose(verified_engine(run, plan), engine, precision)
    if chosen.engine == "onnx":
        return ONNXRuntime(run.engine_file, threads)
    file = run.int8_file if chosen.precision == "int8" else run.engine_file
    return OpenVINORuntime(file, plan.engine_input, chosen.precision, threads)


def _has_engine(run: RunFolder) -> bool:
    if run.engine_file.is_file():
        return True
    run.require_finished(", or use its best weights so far: --engine keras")
    return False


def verified_engine(run: RunFolder, plan: Plan) -> dict[str, Any]:
    """The engine's facts, after checking that its files are whole and belong to these weights and plan.

    Raises ModelFileError.
    """
    run.require(
        run.engine_file,
        run.engine_facts_file,
        what="this run has no exported engine",
        otherwise=", or use --engine keras",
    )
    facts = read_facts(run.engine_facts_file)
    problem = _engine_problem(run, plan, facts)
    if problem is not None:
        raise ModelFileError(
            problem, where=run.engine_file.parent, fix="copy the run folder again from its source"
        )
    return facts


def _same_network(exported: Any, plan: Plan) -> bool:
    try:
        return NetworkConfig.parse(exported, where="network") == plan.network
    except PlanError:
        return False


def _engine_problem(run: RunFolder, plan: Plan, facts: dict[str, Any]) -> str | None:
    if facts.get("schema_version") != 1 or not isinstance(facts.get("precision"), dict):
        return "the engine was exported by another version of reunet"
    files = facts.get("files")
    hashes = files if isinstance(files, dict) else {}
    for name in {"model.xml", "model.bin", *hashes}:
        file = run.engine_file.with_name(name)
        if not file.is_file() or hashes.get(name) != sha256_file(file):
            return f"the engine's {name} is damaged or was exchanged"
    if not _same_network(facts.get("network"), plan):
        return "plan.json describes another network than the one that was exported"
    weights = run.weights_facts_file
    if weights.is_file() and read_facts(weights).get("sha256") != facts.get("weights_sha256"):
        return "the engine was exported from other weights than the ones in this run"
    return None
