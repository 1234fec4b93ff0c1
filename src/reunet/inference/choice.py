"""Which engine and precision a run is predicted with: the fastest that was found harmless at export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reunet.errors import ModelFileError, UsageError

MOST_DIFFERING_PPM = 5000
"""`auto` uses what changed the labels of fewer pixels per million than that."""

LARGEST_DROP = {"int8": 0.005}
"""By how much the score on held-out images may be lower; 0.002 where nothing is said."""


@dataclass(frozen=True)
class Choice:
    """An engine, its precision, and what was measured of it at export: `tiles_per_second` and, against
    float32, `labels_differ_ppm` and `score_drop`; any of them may be missing.
    """

    engine: str
    precision: str
    measured: Mapping[str, Any]

    @property
    def is_harmless(self) -> bool:
        """Whether its labels and its score were as good as those of float32."""
        if self.engine == "openvino" and self.precision == "f32":
            return True
        differ, drop = self.measured.get("labels_differ_ppm"), self.measured.get("score_drop")
        allowed = LARGEST_DROP.get(self.precision, 0.002)
        return differ is not None and differ < MOST_DIFFERING_PPM and (drop or 0.0) < allowed

    @property
    def summary(self) -> str:
        """What was measured, in a line."""
        speed, drop = self.measured.get("tiles_per_second"), self.measured.get("score_drop")
        differ = self.measured.get("labels_differ_ppm")
        parts = [] if speed is None else [f"{speed:.3g} tiles per second"]
        parts += [] if differ is None else [f"{differ:g} of a million labels differ from f32"]
        parts += [] if drop is None else [f"score {-drop:+.4f}"]
        return f"{self.engine} {self.precision}: {', '.join(parts) or 'not measured'}"


def choices(facts: Mapping[str, Any]) -> list[Choice]:
    """All that engine.json tells of, and float32, which is always there; the usually fastest last."""
    told = facts["precision"]
    onnx = facts.get("onnx")
    found = [Choice("onnx", "f32", onnx)] if isinstance(onnx, dict) else []
    found.append(Choice("openvino", "f32", told.get("f32") or {}))
    return found + [Choice("openvino", name, told[name]) for name in ("bf16", "int8") if told.get(name)]


def choose(facts: Mapping[str, Any], engine: str, precision: str) -> Choice:
    """What to use of a run whose engine.json is `facts`.

    engine: `auto`, `openvino` or `onnx`. precision: `auto`, or the one that is wanted whatever it costs.
    Raises UsageError for a precision that the engine does not have, ModelFileError for one that the run
    lacks.
    """
    from reunet.inference.onnx_runtime import is_installed
    from reunet.inference.openvino_runtime import native_bf16

    if engine == "onnx":
        check_exact(engine, precision)
        return Choice("onnx", "f32", facts.get("onnx") or {})
    if precision == "int8" and not facts["precision"].get("int8"):
        raise ModelFileError(
            "this run has no engine in int8",
            where="--precision",
            fix='train it where `pip install "reunet[int8]"` was done, or use another precision',
        )
    if precision != "auto":
        return Choice("openvino", precision, facts["precision"].get(precision) or {})
    usable = [
        choice
        for choice in choices(facts)
        if choice.is_harmless
        and (choice.engine == "openvino" or (engine == "auto" and is_installed()))
        and (choice.precision != "bf16" or native_bf16())
    ]
    return max(reversed(usable), key=lambda choice: choice.measured.get("tiles_per_second", 0.0))


def check_exact(engine: str, precision: str) -> None:
    """Raise UsageError for a precision that is asked of an engine that has only float32."""
    if precision not in ("auto", "f32"):
        raise UsageError(
            f"the {engine} engine predicts in f32",
            where="--precision",
            received=precision,
            fix="use --engine openvino, or --precision f32",
        )
