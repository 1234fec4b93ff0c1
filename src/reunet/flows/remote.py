"""What the workers of a cluster do for `predict` and `evaluate`, and how it is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

from reunet.contracts.labels import LabelMap
from reunet.contracts.options.records import EngineOptions
from reunet.contracts.run import RunFolder
from reunet.datasets.cases import Case
from reunet.errors import ClusterError, ReunetError
from reunet.flows.evaluate.labelled import labelled_cases, loaders_of
from reunet.flows.evaluate.scoring import Evaluation, collect
from reunet.flows.predict.attempts import Attempt, failures_of
from reunet.flows.predict.jobs import Worker
from reunet.flows.predict.outputs import Job
from reunet.inference.cluster import Cluster
from reunet.inference.load import load
from reunet.inference.predictor import Predictor
from reunet.inference.sequence import AnyPredictor
from reunet.progress import NullProgress, Progress
from reunet.sampling.windows import sequences

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Engine:
    """Which predictor a worker loads, once; see `reunet.load`.

    run: absolute. how: as of `EngineOptions`. stamp: of its files, so that a worker that outlives a training
    does not go on with the old weights.
    """

    run: Path
    how: tuple[tuple[str, Any], ...]
    stamp: tuple[int, ...]

    @classmethod
    def of(cls, run: Path, options: EngineOptions) -> Engine:
        """That of a run as it is now."""
        folder = RunFolder(run.absolute())
        facts = folder.engine_facts_file, folder.weights_facts_file
        files = (folder.plan_file, folder.calibration_file, *facts)
        stamp = tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)
        return cls(folder.path, tuple(options.how.items()), stamp)


_loading = Lock()


@lru_cache(maxsize=1)
def _loaded(wanted: Engine) -> tuple[AnyPredictor, Lock]:
    from distributed import get_worker

    threads = int(get_worker().state.nthreads)
    return load(wanted.run, threads=threads, **dict(wanted.how)), Lock()


def loaded(wanted: Engine) -> tuple[AnyPredictor, Lock]:
    """The predictor of this process and the lock of who uses it."""
    with _loading:
        return _loaded(wanted)


def predict_on(
    cluster: Cluster,
    engine: Engine,
    groups: Sequence[Sequence[Job]],
    predictor: AnyPredictor,
    max_memory: int | None,
    progress: Progress,
) -> dict[str, str]:
    """The same as `predict_all`, on a cluster: groups wherever a worker is free; then large images one after
    the other, piece by piece.

    max_memory: of each worker's process.
    """
    attempts: dict[int, Attempt] = {}
    absolute = [[job.absolute() for job in group] for group in groups]
    large: list[int] = []
    for number, attempt in cluster.run(partial(_predict_group, engine, max_memory), absolute):
        if attempt is None:
            large.append(number)
            continue
        if isinstance(attempt, ClusterError):
            for job in groups[number]:
                job.remove_results()
            attempt = Attempt(str(attempt))
        attempts[number] = attempt
        progress.advance(len(groups[number]))

    def spread(verb: str, do: Callable[[Any, Predictor], Any], items: Sequence[Any]) -> Sequence[Any]:
        progress.start(f"{verb} {name}, parts", len(items))
        return cluster.all_of(partial(_on_worker, engine, do), items, lambda *_: progress.advance(1))

    here = Worker(predictor, max_memory, spread=spread)
    for number in sorted(large):
        name = groups[number][0].source.path.name
        attempts[number] = here.attempt(absolute[number])
        progress.advance(len(groups[number]))
    return failures_of(groups, attempts, progress)


def _predict_group(engine: Engine, max_memory: int | None, group: Sequence[Job]) -> Attempt | None:
    """On a worker. None for a large image, which is left to be spread."""
    predictor, lock = loaded(engine)
    worker = Worker(predictor, max_memory, lock)
    try:
        if worker.is_large(group):
            return None
    except (ReunetError, OSError):
        pass  # the attempt will tell
    return worker.attempt(group)


def _on_worker(engine: Engine, do: Callable[[T, Predictor], R], item: T) -> R:
    predictor, lock = loaded(engine)
    with lock:
        return do(item, cast(Predictor, predictor))  # `Worker` refuses runs on sequences


def score_on(
    cluster: Cluster,
    engine: Engine,
    cases: Sequence[Case],
    described: tuple[LabelMap, str | None, str],
    progress: Progress,
) -> Evaluation:
    """The scores of the images of a split, each image or sequence wherever a worker is free.

    described: the classes, the axes and the name of the split. Raises ClusterError.
    """
    progress.start(f"evaluating {described[2]}", len(cases))
    groups = [[cases[number] for number in numbers] for numbers in sequences(cases)]

    def noted(number: int, scores: Evaluation) -> None:
        for name, reason in scores.failures.items():
            progress.message(f"{name}: {reason}")
        progress.advance(len(groups[number]))

    score = partial(_on_worker, engine, partial(_score, described))
    whole, *others = cluster.all_of(score, groups, noted)
    for scores in others:
        whole.merge(scores)
    return whole


def _score(
    described: tuple[LabelMap, str | None, str], cases: Sequence[Case], predictor: AnyPredictor
) -> Evaluation:
    """On a worker."""
    labels, axes, split = described
    loaders = loaders_of(predictor, labelled_cases(cases, labels, axes))
    return collect(loaders, predictor.work, predictor.calibration, split, NullProgress())
