"""Images predicted block by block: what is found goes to disk as it comes, and is published when whole."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from reunet.contracts.labels import LabelMap
from reunet.contracts.results import Prediction
from reunet.flows.fields import field_of_view, within
from reunet.flows.outputs import Job
from reunet.flows.tables import described_blocks, write_part
from reunet.inference.ahead import ahead
from reunet.inference.blocks import Blocks, Summary
from reunet.inference.predictor import Predictor
from reunet.io.block_store import BlockStore
from reunet.io.header import ImageHeader
from reunet.io.images import image_suffix
from reunet.io.large_masks import CHUNKS, TILE, LargeMask, write_ome_zarr, write_tiled_tiff
from reunet.io.lazy import is_array, open_lazily
from reunet.io.masks import to_values
from reunet.io.nifti import write_nifti
from reunet.storage import publish_file, scratch_folder

LAZY = frozenset({".tif", ".tiff", ".nii", ".nii.gz"})
"""Image files of which parts can be read."""

MOST_AT_ONCE = 2**26
"""Pixels up to which an image is predicted in one piece, if memory allows: 8192 x 8192."""

KINDS = {"masks": np.uint8, "instances": np.int32}
"""What is kept of each block, class indices and ids."""

PROBABILITIES = "probabilities.npy"

HELD_PARTS = 8
"""Parts of an image that are read at a time."""

Box = tuple[slice, ...]


def can_stream(path: Path) -> bool:
    """Whether parts of a file can be read."""
    return is_array(path) or image_suffix(path) in LAZY


def suffix_of(source: Path, header: ImageHeader) -> str:
    """The format of the masks of a large image: that of the image, if it is one for such sizes, else TIFF."""
    if source.suffix.lower() == ".zarr":
        return ".ome.zarr"
    return ".nii.gz" if header.affine is not None else ".tif"


@dataclass(frozen=True)
class Region:
    """A part of an image that is predicted apart from the others, perhaps elsewhere.

    box: of `Blocks.regions`. intensity: of the whole image, as `Blocks.intensity`. scratch: folder that
    everybody who works on the image sees.
    """

    job: Job
    box: Box
    intensity: tuple[np.ndarray, np.ndarray]
    scratch: Path


@dataclass(frozen=True)
class Part:
    """What was found in a part of an image: its pixels in `folder`, in a store for each kind."""

    box: Box
    folder: Path
    summary: Summary


Spread = Callable[[Sequence[Region]], Sequence[Part]]
"""Predicts regions somewhere; the parts in the order of the regions."""


def predict_large(
    job: Job,
    predictor: Predictor,
    header: ImageHeader,
    max_memory: int | None,
    inside: np.ndarray | None,
    spread: Spread | None = None,
) -> None:
    """Predict one file block by block and write its results. Reading, the engine and writing overlap.

    max_memory: bytes beside the engine. inside: field of view, bool (*space), or None. spread: who predicts
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
            whole = tuple(slice(0, side) for side in header.size)
            parts: Sequence[Part] = [_part(blocks, job, whole, scratch, inside)]
            first_ids = [0]
        else:
            parts = spread([Region(job, box, blocks.intensity, scratch) for box in blocks.regions])
            first_ids = [blocks.summary.absorb(part.summary) for part in parts]
        found = within(replace(blocks.category, boxes=blocks.boxes), inside, plan.labels)
        _publish(job, scratch, header, plan.labels, _Mosaic(job, header, parts, first_ids, blocks.ids))
        if job.part is not None:
            names = job.source.name.as_posix(), job.source.name.with_name(source.name).as_posix()
            objects = blocks.objects if "instances" in plan.tasks else None
            write_part(job.part, job.tasks, [described_blocks(names, header.size, found, objects, plan)])


def predict_region(region: Region, predictor: Predictor) -> Part:
    """Predict a region into a folder of its own, so that two who do the same are not in each other's way."""
    job = region.job
    with open_lazily(job.source.path, rank=len(region.box), axes=job.axes) as image:
        blocks = Blocks(
            predictor,
            image,
            where=job.source.path,
            keep_probabilities=job.kinds.probabilities,
            region=region.box,
            intensity=region.intensity,
        )
        return _part(blocks, job, region.box, region.scratch, field_of_view(job, image.header))


