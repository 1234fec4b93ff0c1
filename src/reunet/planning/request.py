"""What the user asks of a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reunet.backend import Backend
from reunet.contracts.network import NetworkConfig
from reunet.errors import UsageError
from reunet.machine import memory_bytes

DEFAULT_MINUTES = 10.0


@dataclass(frozen=True)
class PlanRequest:
    """What the user asked for; None where the rules decide.

    minutes, steps, epochs: at most one of them. max_memory: bytes. network: that of the run to start from.
    encoder: name of a pretrained one. tasks: what is to be learned, the main one
    first; `auto` for the one of the most specific annotation. loss: `auto`, or `cl_dice` for centre lines.
    Raises UsageError for numbers that make no sense and for two budgets.
    """

    preset: str = "auto"
    minutes: float | None = None
    steps: int | None = None
    epochs: float | None = None
    seed: int = 0
    backend: Backend = "tensorflow"
    max_memory: int | None = None
    network: NetworkConfig | None = None
    encoder: str | None = None
    tasks: tuple[str, ...] = ("auto",)
    loss: str = "auto"

    def __post_init__(self) -> None:
        for name in ("minutes", "steps", "epochs", "max_memory"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(
                    "not a usable number",
                    where=f"--{name.replace('_', '-')}",
                    expected="a number above 0",
                    received=value,
                )
        if self.loss not in ("auto", "cl_dice"):
            raise UsageError("unknown loss", where="--loss", expected="auto or cl_dice", received=self.loss)
        if self.seed < 0:
            raise UsageError("not a seed", where="--seed", expected="0 or more", received=self.seed)
        if len(self.budget) > 1:
            raise UsageError(
                "two budgets were given",
                where=" and ".join(f"--{name}" for name in self.budget),
                expected="one of --minutes, --steps, --epochs",
            )

    @property
    def budget(self) -> dict[str, float]:
        """What was asked for of minutes, steps and epochs, or the default."""
        given = {"minutes": self.minutes, "steps": self.steps, "epochs": self.epochs}
        chosen = {name: value for name, value in given.items() if value is not None}
        return chosen or {"minutes": DEFAULT_MINUTES}

    @property
    def memory(self) -> int:
        """Bytes a training may need: half of what there is when nobody says."""
        return self.max_memory or (memory_bytes() or 8 * 2**30) // 2
