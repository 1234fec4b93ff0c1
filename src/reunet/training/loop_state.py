"""What a training remembers, in its checkpoints: the variables of the model, and the loop's own state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import keras
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import CheckpointError
from reunet.progress import Progress
from reunet.storage import read_json
from reunet.training import state
from reunet.training.checkpoint import load_checkpoint, save_checkpoint
from reunet.training.schedule import Timeline

Count = Annotated[int, Field(ge=1, le=2**40)]


@dataclass
class LoopState:
    """What the loop itself remembers from step to step, beside the variables of the model.

    planned: the steps that were laid out at first. relaid: at which step that was done anew, and
    the total then. halved: from which step on batches held how many patches. phase: in which the last step
    was made; None before the first.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    timeline: Timeline
    validations: Count
    cases_used: Count
    planned: Count
    relaid: list[tuple[Count, Count]] = field(default_factory=list)
    halved: list[tuple[Annotated[int, Field(ge=0)], Count]] = field(default_factory=list)
    phase: Annotated[int, Field(ge=0, le=1000)] | None = None
    elapsed_s: float = 0.0
    loss_sum: float = 0.0
    loss_steps: int = 0
    validated_at: int = -1
    best_score: float | None = None
    best_step: int = 0
    validations_without_gain: int = 0

    @property
    def mean_loss(self) -> float:
        """Since the last row of the history."""
        return self.loss_sum / self.loss_steps

    def validated(self, step: int, score: float | None) -> None:
        """The held-out cases were scored; without a score the latest weights are the best."""
        self.validated_at = step
        if score is None or self.best_score is None or score >= self.best_score:
            self.best_score, self.best_step, self.validations_without_gain = score, step, 0
        else:
            self.validations_without_gain += 1

    @classmethod
    def from_json(cls, data: Any) -> LoopState:
        """The state that `as_json` wrote. Raises CheckpointError when it is of another version."""
        told = data if isinstance(data, dict) else {}
        named = {"timeline" if key == "layout" else key: value for key, value in told.items()}
        if named.pop("pace_was_checked", None) is not None:  # an earlier version
            named["planned"] = (named.get("timeline") or {}).get("total")
        try:
            return TypeAdapter(cls).validate_python(named)
        except ValidationError as cause:
            raise CheckpointError(
                "the checkpoint was written by another version of reunet",
                received=f"{cause.error_count()} wrong field(s) in its state",
                fix="resume with that version, or train again",
            ) from cause

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint holds of it; there the timeline is a `layout`."""
        data = asdict(self)
        return {"layout": data.pop("timeline"), **data}


class Checkpoints:
    """Those of the training of a model."""

    def __init__(self, run: RunFolder, plan: Plan, model: keras.Model) -> None:
        self._run, self._plan, self._model = run, plan, model
        self._hash = _hash(plan.model_dump_json(exclude_defaults=True))

    def save(self, step: int, loop: LoopState) -> None:
        facts = {"plan": self._hash, "loop": loop.as_json()}
        save_checkpoint(self._run.checkpoints, step, state.capture(self._model), facts)

    def restore(self, progress: Progress) -> tuple[int, LoopState]:
        """Have the model be as at the latest intact checkpoint: its step and the state of the loop.

        Raises CheckpointError where there is none, or when the plan was changed since.
        """
        step, arrays, saved, notes = load_checkpoint(self._run.checkpoints)
        for note in notes:
            progress.message(note)
        if saved.get("plan") not in (self._hash, *self._earlier_hashes()):
            raise CheckpointError(
                "plan.json was changed since the checkpoint was written",
                where=self._run.plan_file,
                fix="restore it, or train anew with --plan (and --init to keep what was learned)",
            )
        state.restore(self._model, arrays)
        return step, LoopState.from_json(saved.get("loop"))

    def _earlier_hashes(self) -> Iterator[str]:
        """How earlier versions told a plan: with every field there was then, which its file has."""
        yield _hash(self._plan.model_dump_json())
        written = read_json(self._run.plan_file, CheckpointError)
        yield _hash(json.dumps(written, separators=(",", ":"), ensure_ascii=False))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
