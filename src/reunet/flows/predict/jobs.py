"""What `predict` does with each image or sequence: predict it one way or another, or leave nothing behind."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Lock
from typing import TYPE_CHECKING

from reunet.errors import PlanError, ReunetError, StorageError
from reunet.flows.predict.at_once import predict_at_once
from reunet.flows.predict.attempts import Attempt, failures_of
from reunet.flows.predict.fields_of_view import field_of_view
from reunet.flows.predict.outputs import Job
from reunet.flows.predict.slides import check_level, told_of
from reunet.flows.predict.ways import check_axes, check_memory, header_of, in_sections
from reunet.inference.large import memory
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.io.header import ImageHeader
from reunet.progress import Progress

if TYPE_CHECKING:
    from reunet.flows.predict.large import Spread

WORKERS = 2
"""Images in hand at a time: while the engine predicts one, another is read or written."""


def predict_all(
    groups: Sequence[Sequence[Job]], predictor: AnyPredictor, max_memory: int | None, progress: Progress
) -> dict[str, str]:
    """Predict all files, several groups in hand at a time. Returns {input: reason} of those that failed."""
    worker, attempts = Worker(predictor, max_memory), dict[int, Attempt]()
    pool = ThreadPoolExecutor(WORKERS if max_memory is None else 1)
    try:
        futures = {pool.submit(worker.attempt, group): number for number, group in enumerate(groups)}
        for future in as_completed(futures):
            attempts[futures[future]] = future.result()
            progress.advance(len(groups[futures[future]]))
    finally:
        pool.shutdown(cancel_futures=True)
    return failures_of(groups, attempts, progress)


class Worker:
    """Predicts images and sequences with one predictor; one thread at a time uses the engine.

    engine: the lock of who uses it. spread: who predicts the pieces of large images; None for this process.
    """

    def __init__(
        self,
        predictor: AnyPredictor,
        max_memory: int | None,
        engine: Lock | None = None,
        spread: Spread | None = None,
    ) -> None:
        self._predictor, self._max_memory = predictor, max_memory
        self._engine, self._spread = engine or Lock(), spread

    def is_large(self, jobs: Sequence[Job]) -> bool:
        """Whether an image is predicted section by section. Raises what reading its header does."""
        header = header_of(jobs[0], self._predictor.rank)
        return in_sections(jobs, header, self._predictor, self._max_memory)

    def attempt(self, jobs: Sequence[Job]) -> Attempt:
        """Predict all pages of one file, or the files of one sequence. After a failure none has results.

        Raises StorageError for what fails for every image: a full disk, a folder that may not be written.
        """
        attempt = Attempt()
        try:
            self._predict(jobs, attempt)
        except (ReunetError, OSError, MemoryError) as cause:
            if isinstance(cause, StorageError) and not _is_long_name(cause):
                raise
            attempt.reason = str(cause) or type(cause).__name__
        return attempt

    def _predict(self, jobs: Sequence[Job], attempt: Attempt) -> None:
        predictor, max_memory = self._predictor, self._max_memory
        try:
            headers = [header_of(job, predictor.rank) for job in jobs]
            for job, header in zip(jobs, headers, strict=True):
                check_axes(job, header, predictor.rank)
                check_level(job, header)
            large = in_sections(jobs, headers[0], predictor, max_memory)
            if predictor.plan.prompt is not None and (large or headers[0].pages > 1):
                raise PlanError(
                    "points ask for something in one image that is predicted at once",
                    where=jobs[0].source.path,
                    received="an image that is read in parts" if large else f"{headers[0].pages} pages",
                    fix="cut out the part around the points",
                )
            if large:
                self._predict_large(jobs[0], headers[0])
            else:
                for job, header in zip(jobs, headers, strict=True):
                    check_memory(job, header, predictor, max_memory)
                predict_at_once(jobs, headers, predictor, self._engine, attempt.latencies)
        except BaseException:
            for job in jobs:
                job.remove_results()
            raise
        if headers[0].is_volume and not headers[0].spacing:
            attempt.unstated.append(jobs[0].source.path)
        told = zip(jobs, headers, strict=True)
        attempt.doubts += [f"{job.source.path.name}: {one}" for job, header in told for one in header.doubts]
        attempt.doubts += told_of(jobs[0], headers[0], predictor.plan)

    def _predict_large(self, job: Job, header: ImageHeader) -> None:
        predictor, allowed = self._predictor, self._max_memory
        if isinstance(predictor, SequencePredictor):
            raise PlanError("this run is for sequences, the file is a single image", where=job.source.path)
        from reunet.flows.predict.large import predict_large  # most files do not need it

        with self._engine:
            if allowed is not None:
                allowed -= memory.of_engine(predictor)
            predict_large(job, predictor, header, allowed, field_of_view(job, header), self._spread)


def _is_long_name(error: StorageError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENAMETOOLONG
