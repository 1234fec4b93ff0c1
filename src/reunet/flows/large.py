"""Images predicted block by block: what is found goes to disk as it comes, and is published when whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.format import open_memmap

from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Plan
from reunet.contracts.results import Prediction
from reunet.errors import PlanError
from reunet.flows.fields import within
from reunet.flows.outputs import Job
from reunet.flows.tables import described_blocks, write_part
from reunet.inference.ahead import ahead
from reunet.inference.blocks import Block, Blocks
from reunet.inference.predictor import Predictor
from reunet.io.block_store import BlockStore
from reunet.io.header import ImageHeader
from reunet.io.images import image_suffix
from reunet.io.large_masks import CHUNKS, TILE, LargeMask, write_ome_zarr, write_tiled_tiff
from reunet.io.lazy import is_array, open_lazily
from reunet.io.masks import to_values
from reunet.io.nifti import write_nifti
from reunet.sampling.resize import own_spacing
from reunet.storage import publish_file, scratch_folder

LAZY = frozenset({".tif", ".tiff", ".nii", ".nii.gz"})
"""Image files of which parts can be read."""

MOST_AT_ONCE = 2**26
"""Pixels up to which an image is predicted in one piece, if memory allows: 8192 x 8192."""


def can_stream(path: Path) -> bool:
    """Whether parts of a file can be read."""
    return is_array(path) or image_suffix(path) in LAZY


def suffix_of(source: Path, header: ImageHeader) -> str:
    """The format of the masks of a large image: that of the image, if it is one for such sizes, else TIFF."""
    if source.suffix.lower() == ".zarr":
        return ".ome.zarr"
    return ".nii.gz" if header.affine is not None else ".tif"


def seen_resampled(plan: Plan, header: ImageHeader) -> bool:
    """Whether the network sees an image at another resolution than its own, which is not done in blocks."""
    own = own_spacing(len(header.size), header.spacing if header.is_volume else None)
    if plan.input.size is not None:
        return True
    return own is not None and plan.spacing is not None and not np.allclose(own, plan.spacing, rtol=1e-3)


def predict_large(
    job: Job,
    predictor: Predictor,
    header: ImageHeader,
    max_memory: int | None,
    inside: np.ndarray | None,
) -> None:
    """Predict one file block by block and write its results. Reading, the engine and writing overlap.

    max_memory: bytes beside the engine. inside: field of view, bool (*space), or None. Until all is done,
    blocks lie in a folder that is removed in any case. Raises PlanError for a plan that sees images
    at another resolution, StorageError when the disk is full, and what `Blocks` raises.
    """
    plan, source = predictor.plan, job.source.path
    if seen_resampled(plan, header):
        raise PlanError(
            "this run sees images at another resolution, which cannot be done block by block",
            where=source,
            expected=f"pixels of {plan.spacing or plan.input.size}",
            received=f"pixels of {header.spacing or 1}",
            fix="save the image at that resolution, or as TIFF or NIfTI of a size that fits into memory",
        )
    with (
        scratch_folder(job.output) as scratch,
        open_lazily(source, rank=len(header.size), axes=job.axes) as image,
    ):
        header = image.header
        blocks = Blocks(
            predictor, image, where=source, max_memory=max_memory, keep_probabilities=job.kinds.probabilities
        )
        results = _Results(job, scratch, header, plan.labels)
        for block in ahead(iter(blocks)):
            results.add(block, inside)
        found = within(replace(blocks.category, boxes=blocks.boxes), inside, plan.labels)
        results.publish(blocks)
        if job.part is not None:
            names = job.source.name.as_posix(), job.source.name.with_name(source.name).as_posix()
            objects = blocks.objects if "instances" in plan.tasks else None
            write_part(job.part, job.tasks, [described_blocks(names, header.size, found, objects, plan)])


class _Results:
    """What was found so far, on disk."""

    def __init__(self, job: Job, scratch: Path, header: ImageHeader, labels: LabelMap) -> None:
        self._job, self._scratch, self._header, self._labels = job, scratch, header, labels
        self.suffix = suffix_of(job.source.path, header)
        self._stores: dict[str, BlockStore] = {}

    def add(self, block: Block, inside: np.ndarray | None) -> None:
        part = None if inside is None else inside[block.box]
        found = within(Prediction(labels=block.labels, instances=block.instances), part, self._labels)
        if found.labels is not None:
            self._store("masks", np.dtype(np.uint8)).write(block.box, found.labels)
        if found.instances is not None:
            self._store("instances", np.dtype(np.int32)).write(block.box, found.instances)

        if block.probabilities is not None:
            file = self._scratch / "probabilities.npy"
            shape = (*self._header.size, block.probabilities.shape[-1])
            mode: Literal["r+", "w+"] = "r+" if file.exists() else "w+"
            # Opened anew for each block: pages of a file that stays mapped would count as ours.
            open_memmap(file, mode, np.float32, None if mode == "r+" else shape)[block.box] = (
                block.probabilities
            )

    def _store(self, kind: str, dtype: np.dtype) -> BlockStore:
        if kind not in self._stores:
            size = self._header.size
            chunk = CHUNKS[len(size)] if self.suffix == ".ome.zarr" else (1, TILE, TILE)[-len(size) :]
            self._stores[kind] = BlockStore(self._scratch / kind, size, dtype, chunk)
        return self._stores[kind]

    def publish(self, blocks: Blocks) -> None:
        """Write the masks and instances where they belong, each whole or not at all."""
        size, spacing, labels = self._header.size, self._header.spacing, self._labels
        if (file := self._scratch / "probabilities.npy").exists():
            publish_file(file, self._job.path("probabilities", ".npy"))
        if "masks" in self._stores:
            read = self._stores["masks"].read
            dtype = labels.to_ids(np.zeros(1, np.uint8)).dtype
            where = self._job.path("masks", self.suffix)
            self._write(
                where,
                LargeMask(size, dtype, lambda box: to_values(read(box), labels, where), spacing, labels),
            )
        if "instances" in self._stores:
            ids, read_ids = blocks.ids, self._stores["instances"].read
            where = self._job.path("instances", self.suffix)
            self._write(where, LargeMask(size, np.dtype(np.int32), lambda box: ids[read_ids(box)], spacing))

    def _write(self, path: Path, mask: LargeMask) -> None:
        if self.suffix == ".ome.zarr":
            write_ome_zarr(path, mask)
        elif self.suffix == ".tif":
            write_tiled_tiff(path, mask)
        else:
            whole = tuple(slice(0, side) for side in mask.size)
            write_nifti(path, mask.read(whole), self._job.source.path)
