"""A large image in pieces that are worked on apart from each other, and what they give together."""

from __future__ import annotations

import tempfile
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from reunet.contracts.results import Prediction
from reunet.flows.predict.fields_of_view import field_of_view, in_view
from reunet.flows.predict.outputs import Job
from reunet.inference.ahead import ahead
from reunet.inference.large.sections import Sections, Summary
from reunet.inference.predictor import Predictor
from reunet.io.chunk_store import ChunkStore
from reunet.io.header import ImageHeader
from reunet.io.large_masks import CHUNKS, TILE
from reunet.io.lazy import open_lazily
from reunet.sampling.intensity import Statistics
from reunet.slices import Slices, corner_of, overlap, size_of, within

KINDS = {"masks": np.uint8, "instances": np.int32}
"""What is kept of each section, class indices and ids."""

PROBABILITIES = "probabilities.npy"
"""File that all pieces of an image write into."""

HELD = 8
"""Pieces of an image that are read at a time."""


@dataclass(frozen=True)
class Piece:
    """A part of an image that is worked on apart from the others, perhaps elsewhere.

    part: of `Sections.pieces`. scratch: folder that everybody who works on the image sees. intensity: of the
    whole image, as `Sections.intensity`, once it is known.
    """

    job: Job
    part: Slices
    scratch: Path
    intensity: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class PredictedPiece:
    """What was found in a part of an image: its pixels in `folder`, in a store for each kind."""

    part: Slices
    folder: Path
    summary: Summary


def measure_piece(piece: Piece, predictor: Predictor) -> Statistics:
    """What the intensities of an image are in a piece of it."""
    with _opened(piece, predictor) as sections:
        return sections.statistics(piece.part)


def predict_piece(piece: Piece, predictor: Predictor) -> PredictedPiece:
    """Predict a piece into a folder of its own, so that two who do the same are not in each other's way."""
    with _opened(piece, predictor) as sections:
        inside = field_of_view(piece.job, sections.image.header)
        return predict_part(sections, piece.job, piece.part, piece.scratch, inside)


@contextmanager
def _opened(piece: Piece, predictor: Predictor) -> Iterator[Sections]:
    job = piece.job
    with open_lazily(job.source.path, rank=len(piece.part), axes=job.axes) as image:
        yield Sections(
            predictor,
            image,
            where=job.source.path,
            keep_probabilities=job.kinds.probabilities,
            piece=piece.part,
            intensity=piece.intensity,
        )


def predict_part(
    sections: Sections, job: Job, part: Slices, scratch: Path, inside: np.ndarray | None
) -> PredictedPiece:
    """Predict a part, section by section, into a folder in `scratch`. inside: field of view of the image."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    stores: dict[str, ChunkStore] = {}
    for section in ahead(iter(sections)):
        here = None if inside is None else inside[section.part]
        told = Prediction(labels=section.labels, instances=section.instances)
        found = in_view(told, here, sections.predictor.plan.labels)
        for kind, values in (("masks", found.labels), ("instances", found.instances)):
            if values is None:
                continue
            if kind not in stores:
                stores[kind] = _store(job, sections.image.header, part, folder, kind)
            stores[kind].write(within(section.part, part), values)
        if section.probabilities is not None:
            # Opened anew for each section: pages of a file that stays mapped would count as ours.
            open_memmap(scratch / PROBABILITIES, "r+")[section.part] = section.probabilities
    for store in stores.values():
        store.flush()
    return PredictedPiece(part, folder, sections.summary)


def suffix_of(source: Path, header: ImageHeader) -> str:
    """The format of the masks of a large image: that of the image, if it is one for such sizes, else TIFF."""
    if source.suffix.lower() == ".zarr":
        return ".ome.zarr"
    return ".nii.gz" if header.affine is not None else ".tif"


def _store(job: Job, header: ImageHeader, part: Slices, folder: Path, kind: str) -> ChunkStore:
    zarr = suffix_of(job.source.path, header) == ".ome.zarr"
    chunk = CHUNKS[len(part)] if zarr else (1, TILE, TILE)[-len(part) :]
    return ChunkStore(folder / kind, size_of(part), np.dtype(KINDS[kind]), chunk)


class Mosaic:
    """The image put together from its pieces.

    pieces: their parts of it, which form a grid, their folders, and what is to be added to the ids in them.
    ids: the final id of each of these sums.
    """

    def __init__(
        self, job: Job, header: ImageHeader, pieces: Sequence[tuple[Slices, Path, int]], ids: np.ndarray
    ) -> None:
        self.kinds = [kind for kind in KINDS if (pieces[0][1] / kind).is_dir()]
        self._ids = ids
        corners = [corner_of(part) for part, _, _ in pieces]
        self._starts = [sorted(set(starts)) for starts in zip(*corners, strict=True)]
        self._pieces = {
            corner: (part, first, {kind: _store(job, header, part, folder, kind) for kind in self.kinds})
            for corner, (part, folder, first) in zip(corners, pieces, strict=True)
        }
        self._recent: deque[ChunkStore] = deque()

    def read(self, kind: str, part: Slices) -> np.ndarray:
        """Class indices or final ids of a part."""
        result = np.empty(size_of(part), KINDS[kind])
        touched = (
            starts[bisect_right(starts, side.start) - 1 : bisect_left(starts, side.stop)]
            for starts, side in zip(self._starts, part, strict=True)
        )
        for corner in product(*touched):
            piece, first, stores = self._pieces[corner]
            both = overlap(part, piece)
            values = stores[kind].read(within(both, piece))
            if kind == "instances":
                values = self._ids[np.where(values > 0, values + first, 0)]
            result[within(both, part)] = values
            self._hold(stores[kind])
        return result

    def _hold(self, store: ChunkStore) -> None:
        """Keep in memory what the last few pieces hold there."""
        if store not in self._recent:
            self._recent.append(store)
        if len(self._recent) > HELD:
            self._recent.popleft().flush()
