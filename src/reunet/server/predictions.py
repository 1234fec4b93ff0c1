"""One file as a model sees it: its pages, each with what was found in it."""

import time
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from reunet.contracts.results import Prediction
from reunet.errors import TooLargeError
from reunet.flows.predict.at_once import found_in
from reunet.flows.predict.inputs import Source
from reunet.flows.predict.outputs import Job, Kinds
from reunet.flows.predict.ways import SHARE, check_axes, header_of
from reunet.inference.large import memory
from reunet.io.header import ImageHeader
from reunet.io.images import without_suffix
from reunet.machine import memory_bytes
from reunet.server.models import Model

USUAL_MEMORY = 8 * 2**30
"""Bytes of a machine that does not tell."""


@dataclass(frozen=True)
class Found:
    """What was found in a file. name: of the file. pages: (H, W, C), of a volume (D, H, W, C), and their
    predictions. seconds: it took.
    """

    model: Model
    name: str
    header: ImageHeader
    pages: list[tuple[np.ndarray, Prediction]]
    seconds: float


def predict_file(model: Model, path: Path, name: str, *, sharing: int = 1, axes: str | None = None) -> Found:
    """Predict an image, a volume, or all pages of a stack, which fit into memory.

    sharing: so many do so at a time. axes: of a TIFF stack that does not name them. Raises DataError,
    TooLargeError before anything is decoded, and what the predictor raises.
    """
    began = time.monotonic()
    plan, source = model.plan, Source(path, without_suffix(Path(name)))
    job = Job(source, path.parent, None, axes, Kinds(plan.tasks), channels=plan.input.channel_names)
    header = header_of(job, model.predictor.rank)
    check_axes(job, header, model.predictor.rank)
    _check_memory(model, path, header, sharing)
    pages = list(found_in([job], [header], model.predictor))
    return Found(model, name, header, pages, time.monotonic() - began)


def _check_memory(model: Model, path: Path, header: ImageHeader, sharing: int) -> None:
    allowed = SHARE * (memory_bytes() or USUAL_MEMORY) / sharing
    every = prod(header.size) * header.pages * header.channels * 4  # all pages are kept, as they were read
    needed = memory.at_once(header, model.predictor, keep_probabilities=True) - memory.BASE + every
    if needed > allowed:
        raise TooLargeError(
            "this file is too large to be predicted while the client waits",
            where=path,
            expected=f"at most {allowed / 1e9:.2f} GB of memory",
            received=f"{' x '.join(map(str, header.size))} pixels, {header.pages} page(s): "
            f"about {needed / 1e9:.2f} GB",
            fix="send it to /v1/jobs, which predicts large images piece by piece",
        )
