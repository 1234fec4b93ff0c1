"""Files that are predicted in one piece: an image, the frames of a sequence, the pages of a stack."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Lock
from time import perf_counter

import numpy as np

from reunet.contracts.results import Prediction
from reunet.flows.predict.fields_of_view import field_of_view, in_view, without_data
from reunet.flows.predict.outputs import Job, write_image, write_stack
from reunet.flows.predict.track_files import TrackWriter
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.io.header import ImageHeader
from reunet.io.images import read_channel_files, read_known, read_pages
from reunet.tasks.instances.tracks import linked

Found = Iterator[tuple[np.ndarray, Prediction]]
"""Images with what was found in them, one after the other."""

FREE = nullcontext()
"""For an engine that nobody else uses, or that serves several threads at a time."""


def predict_at_once(
    jobs: Sequence[Job],
    headers: Sequence[ImageHeader],
    predictor: AnyPredictor,
    engine: Lock,
    latencies: list[float],
) -> None:
    """Predict one file, or the files of one sequence, and write what is found as it comes.

    engine: held while it predicts. latencies: gets the seconds per frame of sequences, stacks and videos.
    """
    job, header, plan = jobs[0], headers[0], predictor.plan
    found = found_in(jobs, headers, predictor, engine, latencies)
    if job.moment is not None:
        found = _tracked(job, found, header)
    if header.pages > 1:
        write_stack(job, plan, header, found)
        return
    for one, its, (image, result) in zip(jobs, headers, found, strict=True):
        write_image(one, plan, its, image, result)


def found_in(
    jobs: Sequence[Job],
    headers: Sequence[ImageHeader],
    predictor: AnyPredictor,
    engine: AbstractContextManager[object] = FREE,
    latencies: list[float] | None = None,
) -> Found:
    """The pages of one file, or the files of one sequence, each with what is found in it, as they come.

    engine, latencies: see `predict_at_once`.
    """
    job, header, plan = jobs[0], headers[0], predictor.plan
    if header.pages > 1:
        pages = range(header.pages)
        images = read_pages(job.source.path, header.pages, job.axes, job.channels)
        where: list[object] = [f"{job.source.path}, page {page + 1} of {header.pages}" for page in pages]
        fields = (field_of_view(job, header, page) for page in pages)
    else:
        files = [(one.source.path, *one.source.channels) for one in jobs]
        images = (read_channel_files(paths, axes=job.axes, channels=job.channels)[1] for paths in files)
        where = [one.source.path for one in jobs]
        fields = (field_of_view(one, its) for one, its in zip(jobs, headers, strict=True))
    places: list[tuple[Path, int | None]] = [(one.source.path, None) for one in jobs]
    if header.pages > 1:
        places = [(job.source.path, page) for page in range(header.pages)]
    told = (None if header.nodata is None else read_known(path, page, job.axes) for path, page in places)
    seconds = [] if latencies is None else latencies
    predicted = _predicted(images, where, header.voxel, predictor, engine, seconds)
    return (
        (image, without_data(in_view(result, inside, plan.labels), known))
        for (image, result), inside, known in zip(predicted, fields, told, strict=True)
    )


def _predicted(
    images: Iterator[np.ndarray],
    where: list[object],
    spacing: tuple[float, ...] | None,
    predictor: AnyPredictor,
    engine: AbstractContextManager[object],
    latencies: list[float],
) -> Found:
    """Images read ahead of the result wait here: a window at most."""
    waiting: deque[np.ndarray] = deque()

    def read() -> Iterator[np.ndarray]:
        for image in images:
            waiting.append(image)
            yield image

    if isinstance(predictor, SequencePredictor):
        results = predictor.predictions(read(), len(where), where=where)
    else:
        pairs = zip(read(), where, strict=True)
        results = (predictor(image, where=here, spacing=spacing) for image, here in pairs)
    for _ in where:
        with engine:
            began = perf_counter()
            result = next(results)
            if len(where) > 1:
                latencies.append(perf_counter() - began)
        yield waiting.popleft(), result


def _tracked(job: Job, found: Found, header: ImageHeader) -> Found:
    """The objects get identities; their tracks are written at the end."""
    tracks = TrackWriter()
    for image, result in linked(found, header.voxel):
        tracks.add(image, result)
        yield image, result
    tracks.write(job.tracks, geff=job.kinds.geff, spacing=header.spacing)
