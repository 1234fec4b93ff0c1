"""What several trainings have done so far, on disk, so that an interrupted one goes on where it was."""

import time
from pathlib import Path
from typing import Any, ClassVar

from reunet.contracts.base import Contract
from reunet.contracts.bounds import Real
from reunet.contracts.plan import Plan
from reunet.errors import CheckpointError, ReunetError

RACE = "race"
"""Folder of the heats, RUN/race/<heat>/<name>."""


class Trained(Contract):
    """A training that has ended: its steps, seconds and score on what it held out."""

    steps: int
    seconds: Real
    score: Real | None


class Choice(Contract):
    """Networks whose mean was tried on the out-of-fold predictions, and the score of that."""

    names: tuple[str, ...]
    score: Real | None


class State(Contract):
    """trainings.json. folds: 0 where there is only a race. budget: of all together, as it was asked for.

    encoder_weights: as it was asked for. plans: the networks that take part, by name. trained: by the folder
    below the run, those of the race included. finalists: the best of the race, or all. choices: the best
    first. seconds: spent until the last entry.
    """

    error: ClassVar[type[ReunetError]] = CheckpointError
    schema_version: int = 1
    folds: int
    seed: int
    budget: dict[str, Real]
    encoder_weights: str = "imagenet"
    plans: dict[str, Plan]
    trained: dict[str, Trained] = {}
    finalists: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    seconds: Real = 0.0

    def told(self) -> dict[str, str]:
        """What a page tells of the folds and of the race, by its heading."""
        facts = {}
        if self.folds and self.choices:
            members = len(self.choices[0].names) * self.folds
            facts["Folds"] = f"{self.folds}; the run is the mean of {members} networks"
            scores = [f"{' + '.join(one.names)} {_number(one.score)}" for one in self.choices]
            facts["Out of fold"] = ", ".join(scores)
        heats: dict[int, list[str]] = {}
        for folder, one in self.trained.items():
            if folder.startswith(f"{RACE}/"):
                heat, name = folder.removeprefix(f"{RACE}/").split("/")
                heats.setdefault(int(heat), []).append(f"{name} {_number(one.score)}")
        if heats:
            facts["Race"] = "; ".join(f"heat {heat + 1}: {', '.join(each)}" for heat, each in heats.items())
        return facts


def _number(score: float | None) -> str:
    return "undefined" if score is None else f"{score:.4f}"


class Ledger:
    """The state with its file and the clock of the whole command, which counts what went before."""

    def __init__(self, file: Path, state: State, started: float) -> None:
        self.file, self.state = file, state
        self._began = started - state.seconds

    @property
    def elapsed(self) -> float:
        """Seconds of the whole command until now."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float | None:
        """Seconds until the minutes are over; None where they are not what was given."""
        minutes = self.state.budget.get("minutes")
        return None if minutes is None else minutes * 60 - self.elapsed

    def note(self, **changes: Any) -> None:
        """Change entries of the state, and write it."""
        self.state = self.state.model_copy(update=changes | {"seconds": self.elapsed})
        self.state.write(self.file)

    def ended(self, folder: str, training: Trained, before: float) -> None:
        """A training ended that began when `before` seconds had gone by, perhaps in an earlier process."""
        self._began = time.monotonic() - before - training.seconds
        self.note(trained=self.state.trained | {folder: training})
