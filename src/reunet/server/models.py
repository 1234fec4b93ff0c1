"""The runs that a server predicts with, each loaded once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from reunet.contracts.facts import EngineFacts, WeightsFacts
from reunet.contracts.pack import run_at
from reunet.contracts.plan import Plan
from reunet.contracts.run import RunFolder
from reunet.errors import UsageError, closest
from reunet.inference.load import load
from reunet.inference.sequence import AnyPredictor
from reunet.server.problems import RefusedError


@dataclass(frozen=True)
class Model:
    """A run under the name that requests call it by. predictor: may be called by several threads."""

    id: str
    folder: RunFolder
    predictor: AnyPredictor

    @property
    def plan(self) -> Plan:
        return self.predictor.plan

    @cached_property
    def weights(self) -> str | None:
        """SHA-256 of the weights."""
        if self.folder.weights_facts_file.is_file():
            return WeightsFacts.read(self.folder.weights_facts_file).weights
        return EngineFacts.read(self.folder.engine_facts_file).weights

    def described(self) -> dict[str, Any]:
        """What a client may want to know before it sends an image."""
        plan, runtime = self.plan, self.predictor.runtime
        categories = None if plan.categories is None else list(plan.categories.names)
        return {
            "id": self.id,
            "weights": self.weights,
            "tasks": list(plan.tasks),
            "classes": [
                {"id": entry.id, "name": entry.name, "color": list(entry.color)}
                for entry in plan.labels.classes
            ],
            "categories": categories,
            "channels": plan.input.channels,
            "axes": plan.network.spatial_dims,
            "sequences": plan.clip is not None,
            "engine": runtime.name,
            "precision": runtime.precision,
            "plan": plan.model_dump(mode="json"),
        }


class Models(Mapping[str, Model]):
    """The runs by their names; runs may join while the server is at work."""

    def __init__(self, **how: Any) -> None:
        """how: the runs predict, as `reunet.load` takes it."""
        self._how = how
        self._found: dict[str, Model] = {}
        self._lock = Lock()

    def __getitem__(self, name: str) -> Model:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._found))

    def __len__(self) -> int:
        return len(self._found)

    def add(self, run: Path) -> Model:
        """Load a run; its folder's name is its own. One that is there already is loaded anew.

        Raises UsageError for two runs of one name, and what `reunet.load` raises.
        """
        run = run.resolve()
        folder, name = run_at(run), run.stem if run.is_file() else run.name
        model = Model(name, folder, load(folder.path, **self._how))
        with self._lock:
            other = self._found.get(model.id)
            if other is not None and other.folder.path != folder.path:
                raise UsageError(
                    "two runs have one name",
                    where=f"{other.folder.path} and {run}",
                    received=model.id,
                    fix="rename one of the folders: requests call a run by the name of its folder",
                )
            self._found[model.id] = model
        return model

    def wanted(self, name: str | None) -> Model:
        """The run of that name; without a name the only one. Raises RefusedError."""
        found, names = dict(self._found), ", ".join(self._found) or "none"
        if name is None:
            if len(found) == 1:
                return next(iter(found.values()))
            raise RefusedError(
                422 if found else 404,
                "say which model is to predict" if found else "this server has no model",
                where="?model=",
                expected=names,
                fix="GET /v1/models tells about each" if found else "start it with `reunet serve RUN`",
            )
        if name not in found:
            fix = closest(name, found) or "GET /v1/models lists those there are"
            raise RefusedError(
                404, "there is no such model", where="?model=", expected=names, received=name[:100], fix=fix
            )
        return found[name]
