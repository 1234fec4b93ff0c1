"""What `predict` does with each image or sequence: read, predict, write, or leave nothing behind."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from threading import Lock
from time import perf_counter

import numpy as np

from reunet.contracts.results import Prediction
from reunet.errors import PlanError, ReunetError, StorageError, TooLargeError
from reunet.flows.predict.fields_of_view import field_of_view, in_view
from reunet.flows.predict.large import MOST_AT_ONCE, Spread, can_stream, predict_large
from reunet.flows.predict.outputs import Job, write_image, write_stack
from reunet.flows.predict.track_files import TrackWriter
from reunet.inference.predictor import Predictor, seen_size
from reunet.inference.sequence import SequencePredictor
from reunet.io.header import ImageHeader
from reunet.io.images import read_channels, read_header, read_pages
from reunet.io.lazy import is_array, lazy_header
from reunet.machine import memory_bytes, resident_bytes
from reunet.progress import Progress
from reunet.tasks.instances.tracks import linked

WORKERS = 2
"""Images in hand at a time: while the engine predicts one, another is read or written."""

SHARE = 0.25
"""Of the machine's memory, what one image may take in one piece unless it is said how much."""

BASE_MEMORY = 300_000_000
"""Bytes the process takes with an engine loaded, before any image."""


def predict_all(
    groups: Sequence[Sequence[Job]],
    predictor: Predictor | SequencePredictor,
    max_memory: int | None,
    progress: Progress,
) -> dict[str, str]:
    """Predict all files, several groups in hand at a time. Returns {input: reason} of those that failed."""
    worker, tally = Worker(predictor, max_memory), Tally(groups)
    pool = ThreadPoolExecutor(WORKERS if max_memory is None else 1)
    try:
        futures = {pool.submit(worker.attempt, group): number for number, group in enumerate(groups)}
        for future in as_completed(futures):
            tally.add(futures[future], future.result(), progress)
    finally:
        pool.shutdown(cancel_futures=True)
    return tally.failures(progress)


@dataclass(frozen=True)
class Outcome:
    """How the prediction of one group went.

    reason: why it has no results, None if it has them. latencies: seconds from asking for a frame to what is
    found in it, of all sequences, stacks and videos. unstated: volumes that tell no spacing.
    """

    reason: str | None = None
    latencies: Sequence[float] = ()
    unstated: Sequence[Path] = ()


class Tally:
    """What came of the groups, one by one in any order."""

    def __init__(self, groups: Sequence[Sequence[Job]]) -> None:
        self._groups = groups
        self._reasons: dict[int, str] = {}
        self._latencies: list[float] = []
        self._unstated: list[Path] = []

    def add(self, number: int, outcome: Outcome, progress: Progress) -> None:
        """Count the group of that number as done."""
        if outcome.reason is not None:
            self._reasons[number] = outcome.reason
        self._latencies += outcome.latencies
        self._unstated += outcome.unstated
        progress.advance(len(self._groups[number]))

    def failures(self, progress: Progress) -> dict[str, str]:
        """{input: reason} of those that failed; what else there is to tell goes to `progress`."""
        if self._latencies:
            progress.message(latency_of(self._latencies))
        if self._unstated:
            names = ", ".join(path.name for path in self._unstated[:5])
            progress.message(
                f"{len(self._unstated)} volume(s) state no voxel size and count as 1 mm: {names}"
            )
        return {
            str(job.source.path): self._reasons[number]
            for number, group in enumerate(self._groups)
            if number in self._reasons
            for job in group
        }


def latency_of(seconds: Sequence[float]) -> str:
    """Of frames, in a line."""
    median, most = (1000 * value for value in np.quantile(seconds, [0.5, 0.95]))
    return f"{len(seconds)} frames: {median:.0f} ms each (median), 95 % within {most:.0f} ms"


