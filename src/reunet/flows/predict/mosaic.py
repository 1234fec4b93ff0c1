"""A large image in pieces that are worked on apart from each other, and what they give together."""

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

from reunet.flows.predict.fields_of_view import field_of_view, in_view, without_data
from reunet.flows.predict.outputs import Job
from reunet.flows.predict.slides import is_pyramid, opened, opened_source
from reunet.inference.ahead import ahead
from reunet.inference.large.sections import Sections, Summary
from reunet.inference.predictor import Predictor
from reunet.io.chunk_store import ChunkStore
from reunet.io.header import ImageHeader
from reunet.io.large_masks import CHUNKS, TILE
from reunet.io.pages import write_part
from reunet.sampling.intensity import Statistics
from reunet.slices import Slices, corner_of, overlap, size_of, within

PROBABILITIES, UNSURE = "probabilities.npy", "uncertainty.tif"
"""Files that all pieces of an image write into."""

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
    """What was found in a part of an image; its pixels by kind, in a folder of its own."""

    part: Slices
    pixels: dict[str, ChunkStore]
    summary: Summary


def measure_piece(piece: Piece, predictor: Predictor) -> Statistics:
    """What the intensities of an image are in a piece of it."""
    with _opened(piece, predictor) as sections:
        return sections.statistics(piece.part)


def predict_piece(piece: Piece, predictor: Predictor) -> PredictedPiece:
    """Predict a piece into a folder of its own, so that two who do the same are not in each other's way."""
    with _opened(piece, predictor) as sections:
        return predict_into(piece, sections, field_of_view(piece.job, sections.image.header))


@contextmanager
def _opened(piece: Piece, predictor: Predictor) -> Iterator[Sections]:
    job = piece.job
    with opened_source(job, len(piece.part)) as whole:
        header = whole.header
    with opened(job, header, predictor.plan) as image:
        yield Sections(
            predictor,
            image,
            where=job.source.path,
            keep_probabilities=job.kinds.probabilities,
            piece=piece.part,
            intensity=piece.intensity,
        )


def predict_into(piece: Piece, sections: Sections, inside: np.ndarray | None) -> PredictedPiece:
    """Predict a piece, section by section, into its scratch folder. inside: field of view of the image."""
    folder = Path(tempfile.mkdtemp(dir=piece.scratch))
    rank = len(piece.part)
    zarr = suffix_of(piece.job.source.path, sections.image.header) == ".ome.zarr"
    chunk = CHUNKS[rank] if zarr else (1, TILE, TILE)[-rank:]
    pixels: dict[str, ChunkStore] = {}
    for section in ahead(iter(sections)):
        here = None if inside is None else inside[section.part]
        if (tissue := sections.image.tissue) is not None:
            here = tissue.at(section.part, sections.size)
        found = in_view(section, here, sections.predictor.plan.labels)
        if sections.image.known is not None:
            found = without_data(found, sections.image.known(section.part))
        for kind, values in (("masks", found.labels), ("instances", found.instances)):
            if values is None:
                continue
            if kind not in pixels:
                pixels[kind] = ChunkStore(folder / kind, size_of(piece.part), values.dtype, chunk)
            pixels[kind].write(within(section.part, piece.part), values)
        if section.probabilities is not None:
            # Opened anew for each section: pages of a file that stays mapped would count as ours.
            open_memmap(piece.scratch / PROBABILITIES, "r+")[section.part] = section.probabilities
        if section.uncertainty is not None:
            write_part(piece.scratch / UNSURE, section.part, section.uncertainty)
    for store in pixels.values():
        store.flush()
    return PredictedPiece(piece.part, pixels, sections.summary)


def suffix_of(source: Path, header: ImageHeader) -> str:
    """The format of the masks of a large image: that of the image, if it is one for such sizes, else TIFF."""
    if source.suffix.lower() == ".zarr" or is_pyramid(header):
        return ".ome.zarr"
    return ".nii.gz" if header.affine is not None else ".tif"


class Mosaic:
    """The image put together from its pieces, which form a grid.

    first_ids: what is to be added to the ids in each. ids: the final id of each of these sums.
    """

    def __init__(self, pieces: Sequence[PredictedPiece], first_ids: Sequence[int], ids: np.ndarray) -> None:
        self.kinds, self._ids = list(pieces[0].pixels), ids
        self._pieces = {
            corner_of(one.part): (one.part, one.pixels, first)
            for one, first in zip(pieces, first_ids, strict=True)
        }
        self._starts = [sorted(set(starts)) for starts in zip(*self._pieces, strict=True)]
        self._recent: deque[ChunkStore] = deque()

    def read(self, kind: str, part: Slices) -> np.ndarray:
        """Class indices or final ids of a part."""
        touched = (
            starts[bisect_right(starts, side.start) - 1 : bisect_left(starts, side.stop)]
            for starts, side in zip(self._starts, part, strict=True)
        )
        found = [self._pieces[corner] for corner in product(*touched)]
        result = np.empty(size_of(part), found[0][1][kind].dtype)
        for piece, pixels, first in found:
            both = overlap(part, piece)
            values = pixels[kind].read(within(both, piece))
            if kind == "instances":
                values = self._ids[np.where(values > 0, values + first, 0)]
            result[within(both, part)] = values
            self._hold(pixels[kind])
        return result

    def _hold(self, store: ChunkStore) -> None:
        """Keep in memory what the last few pieces hold there."""
        if store not in self._recent:
            self._recent.append(store)
        if len(self._recent) > HELD:
            self._recent.popleft().flush()
