"""What a comparison is: its contenders, settings, folders and the plans its trainings follow."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reunet.contracts.options.records import CompareOptions, DataOptions
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import StorageError, UsageError, known_name
from reunet.flows.prepare import Prepared, prepare
from reunet.networks import PRESETS
from reunet.planning import PlanRequest, make_plan
from reunet.progress import Progress
from reunet.storage import read_json, write_json
from reunet.training.pace import paced


@dataclass(frozen=True)
class Contender:
    """A network that takes part: a preset, or the control of a recurrent one at equal parameters."""

    preset: str
    control: bool = False

    @property
    def name(self) -> str:
        return f"{self.preset}:control" if self.control else self.preset

    @property
    def folder(self) -> str:
        return self.name.replace(":", "-")


@dataclass(frozen=True)
class Contest:
    """What is compared, as asked; the plans follow `request`."""

    options: CompareOptions
    contenders: tuple[Contender, ...]
    request: PlanRequest

    def run(self, contender: Contender, seed: int) -> RunFolder:
        """The folder of one training."""
        return RunFolder(self.options.output / "runs" / f"{contender.folder}-{seed}")

    def plan_file(self, contender: Contender, seed: int) -> Path:
        """The plan that one training follows."""
        return self.options.output / "plans" / f"{contender.folder}-{seed}.json"

    @property
    def settings_file(self) -> Path:
        """Where the settings of the comparison are."""
        return self.options.output / "settings.json"

    def order(self) -> list[tuple[Contender, int]]:
        """Seed by seed, each beginning with another one: a machine that slows down then hits all alike."""
        turns = []
        for seed in range(self.options.seeds):
            first = seed % len(self.contenders)
            turns += [(contender, seed) for contender in (*self.contenders[first:], *self.contenders[:first])]
        return turns

    def settings(self, prepared: Prepared) -> dict[str, Any]:
        """What all trainings have in common; contenders and seeds may be added later."""
        given = {name: getattr(self.options, name) for name in DataOptions.OPTIONS}
        contents = sorted(case.content for case in prepared.fingerprint.cases)
        return {
            "schema_version": 1,
            "dataset": prepared.dataset.name,
            "content": hashlib.sha256("".join(contents).encode()).hexdigest()[:16],
            "split": self.options.split,
            "budget": self.request.budget,
            "backend": self.request.backend,
            "max_memory": self.request.max_memory,
            "options": {name: str(value) for name, value in given.items() if value},
        }


def is_scored(run: RunFolder, split: str) -> bool:
    """Whether a run has been evaluated on a split."""
    return (run.evaluation(split) / "metrics.csv").is_file()


def parse_contenders(presets: str) -> tuple[Contender, ...]:
    """Entries of `a,b,b:control,control`; `control` alone is that of the first one.

    Raises UsageError for fewer than two, for one named twice and for the control of a network that has
    none, PlanError with a suggestion for an unknown name.
    """
    names = [name.strip() for name in presets.split(",") if name.strip()]
    controls = [f"{name}:control" for name, preset in PRESETS.items() if preset.control is not None]
    contenders = []
    for name in names:
        full = f"{names[0]}:control" if name == "control" else name
        preset, _, role = full.partition(":")
        if preset in PRESETS and role == "control" and full not in controls:
            raise UsageError(
                "this network has no recurrence, hence no control without it",
                where="--presets",
                expected=", ".join(controls),
                received=name,
            )
        known_name(full, (*PRESETS, *controls), where="--presets")
        contenders.append(Contender(preset, bool(role)))
    if len(contenders) < 2 or len(set(contenders)) < len(contenders):
        raise UsageError(
            "a comparison needs at least two networks, each of them once",
            where="--presets",
            expected="names with commas between them, such as unet,cnn_rnn_unet",
            received=presets,
        )
    return tuple(contenders)


def make_plans(contest: Contest, progress: Progress) -> dict[str, Any]:
    """Write the plans of all trainings that have none yet; returns the settings of the comparison.

    Every plan is made before anything is trained. Raises StorageError when the folder holds a comparison
    with other settings, and what planning raises.
    """
    settings: dict[str, Any] = {}
    for seed in range(contest.options.seeds):
        missing = [one for one in contest.contenders if not contest.plan_file(one, seed).is_file()]
        if settings and not missing:
            continue
        prepared = prepare(contest.options.data, contest.options, progress, seed=seed)
        if not settings:
            settings = contest.settings(prepared)
            _refuse_other_settings(contest, settings)
        for contender in missing:
            plan = contender_plan(contender, prepared, replace(paced(contest.request, progress), seed=seed))
            plan.write(contest.plan_file(contender, seed))
    return settings


def contender_plan(contender: Contender, prepared: Prepared, request: PlanRequest) -> Plan:
    """The plan of one training: as `reunet plan` would make it, for a control with the control's network."""
    plan = make_plan(prepared.fingerprint, replace(request, preset=contender.preset))
    if not contender.control:
        return plan
    from reunet.networks.controls import control_of

    reasons = plan.reasons | {
        "network": f"the control of {contender.preset}: the same network without the recurrence, its filters "
        "scaled so that it has as many parameters"
    }
    changes = {"network": control_of(plan.network).model_dump(), "thinking": None, "reasons": reasons}
    return Plan.parse(plan.model_dump() | changes, where=f"plan of {contender.name}")


def _refuse_other_settings(contest: Contest, settings: dict[str, Any]) -> None:
    file = contest.settings_file
    if not file.is_file():
        write_json(file, settings)
        return
    known = read_json(file, StorageError)
    differ = [name for name in settings if known.get(name) != settings[name]]
    if differ:
        raise StorageError(
            "a comparison with other settings is in this folder",
            where=contest.options.output,
            expected="; ".join(f"{name}: {known.get(name)}" for name in differ),
            received="; ".join(f"{name}: {settings[name]}" for name in differ),
            fix="choose another folder with -o",
        )
