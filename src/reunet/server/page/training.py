"""Training on from the page: a process of its own, which can be watched, stopped and resumed."""

import json
import re
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

from reunet import signals
from reunet.contracts.run import RunFolder
from reunet.errors import ModelFileError, UsageError
from reunet.server.models import Model
from reunet.server.page.library import RUN, Library
from reunet.server.problems import RefusedError
from reunet.texts import Language

GRACE_S = 15.0
"""Seconds that a training has to save its state when the server ends."""


SHOWN = ("step", "time_s", "loss", "val_score")
"""Columns of the history that the curves are made of."""

MOST_MINUTES = 24 * 60


class Training:
    """The training that the page started last.

    report: what the process tells, see `train_child`.
    """

    def __init__(self, library: Library) -> None:
        self._library, self._lock = library, Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = library.service.scratch / "training"
        self._run: Path | None = None
        self._data: Path | None = None
        self._ends, self._left, self._stopping = 0.0, 0.0, False

    def start(self, model: Model | None, minutes: float, language: Language = "en") -> dict[str, Any]:
        """Train on from a model with the dataset of the page; without one a first model.

        language: of the report. Raises UsageError.
        """
        root = self._library.open().root
        if root is None:
            raise UsageError("there is no dataset to train with", fix="correct and save an image first")
        if not 0 < minutes <= MOST_MINUTES:
            raise UsageError(
                "a training takes some minutes",
                expected=f"more than 0, at most {MOST_MINUTES}",
                received=minutes,
            )
        with self._lock:
            self._refuse_second()
            begun = None if model is None else model.folder.path
            self._run, self._data = next_run(begun or root.with_name(root.name + RUN)), root
            self._ends = time.monotonic() + 60 * minutes
            wishes = {"minutes": minutes, "lang": language}
            self._begin(wishes | ({} if begun is None else {"init": str(begun)}))
        return self.now()

    def resume(self, language: Language = "en") -> dict[str, Any]:
        """Go on with the training that was stopped. Raises UsageError."""
        with self._lock:
            self._refuse_second()
            if self._run is None or not RunFolder(self._run).has_checkpoint:
                raise UsageError("there is no stopped training to go on with")
            self._ends = time.monotonic() + self._left
            self._begin({"resume": True, "lang": language})
        return self.now()

    def stop(self) -> dict[str, Any]:
        """Let the training save its state and end, which takes until the end of a step."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._stopping, self._left = True, max(0.0, self._ends - time.monotonic())
                signals.ask_to_end(self._process)
        return self.now()

    def close(self) -> None:
        """End with the server; the state is saved."""
        self.stop()
        if self._process is not None:
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def now(self) -> dict[str, Any]:
        """How it stands: its state, what it does, its curves and pictures."""
        state, report = self._state(), self._report()
        history: list[dict[str, Any]] = []
        if self._run is not None:
            try:
                rows = RunFolder(self._run).history()
            except ModelFileError:
                rows = []
            history = [{name: _number(row[name]) for name in SHOWN} for row in rows]
        is_training = state == "running" and bool(report.get("step"))
        left = max(0.0, self._ends - time.monotonic()) if is_training and self._ends else None
        return {
            "state": state, "stopping": self._stopping and state == "running", "left": left,
            "history": history,
            "usable": state == "finished", "run": None if self._run is None else self._run.name,
            "task": report.get("task") if state == "running" else None, "step": report.get("step", 0),
            "steps": report.get("steps") or 0, "message": report.get("message"), "pictures": self._pictures(),
        }  # fmt: skip

    def use(self) -> Model:
        """Load the model that was trained. Raises UsageError before it is done."""
        if self._run is None or self._state() != "finished":
            raise UsageError("there is no finished training")
        return self._library.service.models.add(self._run)

    def picture(self, name: str) -> Path:
        """The file of a picture of `now`. Raises RefusedError."""
        path = self._folder / Path(name).name
        if path.suffix != ".png" or not path.is_file():
            raise RefusedError(404, "there is no such picture")
        return path

    def _refuse_second(self) -> None:
        if self._process is not None and self._process.poll() is None:
            raise UsageError("a training is running already", fix="stop it first, or wait until it is done")

    def _begin(self, options: dict[str, Any]) -> None:
        self._stopping = False
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.iterdir():
            old.unlink()
        told = {"data": str(self._data), "output": str(self._run), "report": str(self._folder), **options}
        command = [sys.executable, "-m", "reunet.server.page.train_child", json.dumps(told)]
        with (self._folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **signals.apart()
            )

    def _state(self) -> str:
        if self._process is None:
            return "none"
        code = self._process.poll()
        if code is None:
            return "running"
        return "stopped" if code in signals.STOPPED else "failed" if code else "finished"

    def _report(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads((self._folder / "report.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return told

    def _pictures(self) -> list[dict[str, str]]:
        shown = self._report().get("pictures", [])
        return [{"name": one["name"], "address": f"page/training/pictures/{one['file']}"} for one in shown]


def next_run(run: Path) -> Path:
    """A folder for a run, or beside it for the one that goes on from it: NAME-2, NAME-3 ..."""
    if not run.exists():
        return run
    stem = re.sub(r"-\d+$", "", run.name)
    folders = (run.with_name(f"{stem}-{number}") for number in count(2))
    return next(one for one in folders if not one.exists())


def _number(text: str) -> float | None:
    return float(text) if text else None
