"""Images predicted block by block: what is found goes to disk as it comes, and is published when whole."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.lib.format import open_memmap

from reunet.contracts.labels import LabelMap
from reunet.flows.predict.fields_of_view import in_view
from reunet.flows.predict.mosaic import (
    PROBABILITIES,
    Mosaic,
    Part,
    Region,
    measure_region,
    predict_part,
    predict_region,
    suffix_of,
)
from reunet.flows.predict.outputs import Job
from reunet.flows.predict.result_tables import described_blocks, write_part
from reunet.inference.blocks import Blocks
from reunet.inference.predictor import Predictor
from reunet.io.header import ImageHeader
from reunet.io.images import image_suffix
from reunet.io.large_masks import Each, Fill, LargeMask, one_by_one, write_ome_zarr, write_tiled_tiff
from reunet.io.lazy import is_array, open_lazily
from reunet.io.masks import to_values
from reunet.io.nifti import write_nifti
from reunet.slices import Slices, all_of
from reunet.storage import publish_file, scratch_folder

LAZY = frozenset({".tif", ".tiff", ".nii", ".nii.gz"})
"""Image files of which parts can be read."""

MOST_AT_ONCE = 2**26
"""Pixels up to which an image is predicted in one piece, if memory allows: 8192 x 8192."""

T = TypeVar("T")
R = TypeVar("R")


def can_stream(path: Path) -> bool:
    """Whether parts of a file can be read."""
    return is_array(path) or image_suffix(path) in LAZY


class Spread(Protocol):
    """Works on many things somewhere: what `do` gives for each, with a predictor of that place, in order.

    verb: what is done, for the progress. do, items: can be pickled.
    """

    def __call__(self, verb: str, do: Callable[[T, Predictor], R], items: Sequence[T]) -> Sequence[R]: ...


def predict_large(
    job: Job,
    predictor: Predictor,
    header: ImageHeader,
    max_memory: int | None,
    inside: np.ndarray | None,
    spread: Spread | None = None,
) -> None:
    """Predict one file block by block and write its results. Reading, the engine and writing overlap.

    max_memory: bytes beside the engine. inside: field of view, bool (*space), or None. spread: who works on
    the regions of the image; None for this process, strip after strip. Until all is done, blocks lie in a
    folder that is removed in any case. Raises StorageError when the disk is full, and what `Blocks` raises.
    """
    plan, source = predictor.plan, job.source.path
    with (
        scratch_folder(job.output) as scratch,
        open_lazily(source, rank=len(header.size), axes=job.axes) as image,
    ):
        header = image.header
        blocks = Blocks(
            predictor, image, where=source, max_memory=max_memory, keep_probabilities=job.kinds.probabilities
        )
        if job.kinds.probabilities and "semantic" in plan.tasks:
            shape = (*header.size, len(plan.labels.outputs))
            open_memmap(scratch / PROBABILITIES, "w+", np.float32, shape)
        if spread is None:
            parts: Sequence[Part] = [predict_part(blocks, job, all_of(header.size), scratch, inside)]
            first_ids, each = [0], one_by_one
        else:
            parts = _spread_out(blocks, job, scratch, spread)
            first_ids = [blocks.summary.absorb(part.summary) for part in parts]
            each = partial(_write_elsewhere, spread, scratch)
        found = in_view(replace(blocks.category, boxes=blocks.boxes), inside, plan.labels)
        pieces = [(part.box, part.folder, first) for part, first in zip(parts, first_ids, strict=True)]
        _publish(job, scratch, header, plan.labels, Mosaic(job, header, pieces, blocks.ids), each)
        if job.part is not None:
            names = job.source.name.as_posix(), job.source.name.with_name(source.name).as_posix()
            objects = blocks.objects if "instances" in plan.tasks else None
            write_part(job.part, job.tasks, [described_blocks(names, header.size, found, objects, plan)])


def _spread_out(blocks: Blocks, job: Job, scratch: Path, spread: Spread) -> Sequence[Part]:
    regions = [Region(job, box, scratch) for box in blocks.regions]
    measured = spread("measuring", measure_region, regions) if blocks.has_own_intensity else []
    intensity = blocks.intensity_of(measured)
    return spread("predicting", predict_region, [replace(one, intensity=intensity) for one in regions])


def _write_elsewhere(spread: Spread, scratch: Path, fill: Fill, boxes: Sequence[Slices]) -> None:
    """Call a function with each box, wherever there is room; it may be large and goes there as a file."""
    descriptor, name = tempfile.mkstemp(dir=scratch)
    with open(descriptor, "wb") as file:
        pickle.dump(fill, file)
    spread("writing", write_piece, [(Path(name), box) for box in boxes])


def write_piece(piece: tuple[Path, Slices], predictor: Predictor) -> None:
    """Write a piece of a result."""
    file, box = piece
    _unpickled(file)(box)


@lru_cache(maxsize=1)
def _unpickled(file: Path) -> Fill:
    with file.open("rb") as pickled:
        fill: Fill = pickle.load(pickled)  # noqa: S301  (written by this command into a folder of its own)
        return fill


@dataclass(frozen=True)
class _Values:
    """Reads boxes of class indices as the values that mask files have. where: names the file in errors."""

    found: Mosaic
    labels: LabelMap
    where: Path

    def __call__(self, box: Slices) -> np.ndarray:
        return to_values(self.found.read("masks", box), self.labels, self.where)


def _publish(
    job: Job, scratch: Path, header: ImageHeader, labels: LabelMap, found: Mosaic, each: Each
) -> None:
    """Write the masks and instances where they belong, each whole or not at all."""
    size, spacing, suffix = header.size, header.spacing, suffix_of(job.source.path, header)
    if (file := scratch / PROBABILITIES).exists():
        publish_file(file, job.path("probabilities", ".npy"))
    if "masks" in found.kinds:
        dtype = labels.to_ids(np.zeros(1, np.uint8)).dtype
        where = job.path("masks", suffix)
        _write(where, LargeMask(size, dtype, _Values(found, labels, where), spacing, labels), job, each)
    if "instances" in found.kinds:
        mask = LargeMask(size, np.dtype(np.int32), partial(found.read, "instances"), spacing)
        _write(job.path("instances", suffix), mask, job, each)


def _write(path: Path, mask: LargeMask, job: Job, each: Each) -> None:
    if path.name.endswith(".ome.zarr"):
        write_ome_zarr(path, mask, each)
    elif path.suffix == ".tif":
        write_tiled_tiff(path, mask)
    else:
        write_nifti(path, mask.read(all_of(mask.size)), job.source.path)
