"""Where things lie in a run folder. The folder is evidence and package: it may be moved or renamed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reunet.contracts.facts import EngineFacts, Meaning, WeightsFacts
from reunet.contracts.history import read_history
from reunet.contracts.names import file_name
from reunet.contracts.plan import Calibration, Plan
from reunet.errors import ModelFileError, shortened
from reunet.storage import DAMAGED_ARRAY, publish_folder, sha256_file

MOST_BYTES = 2**34
"""Of a file that is hashed; what is larger is no file of ours."""

NAMES = {"tasks": "task", "labels": "class list", "categories": "list of categories"}
"""What errors call those fields of `Meaning` that they do not call by their names."""

SOURCE = "copy the run folder again from its source"
"""What helps where a file of a run is not what it was."""


class _Within:
    """A path below the folder of a run."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __get__(self, run: RunFolder, kind: type[RunFolder]) -> Path:
        return run.path.joinpath(*self._names)


@dataclass(frozen=True)
class RunFolder:
    """Paths and readers of one run folder."""

    path: Path

    plan_file = _Within("plan.json")
    fingerprint_file = _Within("fingerprint.json")
    splits_file = _Within("splits.json")
    calibration_file = _Within("calibration.json")
    environment_file = _Within("environment.json")
    history_file = _Within("history.csv")
    trainings_file = _Within("trainings.json")
    replay_file = _Within("replay.json")
    report_file = _Within("report.html")
    checkpoints = _Within("checkpoints")
    weights_file = _Within("weights", "best.weights.h5")
    weights_facts_file = _Within("weights", "weights.json")
    engine_file = _Within("engine", "model.xml")
    int8_file = _Within("engine", "int8.xml")
    engine_facts_file = _Within("engine", "engine.json")
    self_test = _Within("test")

    def evaluation(self, split: str, dataset: str = "") -> Path:
        """Where the scores of a split lie; dataset: the name of another one than the run was trained on."""
        return self.path / "evaluation" / (f"{file_name(dataset)}-{split}" if dataset else split)

    def plan(self) -> Plan:
        """The plan. Raises ModelFileError when the folder is not a run."""
        if not os.path.isfile(self.plan_file):
            raise ModelFileError(
                "this folder is not a run: it has no plan.json",
                where=self.path,
                fix="give the folder that `reunet train ... -o RUN` wrote",
            )
        return Plan.read(self.plan_file)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there may be something to resume from."""
        begun = os.path.isfile(self.trainings_file) or any(self.checkpoints.glob("[0-9]*"))
        return os.path.isfile(self.plan_file) and begun

    def require(self, *files: Path, what: str, otherwise: str = "") -> None:
        """Raise ModelFileError unless there are these files, which a training writes last.

        what: the error; otherwise: what the user can do instead of finishing the training.
        """
        if not all(map(os.path.isfile, files)):
            fix = "finish the training with `reunet train ... --resume`"
            raise ModelFileError(what, where=files[0].parent, fix=fix + otherwise)

    def require_finished(self, otherwise: str = "") -> None:
        """Raise ModelFileError unless the training has ended; `otherwise` as in `require`."""
        # The first thing that is written after the last step.
        self.require(self.calibration_file, what="this training has not finished", otherwise=otherwise)

    def calibration(self, plan: Plan) -> Calibration:
        """The calibration, or an empty one where the training has not come so far. Raises ModelFileError when
        it is missing beside an engine, which is exported after it, or was fitted for other weights or
        classes, PlanError when it is invalid.
        """
        if not os.path.lexists(self.calibration_file):
            if os.path.isfile(self.engine_facts_file):
                what = "calibration.json, which holds the thresholds of this run, is missing"
                raise ModelFileError(what, where=self.path, fix=SOURCE)
            return Calibration()
        found, made = Calibration.read(self.calibration_file), self._made
        known = made and made.weights
        if made and known and found.weights != known and (found.weights or made.plan):
            raise ModelFileError(
                "the calibration was fitted for other weights than the ones in this run",
                where=self.calibration_file,
                expected=f"weights {known}",
                received=f"weights {found.weights}",
                fix=SOURCE,
            )
        count = len(plan.labels.foreground)
        if len(found.score_thresholds) not in (0, count):
            raise ModelFileError(
                "the calibration was fitted for other classes than the ones in this run",
                where=f"{self.calibration_file}, score_thresholds",
                expected=f"{count} numbers, or none",
                received=len(found.score_thresholds),
                fix=SOURCE,
            )
        return found

    def history(self) -> list[dict[str, str]]:
        """The rows of history.csv, none without it. Raises ModelFileError."""
        return read_history(self.history_file) if os.path.lexists(self.history_file) else []

    def write_calibration(self, fitted: Calibration) -> None:
        """Write what was fitted for the weights that are here now."""
        weights = WeightsFacts.read(self.weights_facts_file).weights
        fitted.model_copy(update={"weights": weights}).write(self.calibration_file)

    def publish_weights(self, plan: Plan, content: bytes) -> None:
        """Replace `weights/` by the content of a weights file, with its hash and the plan and data it has."""

        def fill(folder: Path) -> None:
            (folder / self.weights_file.name).write_bytes(content)
            data = {one.name: _hash(one) for one in (self.fingerprint_file, self.splits_file)}
            facts = WeightsFacts(sha256=hashlib.sha256(content).hexdigest(), plan=Meaning.of(plan), data=data)
            facts.write(folder / self.weights_facts_file.name)

        publish_folder(self.weights_file.parent, fill)

    def verified_weights(self, plan: Plan) -> Path:
        """The weights file, checked against its hash and the plan. Raises ModelFileError."""
        self.require(self.weights_file, self.weights_facts_file, what="this run has no finished weights")
        facts = WeightsFacts.read(self.weights_facts_file)
        if facts.weights != _hash(self.weights_file):
            raise ModelFileError(
                "the weights file is damaged or was exchanged",
                where=self.weights_file,
                expected=f"sha256 {facts.weights}",
                fix=SOURCE,
            )
        self._check_plan(plan, facts, "the one these weights belong to")
        return self.weights_file

    def verified_engine(self, plan: Plan) -> EngineFacts:
        """The engine's facts, after checking that its files are whole and belong to these weights and plan.

        Raises ModelFileError.
        """
        self.require(
            self.engine_file,
            self.engine_facts_file,
            what="this run has no exported engine",
            otherwise=", or use --engine keras",
        )
        facts = EngineFacts.read(self.engine_facts_file)
        for name in sorted({"model.xml", "model.bin", *facts.files}):
            if Path(name).name != name or facts.files.get(name) != _hash(self.engine_file.parent / name):
                what = f"the engine's {name} is damaged or was exchanged"
                raise ModelFileError(what, where=self.engine_file.parent, fix=SOURCE)
        self._check_plan(plan, facts, "the one that was exported")
        made = self._made
        if made is not None and made.weights != facts.weights:
            what = "the engine was exported from other weights than the ones in this run"
            raise ModelFileError(what, where=self.engine_file.parent, fix=SOURCE)
        return facts

    def verified_data(self, file: Path) -> Path | None:
        """fingerprint.json or splits.json, checked that the weights were trained with it; None without it.

        Raises ModelFileError.
        """
        if not os.path.lexists(file):
            return None
        made = self._made
        known = made.data.get(file.name) if isinstance(made, WeightsFacts) else None
        if known is not None and known != _hash(file):
            raise ModelFileError(
                f"{file.name} was changed, or is that of another run",
                where=file,
                expected=f"sha256 {known}",
                fix=SOURCE,
            )
        return file

    @property
    def _made(self) -> WeightsFacts | EngineFacts | None:
        """What tells which weights these are: weights.json, or else engine.json; None in a new run."""
        if os.path.isfile(self.weights_facts_file):
            return WeightsFacts.read(self.weights_facts_file)
        return EngineFacts.read(self.engine_facts_file) if os.path.isfile(self.engine_facts_file) else None

    def _check_plan(self, plan: Plan, made: WeightsFacts | EngineFacts, what: str) -> None:
        """Raise ModelFileError unless weights or engine, which are `what`, were made for this plan."""
        known, now = made.plan, Meaning.of(plan)
        if known is None:  # an earlier version recorded the network only
            known = now if made.network is None else now.model_copy(update={"network": made.network})
        difference = known.difference(now)
        if difference is not None:
            field, expected, received = difference
            name = field.partition(".")[0]
            raise ModelFileError(
                f"plan.json describes another {NAMES.get(name, name)} than {what}",
                where=f"{self.plan_file}, {field}",
                expected=shortened(expected),
                received=shortened(received),
                fix="set it back as expected, or copy the run folder again from its source; for a model with "
                "other classes or inputs train anew with --plan, or with --init from this run",
            )


def floats_in(file: Path, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The floats of an .npy file of a run. Raises ModelFileError for one that is damaged, or of another shape
    than told.
    """
    try:
        found: np.ndarray = np.load(file, allow_pickle=False)
    except DAMAGED_ARRAY as cause:
        raise ModelFileError("a file of the run is damaged", where=file, fix=SOURCE) from cause
    if found.dtype.kind != "f" or found.shape != (shape or found.shape):
        raise ModelFileError(
            "a file of the run is damaged",
            where=file,
            expected="floats" if shape is None else f"floats of shape {shape}",
            received=f"{found.dtype}, {found.shape}",
            fix=SOURCE,
        )
    return found


def _hash(file: Path) -> str | None:
    """Hex SHA-256 of the content of a file; None without one. Raises ModelFileError."""
    if not os.path.isfile(file):
        return None
    try:
        if (size := file.stat().st_size) > MOST_BYTES:
            raise ModelFileError("a file of the run is too large", where=file, received=f"{size} bytes")
        return sha256_file(file)
    except OSError as cause:
        raise ModelFileError(
            "a file of the run cannot be read", where=file, received=cause.strerror
        ) from cause
