"""A large image in parts that are worked on apart from each other, and what they give together."""

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
from reunet.inference.blocks import Blocks, Summary
from reunet.inference.predictor import Predictor
from reunet.io.block_store import BlockStore
from reunet.io.header import ImageHeader
from reunet.io.large_masks import CHUNKS, TILE
from reunet.io.lazy import open_lazily
from reunet.sampling.intensity import Statistics
from reunet.slices import Slices, corner_of, overlap, size_of, within

KINDS = {"masks": np.uint8, "instances": np.int32}
"""What is kept of each block, class indices and ids."""

PROBABILITIES = "probabilities.npy"
"""File that all parts of an image write into."""

HELD_PARTS = 8
"""Parts of an image that are read at a time."""


@dataclass(frozen=True)
class Region:
    """A part of an image that is worked on apart from the others, perhaps elsewhere.

    box: of `Blocks.regions`. scratch: folder that everybody who works on the image sees. intensity: of the
    whole image, as `Blocks.intensity`, once it is known.
    """

    job: Job
    box: Slices
    scratch: Path
    intensity: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class Part:
    """What was found in a part of an image: its pixels in `folder`, in a store for each kind."""

    box: Slices
    folder: Path
    summary: Summary


def measure_region(region: Region, predictor: Predictor) -> Statistics:
    """What the intensities of an image are in a region."""
    with _opened(region, predictor) as blocks:
        return blocks.statistics(region.box)


def predict_region(region: Region, predictor: Predictor) -> Part:
    """Predict a region into a folder of its own, so that two who do the same are not in each other's way."""
    with _opened(region, predictor) as blocks:
        inside = field_of_view(region.job, blocks.image.header)
        return predict_part(blocks, region.job, region.box, region.scratch, inside)


@contextmanager
def _opened(region: Region, predictor: Predictor) -> Iterator[Blocks]:
    job = region.job
    with open_lazily(job.source.path, rank=len(region.box), axes=job.axes) as image:
        yield Blocks(
            predictor,
            image,
            where=job.source.path,
            keep_probabilities=job.kinds.probabilities,
            region=region.box,
            intensity=region.intensity,
        )


def predict_part(blocks: Blocks, job: Job, box: Slices, scratch: Path, inside: np.ndarray | None) -> Part:
    """Predict a part, block by block, into a folder in `scratch`. inside: field of view of the image."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    stores: dict[str, BlockStore] = {}
    for block in ahead(iter(blocks)):
        here = None if inside is None else inside[block.part]
        found = in_view(
            Prediction(labels=block.labels, instances=block.instances), here, blocks.predictor.plan.labels
        )
        for kind, values in (("masks", found.labels), ("instances", found.instances)):
            if values is None:
                continue
            if kind not in stores:
                stores[kind] = _store(job, blocks.image.header, box, folder, kind)
            stores[kind].write(within(block.part, box), values)
        if block.probabilities is not None:
            # Opened anew for each block: pages of a file that stays mapped would count as ours.
            open_memmap(scratch / PROBABILITIES, "r+")[block.part] = block.probabilities
    for store in stores.values():
        store.flush()
    return Part(box, folder, blocks.summary)


def suffix_of(source: Path, header: ImageHeader) -> str:
    """The format of the masks of a large image: that of the image, if it is one for such sizes, else TIFF."""
    if source.suffix.lower() == ".zarr":
        return ".ome.zarr"
    return ".nii.gz" if header.affine is not None else ".tif"


def _store(job: Job, header: ImageHeader, box: Slices, folder: Path, kind: str) -> BlockStore:
    zarr = suffix_of(job.source.path, header) == ".ome.zarr"
    chunk = CHUNKS[len(box)] if zarr else (1, TILE, TILE)[-len(box) :]
    return BlockStore(folder / kind, size_of(box), np.dtype(KINDS[kind]), chunk)


class Mosaic:
    """The image put together from its parts.

    parts: their boxes, which form a grid, their folders, and what is to be added to the ids in them. ids: the
    final id of each of these sums.
    """

    def __init__(
        self, job: Job, header: ImageHeader, parts: Sequence[tuple[Slices, Path, int]], ids: np.ndarray
    ) -> None:
        self.kinds = [kind for kind in KINDS if (parts[0][1] / kind).is_dir()]
        self._ids = ids
        corners = [corner_of(box) for box, _, _ in parts]
        self._starts = [sorted(set(starts)) for starts in zip(*corners, strict=True)]
        self._parts = {
            corner: (box, first, {kind: _store(job, header, box, folder, kind) for kind in self.kinds})
            for corner, (box, folder, first) in zip(corners, parts, strict=True)
        }
        self._recent: deque[BlockStore] = deque()

    def read(self, kind: str, box: Slices) -> np.ndarray:
        """Class indices or final ids of a box."""
        result = np.empty(size_of(box), KINDS[kind])
        touched = (
            starts[bisect_right(starts, side.start) - 1 : bisect_left(starts, side.stop)]
            for starts, side in zip(self._starts, box, strict=True)
        )
        for corner in product(*touched):
            part, first, stores = self._parts[corner]
            both = overlap(box, part)
            values = stores[kind].read(within(both, part))
            if kind == "instances":
                values = self._ids[np.where(values > 0, values + first, 0)]
            result[within(both, box)] = values
            self._hold(stores[kind])
        return result

    def _hold(self, store: BlockStore) -> None:
        """Keep in memory what the last few parts hold there."""
        if store not in self._recent:
            self._recent.append(store)
        if len(self._recent) > HELD_PARTS:
            self._recent.popleft().flush()
