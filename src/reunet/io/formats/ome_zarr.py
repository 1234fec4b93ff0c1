"""OME-Zarr 0.4 and 0.5: images with time, depth and channels, series and plates of wells (zarr)."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.errors import ImageReadError
from reunet.io.formats.planes import Place, of_planes
from reunet.io.formats.stored import StoredImage
from reunet.io.zarr_arrays import facts_of, numbered_series, open_zarr, reader_of
from reunet.slices import Slices

MOST_IMAGES = 100_000
"""Of a plate."""


def names(path: Path) -> tuple[str, ...]:
    """The fields of a plate, such as A/1/0, or of a well, or the series of bioformats2raw."""
    zarr = import_extra("zarr", "zarr", path)
    group = zarr.open(str(path), mode="r")
    if not isinstance(group, zarr.Group) or "multiscales" in facts_of(group):
        return ("",)
    found = [*_fields(group)][:MOST_IMAGES] or numbered_series(group)
    return tuple(found) if len(found) > 1 else ("",)


def _fields(group: Any) -> Iterator[str]:
    facts = facts_of(group)
    for image in facts.get("well", {}).get("images", ()):
        yield str(image["path"])
    for well in facts.get("plate", {}).get("wells", ()):
        place = str(well["path"])
        yield from (f"{place}/{field}" for field in _fields(group[place]))


def describe(path: Path, name: str) -> StoredImage:
    """One image, at full resolution."""
    path = path / name if name else path
    image = open_zarr(path, 2)
    shape = tuple(map(int, image.array.shape))
    axes = image.axes or ("YX" if len(shape) == 2 else "")
    if len(axes) != len(shape) or not {"Y", "X"} <= set(axes) or len(set(axes)) < len(axes):
        raise ImageReadError(
            "the axes of the array are not those of an image",
            where=path,
            expected="Y, X, and any of T (time), Z (depth), C (channels)",
            received=f"axes {axes or 'unknown'}, shape {shape}",
            fix="add the metadata of OME-Zarr, or save it as one",
        )
    dtype = np.dtype(image.array.dtype)
    if dtype.kind not in "buif":
        raise ImageReadError("unsupported sample type", where=path, received=dtype)
    sizes = dict(zip(axes, shape, strict=True))
    kept = {axis: side for axis, side in sizes.items() if side > 1 or axis in "YXC"}
    pieces = dict(zip(axes, image.array.chunks, strict=True))
    down, across = image.spacing or (0.0, 0.0)
    return of_planes(
        path,
        kept,
        np.dtype(np.uint8) if dtype.kind == "b" else dtype,
        partial(_read, path, axes),
        spacing=(down, across),
        channel_names=image.channel_names,
        piece=(min(pieces["Y"], sizes["Y"]), min(pieces["X"], sizes["X"])),
    )


def _read(path: Path, axes: str, places: Sequence[Place], part: Slices) -> list[np.ndarray]:
    """All channels at once, as a chunk may hold several."""
    wanted = places[0] | {"Y": part[0], "X": part[1], "C": slice(None)}
    get = reader_of(open_zarr(path, 2).array, path)
    pixels = np.asarray(get(tuple(wanted.get(axis, 0) for axis in axes)))
    order = [axis for axis in axes if axis in "CYX"]
    pixels = pixels.transpose([order.index(axis) for axis in "CYX" if axis in order])
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)  # as in other formats
    return list(pixels) if "C" in order else [pixels]
