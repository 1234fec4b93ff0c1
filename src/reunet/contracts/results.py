"""What the verbs return."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a dataset: what, where, expected, received, how to fix."""

    severity: Literal["error", "warning"]
    code: str
    file: str
    message: str
    expected: str = ""
    received: str = ""
    fix: str = ""


@dataclass(frozen=True)
class CheckResult:
    """All problems of a dataset, and how many cases each split has."""

    problems: tuple[Problem, ...]
    counts: dict[str, int]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the dataset from being used."""
        return tuple(p for p in self.problems if p.severity == "error")


@dataclass(frozen=True)
class Prediction:
    """The result for one image.

    labels: (H, W) uint8 class indices, (D, H, W) of a volume. probabilities: (*space, classes) float32 in
    0..1, summing to 1.
    objects: one dict per object, for tasks that find objects.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    objects: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class TrainResult:
    """A finished training: the run folder, the steps done and the score on the held-out cases."""

    run: Path
    steps: int
    score: float | None
    seconds: float


@dataclass(frozen=True)
class PredictResult:
    """Where the outputs are; `failures` maps each input that could not be predicted to the reason."""

    output: Path
    predicted: tuple[Path, ...]
    skipped: tuple[Path, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluateResult:
    """The content of metrics.json, where it lies, and the report beside it."""

    output: Path
    metrics: dict[str, Any]
    report: Path
    failures: dict[str, str] = field(default_factory=dict)
