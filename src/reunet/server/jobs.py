"""Predictions of many or large files, one after the other; their clients do not wait for them."""

import logging
import os
import secrets
import shutil
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from reunet.contracts.options.records import PredictOptions
from reunet.errors import ReunetError
from reunet.flows.predict.predict import predict_with
from reunet.server.models import Model
from reunet.server.problems import RefusedError
from reunet.server.uploads import unpack

MOST_OPEN = 16
"""Jobs that are waiting or at work; further ones are told to come again."""

KEPT, KEPT_S = 64, 24 * 3600.0
"""Finished jobs whose results are kept, and how long; the oldest goes first."""

State = Literal["waiting", "working", "done", "partly", "failed", "cancelled"]
OPEN: tuple[State, ...] = ("waiting", "working")

log = logging.getLogger("reunet.server")


class _CancelledError(Exception):
    """The client, or the end of the server, has no use for the job any more."""


@dataclass
class Job:
    """Files to be predicted, and what came of them.

    folder: `in` holds the files, `results.zip` in the end what `predict` writes. done, total: files; total is
    None until they are counted. failures: reasons by file. version: raised with every change.
    """

    id: str
    model: Model
    folder: Path
    state: State = "waiting"
    done: int = 0
    total: int | None = None
    message: str = ""
    failures: dict[str, str] = field(default_factory=dict)
    version: int = 0
    ended: float | None = None
    is_cancelled: bool = False

    @property
    def inputs(self) -> Path:
        """Where its files lie."""
        return self.folder / "in"

    @property
    def output(self) -> Path:
        """What is found in them, until it is packed."""
        return self.folder / "out"

    @property
    def results(self) -> Path:
        """The archive of its results."""
        return self.folder / "results.zip"

    @property
    def is_open(self) -> bool:
        """Whether it is waiting or at work."""
        return self.state in OPEN

    def set(self, **changes: Any) -> None:
        """Change its fields, for whoever follows it."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.version += 1

    def described(self) -> dict[str, Any]:
        """What its client is told."""
        return {
            "id": self.id,
            "model": self.model.id,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "message": self.message,
            "failures": self.failures,
            "results": f"/v1/jobs/{self.id}/results" if self.state in ("done", "partly") else None,
        }


class _Told:
    """Passes on to a job how `predict` gets on."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def start(self, task: str, total: int | None) -> None:
        """So many files are to be predicted."""
        self._check()
        self._job.set(done=0, total=total)

    def advance(self, n: int = 1, **info: object) -> None:
        """So many more are done."""
        self._check()
        self._job.set(done=self._job.done + n)

    def message(self, text: str) -> None:
        """A line for people."""
        self._check()
        self._job.set(message=text)

    def _check(self) -> None:
        if self._job.is_cancelled:
            raise _CancelledError


class Jobs:
    """The jobs of a server, by their ids, which nobody can guess. One is at work at a time."""

    def __init__(self, scratch: Path) -> None:
        self._scratch, self._jobs, self._lock = scratch, dict[str, Job](), Lock()
        self._pool = ThreadPoolExecutor(1, "job")

    @property
    def open(self) -> int:
        """Jobs that are waiting or at work."""
        return sum(job.is_open for job in [*self._jobs.values()])

    def check_room(self) -> None:
        """Raise RefusedError where too many are waiting."""
        if self.open >= MOST_OPEN:
            raise RefusedError(
                429,
                "the server has as many jobs in hand as it takes",
                headers={"retry-after": "30"},
                received=f"{self.open} jobs",
                fix="send it again after the seconds that Retry-After tells",
            )

    def new(self, model: Model) -> Job:
        """A job whose folder is there to be filled; `begin` or `remove` comes next."""
        self._forget()
        name = secrets.token_urlsafe(12)
        job = Job(name, model, self._scratch / f"job{secrets.token_hex(8)}")
        job.inputs.mkdir(parents=True)
        return job

    def begin(self, job: Job) -> None:
        """Let it be worked on when its turn comes. Raises RefusedError."""
        with self._lock:
            self.check_room()
            self._jobs[job.id] = job
        self._pool.submit(self._work, job)

    def wanted(self, name: str) -> Job:
        """The job of that id. Raises RefusedError."""
        self._forget()
        if name not in self._jobs:
            raise RefusedError(
                404, "there is no such job", received=name[:100], fix="finished jobs are kept for a day"
            )
        return self._jobs[name]

    def remove(self, job: Job) -> None:
        """Cancel it and forget it with all its files."""
        job.is_cancelled = True
        if not job.is_open or job.id not in self._jobs:
            shutil.rmtree(job.folder, ignore_errors=True)
        self._jobs.pop(job.id, None)

    def close(self) -> None:
        """Cancel all; returns when nothing works any more."""
        for job in [*self._jobs.values()]:
            job.is_cancelled = True
        self._pool.shutdown(cancel_futures=True)

    def _forget(self) -> None:
        """Remove finished jobs that are old, or too many."""
        finished = [job for job in [*self._jobs.values()] if job.ended is not None]
        finished.sort(key=lambda job: job.ended or 0.0)
        old = time.monotonic() - KEPT_S
        for job in [one for one in finished if (one.ended or 0.0) < old] + finished[:-KEPT]:
            self.remove(job)

    def _work(self, job: Job) -> None:
        job.set(state="working")
        outcome = self._outcome(job)
        if job.is_cancelled:
            outcome = {"state": "cancelled"}
        for folder in (job.folder,) if job.is_cancelled else (job.inputs, job.output):
            shutil.rmtree(folder, ignore_errors=True)  # only the results stay
        job.set(**outcome, ended=time.monotonic())

    def _outcome(self, job: Job) -> dict[str, Any]:
        """What came of it, as its fields tell."""
        try:
            return self._predict(job)
        except _CancelledError:
            return {"state": "cancelled"}
        except (ReunetError, OSError, MemoryError) as error:
            text = str(error) or type(error).__name__
            return {"state": "failed", "message": _named_as_sent(text, job)}
        except Exception as error:
            log.exception("job %s failed", job.id)
            text = f"reunet failed unexpectedly: {type(error).__name__}; this is a bug"
            return {"state": "failed", "message": text}

    def _predict(self, job: Job) -> dict[str, Any]:
        told = _Told(job)
        for archive in [*job.inputs.glob("*.zip")]:
            told.message(f"unpacking {archive.name}")
            unpack(archive, job.inputs)
            archive.unlink()
        images = _given(job.inputs)
        options = PredictOptions(job.model.folder.path, images, output=job.output, on_progress=told)
        result = predict_with(options, lambda _: job.model.predictor)
        failures = {
            _named_as_sent(file, job): _named_as_sent(reason, job) for file, reason in result.failures.items()
        }
        if not result.predicted:
            text = "none of the files could be predicted"
            return {"state": "failed", "failures": failures, "message": text}
        _pack(job.output, job.results)
        return {"state": "partly" if failures else "done", "failures": failures, "message": ""}


def _given(inputs: Path) -> Path:
    """What `predict` is given: the folder, or a file without a suffix that came alone, which is an image."""
    files = [*inputs.iterdir()]
    return files[0] if len(files) == 1 and files[0].is_file() and not files[0].suffix else inputs


def _named_as_sent(text: str, job: Job) -> str:
    """A text in which files are called as their client called them."""
    return text.replace(f"{job.inputs}{os.sep}", "").replace(str(job.inputs), "the upload")


def _pack(folder: Path, archive: Path) -> None:
    """All files below a folder as a zip archive; most of them are packed already."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                opened.write(path, path.relative_to(folder))
