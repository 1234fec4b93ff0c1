"""Real numbers of each pixel as a TIFF with a channel for each kind, whole or part by part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reunet.slices import Slices
from reunet.storage import atomic_path


def write_maps(path: Path, values: np.ndarray) -> None:
    """Write (*space, channels) float32 atomically; the channels come before rows and columns."""
    import tifffile

    stored = np.ascontiguousarray(np.moveaxis(values, -1, -3), np.float32)
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, stored, metadata=_axes(stored.ndim), photometric="minisblack")


def create_maps(path: Path, size: tuple[int, ...], channels: int) -> None:
    """A file for an image of `size` (*space), all zero; it is as large as it will be."""
    import tifffile

    shape = (*size[:-2], channels, *size[-2:])
    told: dict[str, Any] = {"metadata": _axes(len(shape)), "photometric": "minisblack"}
    tifffile.memmap(path, shape=shape, dtype=np.float32, **told)


def write_part(path: Path, part: Slices, values: np.ndarray) -> None:
    """Write a part, (*part, channels), into such a file; nothing of it stays in memory."""
    import tifffile

    np.moveaxis(tifffile.memmap(path, mode="r+"), -3, -1)[part] = values


def _axes(count: int) -> dict[str, str]:
    return {"axes": "ZCYX"[-count:]}
