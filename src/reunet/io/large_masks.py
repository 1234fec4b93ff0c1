"""Masks larger than memory: OME-Zarr with a pyramid, and tiled BigTIFF, written box by box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.labels import LabelMap
from reunet.io.lazy import package
from reunet.io.masks import palette
from reunet.storage import atomic_path, publish_folder

Box = tuple[slice, ...]

TILE = 512
"""Side of the tiles of a TIFF, and of the chunks of a Zarr image."""

LEVEL = 4
"""Of zlib in a TIFF: a sixth larger than its usual 6, in a third of the time."""

CHUNKS = {2: (TILE, TILE), 3: (64, 128, 128)}
"""Of Zarr, by rank."""

SMALLEST = 512
"""The coarsest level of a pyramid has no longer side than that, or else could have one more."""


@dataclass(frozen=True)
class LargeMask:
    """A mask to be written.

    size: of (H, W) or (D, H, W). read: a box to its values, (*box) of dtype. spacing: size of a pixel per
    axis, in micrometres (volumes: millimetres) or None. labels: the classes whose ids the values are; None of
    objects.
    """

    size: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[Box], np.ndarray]
    spacing: tuple[float, ...] | None = None
    labels: LabelMap | None = None


def write_tiled_tiff(path: Path, mask: LargeMask) -> None:
    """A tiled BigTIFF, atomically: a page per slice, the colours of the classes in its palette."""
    import tifffile

    pages = mask.size[:-2]

    def tiles() -> Iterator[np.ndarray]:
        counts = [ceil(side / TILE) for side in mask.size[-2:]]
        for *page, i, j in product(*map(range, pages), *map(range, counts)):
            box = (*(slice(n, n + 1) for n in page), *_square(i, j, mask.size[-2:]))
            values = mask.read(box).reshape([part.stop - part.start for part in box[-2:]])
            yield np.pad(values, [(0, TILE - side) for side in values.shape])

    colour: dict[str, Any] = {"photometric": "minisblack"}
    if mask.labels is not None and mask.dtype == np.uint8:
        table = palette(mask.labels).T.astype(np.uint16) * 257
        colour = {"photometric": "palette", "colormap": table}
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
            **colour,
        )


def _square(i: int, j: int, size: tuple[int, ...]) -> Box:
    places = zip((i, j), size, strict=True)
    return tuple(slice(n * TILE, min((n + 1) * TILE, side)) for n, side in places)


def write_ome_zarr(path: Path, mask: LargeMask) -> None:
    """An OME-Zarr label image (version 0.4), published in one step: a pyramid whose levels have every second
    pixel of the one before, and the colours of the classes.
    """
    zarr = package("zarr", "zarr")
    rank = len(mask.size)

    def fill(folder: Path) -> None:
        group = zarr.open_group(str(folder), mode="a", zarr_format=2)
        read, size, level, factors = mask.read, mask.size, 0, (1,) * rank
        levels = []
        while True:
            array = group.create_array(
                str(level),
                shape=size,
                chunks=tuple(min(a, b) for a, b in zip(CHUNKS[rank], size, strict=True)),
                dtype=mask.dtype,
                chunk_key_encoding={"name": "v2", "separator": "/"},
                fill_value=0,
            )
            for box in _boxes(size, array.chunks):
                array[box] = read(box)
            levels.append((str(level), factors))
            if max(size) <= SMALLEST:
                break
            steps = tuple(2 if side > SMALLEST else 1 for side in size)
            read = _every(array, steps)
            size = tuple(ceil(side / step) for side, step in zip(size, steps, strict=True))
            factors = tuple(a * b for a, b in zip(factors, steps, strict=True))
            level += 1
        group.attrs.update(_metadata(path.name, mask, levels))

    publish_folder(path, fill)


def _boxes(size: tuple[int, ...], chunk: tuple[int, ...]) -> Iterator[Box]:
    for starts in product(*(range(0, n, side) for n, side in zip(size, chunk, strict=True))):
        yield tuple(slice(a, min(a + side, n)) for a, side, n in zip(starts, chunk, size, strict=True))


def _every(array: Any, steps: tuple[int, ...]) -> Callable[[Box], np.ndarray]:
    def read(box: Box) -> np.ndarray:
        spans = zip(box, steps, array.shape, strict=True)
        finer = tuple(slice(p.start * s, min(p.stop * s, n)) for p, s, n in spans)
        return np.asarray(array[finer])[tuple(slice(None, None, step) for step in steps)]

    return read


def _metadata(name: str, mask: LargeMask, levels: list[tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    rank = len(mask.size)
    unit = {} if mask.spacing is None else {"unit": "millimeter" if rank == 3 else "micrometer"}
    spacing = mask.spacing or (1.0,) * rank
    datasets = []
    for level, factors in levels:
        scale = [float(a * b) for a, b in zip(spacing, factors, strict=True)]
        datasets.append({"path": level, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    axes = [{"name": axis, "type": "space", **unit} for axis in "zyx"[-rank:]]
    image = {"version": "0.4", "name": name, "axes": axes, "datasets": datasets, "type": "nearest"}
    label: dict[str, Any] = {"version": "0.4"}
    if mask.labels is not None:
        entries = mask.labels.classes
        label["colors"] = [{"label-value": entry.id, "rgba": [*entry.color, 255]} for entry in entries]
        label["properties"] = [{"label-value": entry.id, "class": entry.name} for entry in entries]
    return {"multiscales": [image], "image-label": label}
