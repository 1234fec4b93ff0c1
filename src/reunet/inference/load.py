"""Open a finished run as a predictor, choosing engine and precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder, read_facts
from reunet.errors import ModelFileError, PlanError, UsageError
from reunet.inference.predictor import Predictor
from reunet.inference.runtime import StepRuntime
from reunet.inference.sequence import SequencePredictor
from reunet.storage import sha256_file

ENGINES = ("auto", "openvino", "keras")
PRECISIONS = ("auto", "f32", "bf16")
BF16_LIMIT_PPM = 5000
"""`auto` uses bfloat16 only when it changed the label of fewer pixels per million at export."""


def load(
    run: str | Path, engine: str = "auto", precision: str = "auto", tta: bool = False
) -> Predictor | SequencePredictor:
    """Load a run: `load(RUN)(image)` gives a Prediction.

    A run for sequences takes a stack of frames (T, H, W, C), T from 1, and where its network looks back only,
    `stream = load(RUN).stream()` takes frames as they come: `stream(frame)` gives a Prediction too.

    Parameters
    ----------
    run: a run folder.
    engine: `openvino` (exported at the end of training), `keras`, or `auto`: openvino where the run
        has an exported engine, otherwise keras if the training has finished.
    precision: `f32`, `bf16`, or `auto`: bf16 where the CPU computes it in hardware and the labels were
        found to hardly change at export.
    tta: average over the mirrorings of each image.

    Raises UsageError for an unknown name, ModelFileError for an incomplete or damaged run, PlanError
    for an invalid plan, BackendError for a missing package or instruction set.
    """
    for option, value, known in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise UsageError(
                f"unknown {option}", where=f"--{option}", expected=", ".join(known), received=value
            )
    folder = RunFolder(Path(run))
    plan = folder.plan()
    if engine == "auto":
        engine = _chosen_engine(folder)
    runtime = _openvino(folder, plan, precision) if engine == "openvino" else _keras(folder, plan, precision)
    kind = Predictor if plan.clip is None else SequencePredictor
    return kind(plan, runtime, folder.calibration(), tta=tta)


def _chosen_engine(run: RunFolder) -> str:
    if run.engine_file.is_file():
        return "openvino"
    if not run.calibration_file.is_file():  # the first thing that is written after the last step
        raise ModelFileError(
            "this training has not finished",
            where=run.path,
            fix="finish it with `reunet train ... --resume`, or use its best weights so far: --engine keras",
        )
    return "keras"


def _openvino(run: RunFolder, plan: Plan, precision: str) -> StepRuntime:
    from reunet.inference.openvino_runtime import OpenVINORuntime, native_bf16

    facts = verified_engine(run, plan)
    if precision == "auto":
        bf16 = facts["precision"].get("bf16")
        harmless = bf16 is not None and bf16["labels_differ_ppm"] < BF16_LIMIT_PPM
        precision = "bf16" if harmless and native_bf16() else "f32"
    return OpenVINORuntime(run.engine_file, plan.engine_input, precision)


def _keras(run: RunFolder, plan: Plan, precision: str) -> StepRuntime:
    if precision == "bf16":
        raise UsageError(
            "the keras engine predicts in f32",
            where="--precision",
            received=precision,
            fix="use --engine openvino, or --precision f32",
        )
    from reunet.inference.keras_runtime import load_keras

    return load_keras(run, plan)


def verified_engine(run: RunFolder, plan: Plan) -> dict[str, Any]:
    """The engine's facts, after checking that its files are whole and belong to these weights and plan.

    Raises ModelFileError.
    """
    if not run.engine_file.is_file() or not run.engine_facts_file.is_file():
        raise ModelFileError(
            "this run has no exported engine",
            where=run.engine_file.parent,
            fix="use --engine keras, or finish the training with `reunet train ... --resume`",
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
    for name in ("model.xml", "model.bin"):
        file = run.engine_file.with_name(name)
        if not file.is_file() or hashes.get(name) != sha256_file(file):
            return f"the engine's {name} is damaged or was exchanged"
    if not _same_network(facts.get("network"), plan):
        return "plan.json describes another network than the one that was exported"
    weights = run.weights_facts_file
    if weights.is_file() and read_facts(weights).get("sha256") != facts.get("weights_sha256"):
        return "the engine was exported from other weights than the ones in this run"
    return None