def _part(blocks: Blocks, job: Job, box: Box, scratch: Path, inside: np.ndarray | None) -> Part:
    folder = Path(tempfile.mkdtemp(dir=scratch))
    stores: dict[str, BlockStore] = {}
    for block in ahead(iter(blocks)):
        seen = None if inside is None else inside[block.box]
        found = within(
            Prediction(labels=block.labels, instances=block.instances), seen, blocks.predictor.plan.labels
        )
        for kind, values in (("masks", found.labels), ("instances", found.instances)):
            if values is None:
                continue
            if kind not in stores:
                stores[kind] = _store(job, blocks.image.header, box, folder, kind)
            stores[kind].write(_moved(block.box, box), values)
        if block.probabilities is not None:
            # Opened anew for each block: pages of a file that stays mapped would count as ours.
            open_memmap(scratch / PROBABILITIES, "r+")[block.box] = block.probabilities
    for store in stores.values():
        store.flush()
    return Part(box, folder, blocks.summary)


def _store(job: Job, header: ImageHeader, box: Box, folder: Path, kind: str) -> BlockStore:
    zarr = suffix_of(job.source.path, header) == ".ome.zarr"
    chunk = CHUNKS[len(box)] if zarr else (1, TILE, TILE)[-len(box) :]
    return BlockStore(
        folder / kind, tuple(side.stop - side.start for side in box), np.dtype(KINDS[kind]), chunk
    )


def _moved(box: Box, region: Box) -> Box:
    """A box of the image as seen from the corner of a region."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, region, strict=True))


class _Mosaic:
    """The image put together from its parts.

    first_ids: of each part, what is to be added to its ids. ids: the final id of each of these sums.
    """

    def __init__(
        self, job: Job, header: ImageHeader, parts: Sequence[Part], first_ids: Sequence[int], ids: np.ndarray
    ) -> None:
        self.kinds = [kind for kind in KINDS if (parts[0].folder / kind).is_dir()]
        self._ids = ids
        self._parts = [
            (part, first, {kind: _store(job, header, part.box, part.folder, kind) for kind in self.kinds})
            for part, first in zip(parts, first_ids, strict=True)
        ]
        self._recent: deque[BlockStore] = deque()

    def read(self, kind: str, box: Box) -> np.ndarray:
        """Class indices or final ids of a box."""
        result = np.empty([side.stop - side.start for side in box], KINDS[kind])
        for part, first, stores in self._parts:
            sides = list(zip(box, part.box, strict=True))
            if any(a.stop <= b.start or b.stop <= a.start for a, b in sides):
                continue
            both = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in sides)
            values = stores[kind].read(_moved(both, part.box))
            if kind == "instances":
                values = self._ids[np.where(values > 0, values + first, 0)]
            result[_moved(both, box)] = values
            self._hold(stores[kind])
        return result

    def _hold(self, store: BlockStore) -> None:
        """Keep in memory what the last few parts hold there."""
        if store not in self._recent:
            self._recent.append(store)
        if len(self._recent) > HELD_PARTS:
            self._recent.popleft().flush()


def _publish(job: Job, scratch: Path, header: ImageHeader, labels: LabelMap, found: _Mosaic) -> None:
    """Write the masks and instances where they belong, each whole or not at all."""
    size, spacing, suffix = header.size, header.spacing, suffix_of(job.source.path, header)
    if (file := scratch / PROBABILITIES).exists():
        publish_file(file, job.path("probabilities", ".npy"))
    if "masks" in found.kinds:
        dtype = labels.to_ids(np.zeros(1, np.uint8)).dtype
        where = job.path("masks", suffix)

        def values(box: Box) -> np.ndarray:
            return to_values(found.read("masks", box), labels, where)

        _write(where, LargeMask(size, dtype, values, spacing, labels), job)
    if "instances" in found.kinds:
        mask = LargeMask(size, np.dtype(np.int32), partial(found.read, "instances"), spacing)
        _write(job.path("instances", suffix), mask, job)


def _write(path: Path, mask: LargeMask, job: Job) -> None:
    if path.name.endswith(".ome.zarr"):
        write_ome_zarr(path, mask)
    elif path.suffix == ".tif":
        write_tiled_tiff(path, mask)
    else:
        write_nifti(path, mask.read(tuple(slice(0, side) for side in mask.size)), job.source.path)
