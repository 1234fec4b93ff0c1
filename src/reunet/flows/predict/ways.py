"""How a file can be predicted, told from its header: in one piece, section by section, or not at all."""

from collections.abc import Sequence
from math import inf, prod

from reunet.errors import PlanError, TooLargeError
from reunet.flows.predict.outputs import Job
from reunet.flows.predict.slides import is_pyramid, opened_source
from reunet.inference.large import memory
from reunet.inference.sequence import AnyPredictor, SequencePredictor
from reunet.io.formats import table
from reunet.io.header import ImageHeader
from reunet.io.images import SLIDE_SUFFIXES, image_suffix, read_channel_headers
from reunet.io.lazy import is_array, lazy_header
from reunet.machine import memory_bytes

SHARE = 0.25
"""Of the machine's memory, what one image may take in one piece unless it is said how much."""

MOST_AT_ONCE = 2**26
"""Pixels up to which an image is predicted in one piece, if memory allows: 8192 x 8192."""

LAZY = frozenset({".tif", ".tiff", ".nii", ".nii.gz"}) | SLIDE_SUFFIXES | table.SUFFIXES
"""Image files of which parts can be read."""


def header_of(job: Job, rank: int) -> ImageHeader:
    """Of an image that is too large to be decoded too, if parts of it can be read. rank: its axes of space.

    Raises ImageReadError, TooLargeError.
    """
    path = job.source.path
    if job.source.tiles:
        with opened_source(job, rank) as image:
            return image.header
    if not is_array(path) or (path.is_dir() and rank == 2 and job.axes is None):
        try:
            return read_channel_headers((path, *job.source.channels), job.axes, job.channels)
        except TooLargeError:
            if image_suffix(path) not in LAZY and not is_array(path):
                raise
    return lazy_header(path, rank=rank, axes=job.axes, channels=job.channels)


def in_sections(
    jobs: Sequence[Job], header: ImageHeader, predictor: AnyPredictor, max_memory: int | None
) -> bool:
    """Whether a file is predicted section by section: for its format, its size or the memory allowed."""
    job, path = jobs[0], jobs[0].source.path
    if job.source.tiles or (is_array(path) and header.pages == 1):
        return True
    if len(jobs) > 1 or header.pages > 1 or job.source.channels or image_suffix(path) not in LAZY:
        return False
    if isinstance(predictor, SequencePredictor) or predictor.plan.input.size is not None:
        return False
    if is_pyramid(header):
        return True
    allowed = SHARE * (memory_bytes() or inf) if max_memory is None else max_memory
    return prod(header.size) > MOST_AT_ONCE or _needed(job, header, predictor) > allowed


def check_axes(job: Job, header: ImageHeader, rank: int) -> None:
    """Raise PlanError for a volume where the run is for images, and the other way round."""
    if header.is_volume != (rank == 3):
        kinds = ("images", "volumes") if header.is_volume else ("volumes", "images")
        raise PlanError(
            f"this run was trained on {kinds[0]}",
            where=job.source.path,
            expected="volumes" if kinds[0] == "volumes" else "images with two axes",
            received=f"{' x '.join(map(str, header.size))} (axes {header.axes})",
            fix=f"use a run that was trained on {kinds[1]}",
        )


def check_memory(job: Job, header: ImageHeader, predictor: AnyPredictor, max_memory: int | None) -> None:
    """Raise TooLargeError for a file that would take more than that in one piece."""
    if max_memory is not None and (needed := _needed(job, header, predictor)) > max_memory:
        raise TooLargeError(
            "predicting this image would take more than the memory allowed",
            where=job.source.path,
            expected=f"at most {max_memory / 1e9:.1f} GB (--max-memory)",
            received=f"about {needed / 1e9:.1f} GB for {' x '.join(map(str, header.size))} pixels",
            fix="allow more memory, or cut the image into parts",
        )


def _needed(job: Job, header: ImageHeader, predictor: AnyPredictor) -> int:
    kinds = job.kinds
    return memory.at_once(header, predictor, keep_probabilities=kinds.probabilities or kinds.uncertainty)