def _is_long_name(error: StorageError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENAMETOOLONG


@dataclass
class _Notes:
    """What is noticed on the way; see `Outcome`."""

    latencies: list[float] = field(default_factory=list)
    unstated: list[Path] = field(default_factory=list)


class Worker:
    """Reads, predicts and writes images and sequences; one thread at a time uses the engine.

    engine: the lock of who uses it. spread: who predicts the regions of large images; None for this process.
    """

    def __init__(
        self,
        predictor: Predictor | SequencePredictor,
        max_memory: int | None,
        engine: Lock | None = None,
        spread: Spread | None = None,
    ) -> None:
        self.predictor, self.max_memory = predictor, max_memory
        self.plan = predictor.plan
        self._engine, self._spread = engine or Lock(), spread

    def attempt(self, jobs: Sequence[Job]) -> Outcome:
        """Predict all pages of one file, or the files of one sequence. After a failure none has results.

        Raises StorageError for what fails for every image: a full disk, a folder that may not be written.
        """
        notes = _Notes()
        try:
            self._predict(jobs, notes)
        except (ReunetError, OSError, MemoryError) as cause:
            if isinstance(cause, StorageError) and not _is_long_name(cause):
                raise
            return Outcome(str(cause) or type(cause).__name__, notes.latencies, notes.unstated)
        return Outcome(None, notes.latencies, notes.unstated)

    def is_large(self, jobs: Sequence[Job]) -> bool:
        """Whether this is an image that is predicted block by block. Raises what reading its header does."""
        return self._in_blocks(jobs, self._header(jobs[0]))

    def _predict(self, jobs: Sequence[Job], notes: _Notes) -> None:
        try:
            headers = [self._header(job) for job in jobs]
            for job, header in zip(jobs, headers, strict=True):
                self._check_axes(job, header)
            if self._in_blocks(jobs, headers[0]):
                self._large(jobs[0], headers[0])
                self._note_spacing(jobs[0], headers[0], notes)
                return
            for job, header in zip(jobs, headers, strict=True):
                self._check_memory(job, header)
            if headers[0].pages > 1:
                self._stack(jobs[0], headers[0], notes)
            else:
                self._files(jobs, headers, notes)
        except BaseException:
            for job in jobs:
                job.remove_results()
            raise

    def _header(self, job: Job) -> ImageHeader:
        """Of an image that is too large to be decoded too, if parts of it can be read."""
        path = job.source.path
        if not is_array(path):
            try:
                return read_header(path, job.axes)
            except TooLargeError:
                if not can_stream(path):
                    raise
        return lazy_header(path, rank=self.predictor.rank, axes=job.axes)

    def _in_blocks(self, jobs: Sequence[Job], header: ImageHeader) -> bool:
        """Whether a file is predicted block by block: for its format, its size or the memory allowed."""
        job, predictor = jobs[0], self.predictor
        if is_array(job.source.path):
            return True
        if len(jobs) > 1 or header.pages > 1 or job.source.channels or not can_stream(job.source.path):
            return False
        if isinstance(predictor, SequencePredictor) or self.plan.input.size is not None:
            return False
        needed = needed_memory(header, predictor, keep_probabilities=job.kinds.probabilities)
        allowed = SHARE * (memory_bytes() or np.inf) if self.max_memory is None else self.max_memory
        return prod(header.size) > MOST_AT_ONCE or needed > allowed

    def _engine_memory(self, predictor: Predictor) -> int:
        """Bytes that the process takes with the engine at work; for volumes it may be more than the image."""
        tiling, channels = predictor.tiling, self.plan.input.channels
        predictor.runtime(np.zeros((tiling.batch, *tiling.tile, channels), np.float32))
        return max(BASE_MEMORY, resident_bytes() or 0)

    def _large(self, job: Job, header: ImageHeader) -> None:
        predictor = self.predictor
        if isinstance(predictor, SequencePredictor):
            raise PlanError("this run is for sequences, the file is a single image", where=job.source.path)
        with self._engine:
            allowed = None if self.max_memory is None else self.max_memory - self._engine_memory(predictor)
            predict_large(job, predictor, header, allowed, field_of_view(job, header), self._spread)

    def _files(self, jobs: Sequence[Job], headers: Sequence[ImageHeader], notes: _Notes) -> None:
        images = (read_channels((job.source.path, *job.source.channels), axes=job.axes) for job in jobs)
        where = [job.source.path for job in jobs]
        spacing = headers[0].voxel
        self._note_spacing(jobs[0], headers[0], notes)
        results = zip(jobs, headers, self._predicted(images, where, notes, spacing), strict=True)
        inside = (
            (image, in_view(result, field_of_view(job, header), self.plan.labels))
            for job, header, (image, result) in results
        )
        shown = self._in_time(jobs[0], inside, spacing)
        for job, header, (image, result) in zip(jobs, headers, shown, strict=True):
            write_image(job, self.plan, header, image, result)

    def _stack(self, job: Job, header: ImageHeader, notes: _Notes) -> None:
        images = read_pages(job.source.path, header.pages, job.axes)
        where = [f"{job.source.path}, page {page + 1} of {header.pages}" for page in range(header.pages)]
        pages = enumerate(self._predicted(images, where, notes))
        inside = (
            (image, in_view(result, field_of_view(job, header, page), self.plan.labels))
            for page, (image, result) in pages
        )
        write_stack(job, self.plan, self._in_time(job, inside))

    def _in_time(
        self,
        job: Job,
        found: Iterator[tuple[np.ndarray, Prediction]],
        spacing: tuple[float, ...] | None = None,
    ) -> Iterator[tuple[np.ndarray, Prediction]]:
        """Images with their predictions; where objects get identities, these, and their tracks are written
        at the end.
        """
        if job.place is None:
            yield from found
            return
        tracks = TrackWriter()
        for image, result in linked(found, spacing):
            tracks.add(image, result)
            yield image, result
        tracks.write(job.tracks)

    def _predicted(
        self,
        images: Iterator[np.ndarray],
        where: Sequence[object],
        notes: _Notes,
        spacing: tuple[float, ...] | None = None,
    ) -> Iterator[tuple[np.ndarray, Prediction]]:
        """Each image with its prediction. Images read ahead of the result wait here: a window at most."""
        waiting: deque[np.ndarray] = deque()

        def read() -> Iterator[np.ndarray]:
            for image in images:
                waiting.append(image)
                yield image

        predictor = self.predictor
        if isinstance(predictor, SequencePredictor):
            results = predictor.predictions(read(), len(where), where=where)
        else:
            results = (
                predictor(image, where=here, spacing=spacing)
                for image, here in zip(read(), where, strict=True)
            )
        for _ in where:
            with self._engine:
                began = perf_counter()
                result = next(results)
                if len(where) > 1:
                    notes.latencies.append(perf_counter() - began)
            yield waiting.popleft(), result

    def _note_spacing(self, job: Job, header: ImageHeader, notes: _Notes) -> None:
        if header.is_volume and not header.spacing:
            notes.unstated.append(job.source.path)

    def _check_axes(self, job: Job, header: ImageHeader) -> None:
        if header.is_volume != (self.predictor.rank == 3):
            kinds = ("images", "volumes") if header.is_volume else ("volumes", "images")
            raise PlanError(
                f"this run was trained on {kinds[0]}",
                where=job.source.path,
                expected="volumes" if kinds[0] == "volumes" else "images with two axes",
                received=f"{' x '.join(map(str, header.size))} (axes {header.axes})",
                fix=f"use a run that was trained on {kinds[1]}",
            )

    def _check_memory(self, job: Job, header: ImageHeader) -> None:
        if self.max_memory is None:
            return
        needed = needed_memory(header, self.predictor, keep_probabilities=job.kinds.probabilities)
        if needed > self.max_memory:
            raise TooLargeError(
                "predicting this image would take more than the memory allowed",
                where=job.source.path,
                expected=f"at most {self.max_memory / 1e9:.1f} GB (--max-memory)",
                received=f"about {needed / 1e9:.1f} GB for {' x '.join(map(str, header.size))} pixels",
                fix="allow more memory, or cut the image into parts",
            )


def needed_memory(
    header: ImageHeader, predictor: Predictor | SequencePredictor, *, keep_probabilities: bool = False
) -> int:
    """Bytes that the process needs at most while predicting one file, estimated from its header.

    Per pixel of a page, or of what the network sees of it where that is more: the image as stored,
    normalised, flipped and padded; the heads' outputs, twice with test-time augmentation and once more while
    decoding; labels and overlay. Per pixel of the other pages: the labels, and the probabilities when they
    are to be written. Of a sequence all frames of a window are in memory, or the states of all tiles.
    """
    channels = max(header.channels, predictor.plan.input.channels)
    heads = predictor.plan.network.heads
    maps = sum(head.channels for head in heads if head.of == "pixels") * 4
    one_page = channels * (4 + 3 * 4) + maps * (3 if predictor.tta else 2) + 16
    if isinstance(predictor, SequencePredictor):
        one_page = one_page * predictor.window + predictor.state_bytes_per_pixel
    others = (header.pages - 1) * 2 * (1 + (maps if keep_probabilities else 0))
    pixels = max(prod(header.size), prod(seen_size(header.size, predictor.plan, header.voxel)))
    return BASE_MEMORY + pixels * (one_page + others)
