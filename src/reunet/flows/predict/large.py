"""Images predicted section by section: what is found goes to disk as it comes, is published when whole."""

import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from reunet.contracts.labels import LabelMap
from reunet.flows.predict.fields_of_view import in_view
from reunet.flows.predict.mosaic import (
    PROBABILITIES,
    UNSURE,
    Mosaic,
    Piece,
    PredictedPiece,
    measure_piece,
    predict_into,
    predict_piece,
    suffix_of,
)
from reunet.flows.predict.outlines import write_outlines
from reunet.flows.predict.outputs import Job
from reunet.flows.predict.result_tables import described, write_part
from reunet.flows.predict.slides import opened
from reunet.inference.large.sections import Sections
from reunet.inference.predictor import Predictor
from reunet.io.channels import fit_channels
from reunet.io.georeference import map_tags
from reunet.io.header import ImageHeader
from reunet.io.large_masks import Each, Fill, LargeMask, one_by_one, write_ome_zarr, write_tiled_tiff
from reunet.io.masks import to_values, unlabelled_value, write_volume
from reunet.io.pages import create_maps
from reunet.slices import Slices, all_of
from reunet.storage import publish_file, scratch_folder, take_room
from reunet.tasks.outputs import Page

Spread = Callable[[str, Callable[[Any, Predictor], Any], Sequence[Any]], Sequence[Any]]
"""Works on many things somewhere, `spread(verb, do, items)`: what `do` gives for each, with a predictor of
that place, in order. verb: what is done, for the progress. do, items: can be pickled.
"""


def predict_large(
    job: Job,
    predictor: Predictor,
    header: ImageHeader,
    max_memory: int | None,
    inside: np.ndarray | None,
    spread: Spread | None = None,
) -> None:
    """Predict one file section by section and write its results. Reading, the engine and writing overlap.

    max_memory: bytes beside the engine. inside: field of view, bool (*space), or None. spread: who works on
    the pieces of the image; None for this process, strip after strip. Until all is done, sections lie in a
    folder that is removed in any case. Raises StorageError when the disk is full, and what `Sections` raises.
    """
    plan, source = predictor.plan, job.source.path
    with scratch_folder(job.output) as scratch, opened(job, header, plan) as image:
        finest, header = header, image.header
        a_pixel = np.broadcast_to(np.uint8(0), (1, 1, header.channels))
        fit_channels(a_pixel, plan.input, source)  # refused before any pixel is read
        sections = Sections(
            predictor, image, where=source, max_memory=max_memory, keep_probabilities=job.kinds.probabilities
        )
        if job.kinds.tells("probabilities"):
            shape = (*header.size, len(plan.labels.outputs))
            open_memmap(scratch / PROBABILITIES, "w+", np.float32, shape)
            take_room(scratch / PROBABILITIES)
        if job.kinds.tells("uncertainty"):
            create_maps(scratch / UNSURE, header.size, 2)
            take_room(scratch / UNSURE)
        if spread is None:
            whole = Piece(job, all_of(header.size), scratch)
            pieces: Sequence[PredictedPiece] = [predict_into(whole, sections, inside)]
            first_ids, each = [0], one_by_one
        else:
            pieces = _spread_out(sections, job, scratch, spread)
            first_ids = [sections.summary.absorb(piece.summary) for piece in pieces]
            each = partial(_write_elsewhere, spread, scratch)
        found = in_view(replace(sections.category, boxes=sections.boxes), inside, plan.labels)
        mosaic = Mosaic(pieces, first_ids, sections.ids)
        objects = sections.objects if job.kinds.tells("instances") else None
        write_outlines(job, finest, header, mosaic, objects, plan.labels)
        _publish(job, scratch, header, plan.labels, mosaic, each)
        if job.part is not None:
            names = job.source.name.as_posix(), job.source.name.with_name(source.name).as_posix()
            page = Page(header.size, plan.labels, plan.categories, objects=objects, spacing=header.spacing)
            write_part(job.part, job.kinds.tasks, [described(names, found, page)])


def _spread_out(sections: Sections, job: Job, scratch: Path, spread: Spread) -> Sequence[PredictedPiece]:
    pieces = [Piece(job, part, scratch) for part in sections.pieces]
    measured = spread("measuring", measure_piece, pieces) if sections.has_own_intensity else []
    intensity = sections.intensity_of(measured)
    return spread("predicting", predict_piece, [replace(one, intensity=intensity) for one in pieces])


def _write_elsewhere(spread: Spread, scratch: Path, fill: Fill, parts: Sequence[Slices]) -> None:
    """Call a function with each part, wherever there is room; it may be large and goes there as a file."""
    descriptor, name = tempfile.mkstemp(dir=scratch)
    with open(descriptor, "wb") as file:
        pickle.dump(fill, file)
    spread("writing", write_piece, [(Path(name), part) for part in parts])


def write_piece(piece: tuple[Path, Slices], predictor: Predictor) -> None:
    """Write a piece of a result."""
    file, part = piece
    _unpickled(file)(part)


@lru_cache(maxsize=1)
def _unpickled(file: Path) -> Fill:
    with file.open("rb") as pickled:
        fill: Fill = pickle.load(pickled)  # noqa: S301  (written by this command into a folder of its own)
        return fill


def _values(found: Mosaic, labels: LabelMap, where: Path, part: Slices) -> np.ndarray:
    """A part of class indices as the values that mask files have. where: names the file in errors."""
    return to_values(found.read("masks", part), labels, where)


def _publish(
    job: Job, scratch: Path, header: ImageHeader, labels: LabelMap, found: Mosaic, each: Each
) -> None:
    """Write the masks and instances where they belong, each whole or not at all."""
    size, spacing, suffix = header.size, header.spacing, suffix_of(job.source.path, header)
    if (file := scratch / PROBABILITIES).exists():
        publish_file(file, job.path("probabilities", ".npy"))
    if (file := scratch / UNSURE).exists():
        publish_file(file, job.path("uncertainty", ".tif"))
    if "masks" in found.kinds:
        dtype = labels.to_ids(np.zeros(1, np.uint8)).dtype
        where = job.path("masks", suffix)
        tags = map_tags(header.map, None if header.nodata is None else unlabelled_value(labels))
        mask = LargeMask(size, dtype, partial(_values, found, labels, where), spacing, labels, tags)
        _write(where, mask, job, each)
    if "instances" in found.kinds:
        read, tags = partial(found.read, "instances"), map_tags(header.map)
        mask = LargeMask(size, np.dtype(np.int32), read, spacing, tags=tags)
        _write(job.path("instances", suffix), mask, job, each)


def _write(path: Path, mask: LargeMask, job: Job, each: Each) -> None:
    if path.name.endswith(".ome.zarr"):
        write_ome_zarr(path, mask, each, job.source.path)
    elif path.suffix == ".tif":
        write_tiled_tiff(path, mask)
    else:
        write_volume(path, mask.read(all_of(mask.size)), job.source.path)
