"""Where things lie in a run folder. The folder is evidence and package: it may be moved or renamed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reunet.contracts.names import file_name
from reunet.contracts.network import NetworkConfig
from reunet.contracts.plan import Calibration, Plan
from reunet.errors import ModelFileError
from reunet.storage import publish_folder, read_json, sha256_file, write_json


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
        if not self.plan_file.is_file():
            raise ModelFileError(
                "this folder is not a run: it has no plan.json",
                where=self.path,
                fix="give the folder that `reunet train ... -o RUN` wrote",
            )
        return Plan.read(self.plan_file)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there may be something to resume from."""
        return self.plan_file.is_file() and any(self.checkpoints.glob("[0-9]*"))

    def require(self, *files: Path, what: str, otherwise: str = "") -> None:
        """Raise ModelFileError unless there are these files, which a training writes last.

        what: the error; otherwise: what the user can do instead of finishing the training.
        """
        if not all(file.is_file() for file in files):
            fix = "finish the training with `reunet train ... --resume`"
            raise ModelFileError(what, where=files[0].parent, fix=fix + otherwise)

    def require_finished(self, otherwise: str = "") -> None:
        """Raise ModelFileError unless the training has ended; `otherwise` as in `require`."""
        # The first thing that is written after the last step.
        self.require(self.calibration_file, what="this training has not finished", otherwise=otherwise)

    def calibration(self) -> Calibration:
        """The calibration, or an empty one when none was fitted."""
        return Calibration.read(self.calibration_file) if self.calibration_file.is_file() else Calibration()

    def publish_weights(self, plan: Plan, content: bytes) -> None:
        """Replace `weights/` by the content of a weights file, with its hash and the network it is of."""

        def fill(folder: Path) -> None:
            (folder / self.weights_file.name).write_bytes(content)
            facts = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "network": plan.network.model_dump(mode="json"),
            }
            write_json(folder / self.weights_facts_file.name, facts)

        publish_folder(self.weights_file.parent, fill)

    def verified_weights(self, plan: Plan) -> Path:
        """The weights file, checked against its hash and the plan. Raises ModelFileError."""
        self.require(self.weights_file, self.weights_facts_file, what="this run has no finished weights")
        facts = read_facts(self.weights_facts_file)
        if facts.get("sha256") != sha256_file(self.weights_file):
            raise ModelFileError(
                "the weights file is damaged or was exchanged",
                where=self.weights_file,
                expected=f"sha256 {facts.get('sha256')}",
                fix="copy the run folder again from its source",
            )
        if NetworkConfig.parse(facts.get("network"), where=self.weights_facts_file) != plan.network:
            raise ModelFileError(
                "plan.json describes another network than the one these weights belong to",
                where=self.plan_file,
                fix="restore the plan.json that the run was trained with",
            )
        return self.weights_file


def read_facts(path: Path) -> dict[str, Any]:
    """Read a small JSON object of a run folder. Raises ModelFileError."""
    facts = read_json(path, ModelFileError)
    if not isinstance(facts, dict):
        raise ModelFileError("a file of the run is unreadable", where=path, expected="a JSON object")
    return facts
