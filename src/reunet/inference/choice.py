"""Which engine and precision a run is predicted with: the fastest that was found harmless at export."""

from dataclasses import dataclass

from reunet.contracts.facts import EngineFacts, Measured, differing
from reunet.errors import ModelFileError, UsageError, installing

MOST_DIFFERING_PPM = 5000
"""`auto` uses what changed the labels of fewer pixels per million than that."""

LARGEST_DROP = {"int8": 0.005}
"""By how much the score on held-out images may be lower; 0.002 where nothing is said."""


@dataclass(frozen=True)
class Choice:
    """An engine, its precision, and what was measured of it at export."""

    engine: str
    precision: str
    measured: Measured

    @property
    def is_harmless(self) -> bool:
        """Whether its labels and its score were as good as those of float32."""
        if self.engine == "openvino" and self.precision == "f32":
            return True
        differ, drop = self.measured.labels_differ_ppm, self.measured.score_drop
        allowed = LARGEST_DROP.get(self.precision, 0.002)
        return differ is not None and differ < MOST_DIFFERING_PPM and (drop or 0.0) < allowed

    @property
    def summary(self) -> str:
        """What was measured, in a line."""
        speed, drop = self.measured.tiles_per_second, self.measured.score_drop
        differ = self.measured.labels_differ_ppm
        parts = [] if speed is None else [f"{speed:.3g} tiles per second"]
        if differ is not None:
            verdict = "harmless" if self.is_harmless else "too much, so `auto` does not use it"
            parts.append(f"{differing(differ)} from full precision ({verdict})")
        parts += [] if drop is None else [f"score {-drop:+.4f}"]
        return f"{self.engine} {self.precision}: {', '.join(parts) or 'not measured'}"


def choices(facts: EngineFacts) -> list[Choice]:
    """All that engine.json tells of, and float32, which is always there; the usually fastest last."""
    told = facts.precision
    found = [] if facts.onnx is None else [Choice("onnx", "f32", facts.onnx)]
    found.append(Choice("openvino", "f32", told.get("f32") or Measured()))
    more = ((name, told.get(name)) for name in ("bf16", "int8"))
    return found + [Choice("openvino", name, measured) for name, measured in more if measured]


def choose(facts: EngineFacts, engine: str, precision: str) -> Choice:
    """What to use of a run whose engine.json is `facts`.

    engine: `auto`, `openvino` or `onnx`. precision: `auto`, or the one that is wanted whatever it costs.
    Raises UsageError for a precision that the engine does not have, ModelFileError for one that the run
    lacks.
    """
    from reunet.inference.onnx_runtime import is_installed
    from reunet.inference.openvino_runtime import native_bf16

    if engine == "onnx":
        check_exact(engine, precision)
        return Choice("onnx", "f32", facts.onnx or Measured())
    if precision == "int8" and not facts.precision.get("int8"):
        raise ModelFileError(
            "this run has no engine in int8",
            where="--precision",
            fix=f"use another precision, or train again after: {installing('int8')}",
        )
    if precision != "auto":
        return Choice("openvino", precision, facts.precision.get(precision) or Measured())
    usable = [
        choice
        for choice in choices(facts)
        if choice.is_harmless
        and (choice.engine == "openvino" or (engine == "auto" and is_installed()))
        and (choice.precision != "bf16" or native_bf16())
    ]
    return max(reversed(usable), key=lambda choice: choice.measured.tiles_per_second or 0.0)


def check_exact(engine: str, precision: str) -> None:
    """Raise UsageError for a precision that is asked of an engine that has only float32."""
    if precision not in ("auto", "f32"):
        raise UsageError(
            f"the {engine} engine predicts in f32",
            where="--precision",
            received=precision,
            fix="use --engine openvino on the CPU, or --precision f32",
        )
