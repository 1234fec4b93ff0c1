"""Masks larger than memory: OME-Zarr with a pyramid, and tiled BigTIFF, written part by part."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.contracts.labels import LabelMap
from reunet.io.masks import tiff_colors
from reunet.io.units import tiff_resolution
from reunet.slices import Slices, all_of, grid, size_of
from reunet.storage import atomic_path, publish_folder

TILE = 512
"""Side of the tiles of a TIFF, and of the chunks of a Zarr image."""

LEVEL = 4
"""Of zlib in a TIFF: a sixth larger than its usual 6, in a third of the time."""

CHUNKS = {2: (TILE, TILE), 3: (64, 128, 128)}
"""Of Zarr, by rank."""

PIECE = {2: 16, 3: 4}
"""Chunks per axis of what is written at a time where several processes write, by rank."""

SMALLEST = 512
"""The coarsest level of a pyramid has no longer side than that, or else could have one more."""


@dataclass(frozen=True)
class LargeMask:
    """A mask to be written.

    size: of (H, W) or (D, H, W). read: a part to its values, (*part) of dtype. spacing: size of a pixel per
    axis, in micrometres (volumes: millimetres) or None. labels: the classes whose ids the values are; None of
    objects. tags: of tifffile, which a TIFF gets.
    """

    size: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[Slices], np.ndarray]
    spacing: tuple[float, ...] | None = None
    labels: LabelMap | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)


def write_tiled_tiff(path: Path, mask: LargeMask) -> None:
    """A tiled BigTIFF, atomically: a page per slice, the colours of the classes in its palette."""
    import tifffile

    def tiles() -> Iterator[np.ndarray]:
        for part in grid(all_of(mask.size), (1, TILE, TILE)[-len(mask.size) :]):
            values = mask.read(part).reshape(size_of(part)[-2:])
            yield np.pad(values, [(0, TILE - side) for side in values.shape])

    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=True) as file:
        file.write(
            tiles(),
            shape=mask.size,
            dtype=mask.dtype,
            tile=(TILE, TILE),
            compression="zlib",
            compressionargs={"level": LEVEL},
            maxworkers=1,
            metadata=None,
            **tiff_colors(mask.labels, mask.dtype),
            **tiff_resolution(mask.spacing if len(mask.size) == 2 else None),
            **mask.tags,
        )


Fill = Callable[[Slices], None]
"""Writes a part of an array; can be pickled where the reading function of the mask can."""

Each = Callable[[Fill, Sequence[Slices]], None]
"""Calls a function with every part, in any order, perhaps in other processes that see the same files."""


def one_by_one(fill: Fill, parts: Sequence[Slices]) -> None:
    """Here, in order."""
    for part in parts:
        fill(part)


def write_ome_zarr(path: Path, mask: LargeMask, each: Each = one_by_one, like: Path | None = None) -> None:
    """An OME-Zarr label image, published in one step: a pyramid whose levels have every second pixel of the
    one before, and the colours of the classes. Its version is that of the image it is of, `like`; else 0.4.
    """
    zarr = import_extra("zarr", "zarr")
    rank, is_newer = len(mask.size), like is not None and (like / "zarr.json").is_file()

    def fill(folder: Path) -> None:
        entries: dict[str, Any] = {}
        group = zarr.open_group(zarr.storage.MemoryStore(entries), mode="a", zarr_format=3 if is_newer else 2)
        read, size, level, factors = mask.read, mask.size, 0, (1,) * rank
        levels = []
        while True:
            chunk = tuple(min(a, b) for a, b in zip(CHUNKS[rank], size, strict=True))
            group.create_array(
                str(level),
                shape=size,
                chunks=chunk,
                dtype=mask.dtype,
                chunk_key_encoding={"name": "default" if is_newer else "v2", "separator": "/"},
                fill_value=0,
            )
            _write_metadata_files(folder, entries)
            piece = tuple(side * PIECE[rank] for side in chunk)
            each(partial(_write_chunks, folder / str(level), chunk, read), list(grid(all_of(size), piece)))
            levels.append((str(level), factors))
            if max(size) <= SMALLEST:
                break
            steps = tuple(2 if side > SMALLEST else 1 for side in size)
            read = partial(_thinned, folder / str(level), size, steps)
            size = tuple(ceil(side / step) for side, step in zip(size, steps, strict=True))
            factors = tuple(a * b for a, b in zip(factors, steps, strict=True))
            level += 1
        told = _metadata(path.name, mask, levels, "0.5" if is_newer else "0.4")
        group.attrs.update({"ome": told} if is_newer else told)
        _write_metadata_files(folder, entries)

    publish_folder(path, fill)


def _write_metadata_files(folder: Path, entries: Mapping[str, Any]) -> None:
    """Write what zarr holds in memory, one file after another: zarr itself writes several at a time, and
    goes on with the others, in a folder that is gone by then, when one of them has failed.
    """
    for name, entry in entries.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(entry.to_bytes())


def _write_chunks(
    level: Path, chunk: tuple[int, ...], read: Callable[[Slices], np.ndarray], part: Slices
) -> None:
    """Write a part of the array in a folder, chunk by chunk."""
    array = import_extra("zarr", "zarr").open_array(str(level), mode="r+")
    for place in grid(part, chunk):
        array[place] = read(place)


def _thinned(level: Path, size: tuple[int, ...], steps: tuple[int, ...], part: Slices) -> np.ndarray:
    """A part of every so many pixels per axis of the array of `size` in a folder."""
    array = import_extra("zarr", "zarr").open_array(str(level), mode="r")
    spans = zip(part, steps, size, strict=True)
    finer = tuple(slice(side.start * step, min(side.stop * step, length)) for side, step, length in spans)
    return np.asarray(array[finer])[tuple(slice(None, None, step) for step in steps)]


def _metadata(
    name: str, mask: LargeMask, levels: list[tuple[str, tuple[int, ...]]], version: str
) -> dict[str, Any]:
    rank = len(mask.size)
    unit = {} if mask.spacing is None else {"unit": "millimeter" if rank == 3 else "micrometer"}
    spacing = mask.spacing or (1.0,) * rank
    datasets = []
    for level, factors in levels:
        scale = [float(a * b) for a, b in zip(spacing, factors, strict=True)]
        datasets.append({"path": level, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    axes = [{"name": axis, "type": "space", **unit} for axis in "zyx"[-rank:]]
    own = {"version": version} if version == "0.4" else {}  # later versions tell it once
    image = {**own, "name": name, "axes": axes, "datasets": datasets, "type": "nearest"}
    label: dict[str, Any] = dict(own)
    if mask.labels is not None:
        entries = mask.labels.classes
        label["colors"] = [{"label-value": entry.id, "rgba": [*entry.color, 255]} for entry in entries]
        label["properties"] = [{"label-value": entry.id, "class": entry.name} for entry in entries]
    return ({} if own else {"version": version}) | {"multiscales": [image], "image-label": label}
