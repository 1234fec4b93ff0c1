"""Zarr images: the one array that a folder holds, by the metadata of OME-Zarr, and the size of its pixels."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from reunet.backend import import_extra
from reunet.errors import ImageReadError, TooLargeError
from reunet.io.header import Doubt, check_filled
from reunet.io.units import micrometres
from reunet.slices import Slices, touched

SMALLEST_PIECE, MOST_PIECES = 1024, 100_000
"""Pixels that a piece has at least in an array of more pieces than that: each is a file to open."""

LARGEST_SAMPLE = 16
"""Bytes of a sample that a filter may have made of a smaller one."""


@dataclass(frozen=True)
class ZarrImage:
    """An array of a Zarr folder.

    axes: as it names them, in capitals, empty where it does not. spacing: per axis of space, micrometres, in
    volumes millimetres. doubts: as those of a header. channel_names: as its `omero` part labels them.
    """

    array: Any
    axes: str
    spacing: tuple[float, ...] | None
    doubts: tuple[Doubt, ...]
    channel_names: tuple[str, ...] = ()


def open_zarr(path: Path, rank: int) -> ZarrImage:
    """The image in a folder. Raises ImageReadError for none or several, and whatever zarr does."""
    zarr = import_extra("zarr", "zarr")
    found = zarr.open(str(path), mode="r")
    if not isinstance(found, zarr.Group):
        check_stored(path, found, path)
        return ZarrImage(found, _own_axes(found), None, ())
    facts = facts_of(found)
    if "multiscales" not in facts:
        found = _only_series(path, found, facts)
        facts = facts_of(found)
    scales = facts["multiscales"][0]
    name = scales["datasets"][0]["path"]
    if name not in found:
        raise ImageReadError("the OME-Zarr image lacks its array", where=path, expected=f"an array {name!r}")
    array = found[name]
    axes = "".join(one["name"] if isinstance(one, dict) else one for one in scales.get("axes", ())).upper()
    own = _own_axes(array)
    if own and axes and own != axes:
        raise ImageReadError(
            "the OME-Zarr image names its axes twice, differently",
            where=path,
            expected=f"{axes} as in multiscales",
            received=f"{own} in dimension_names",
            fix="name them with --axes, or correct the metadata",
        )
    check_stored(path, array, Path(array.store.root) / array.store_path.path)
    told = tuple(str(one.get("label", "")) for one in facts.get("omero", {}).get("channels", ()))
    usual = "TCZYX" if array.ndim == 5 else ""  # before version 0.3 nothing else could be
    return ZarrImage(array, axes or own or usual, *_spacing(scales, axes, rank), told)


def facts_of(group: Any) -> dict[str, Any]:
    """The metadata of OME-Zarr 0.4 or 0.5."""
    told = group.attrs.asdict()
    facts: dict[str, Any] = told.get("ome", told)
    return facts


def _only_series(path: Path, group: Any, facts: dict[str, Any]) -> Any:
    """The group of the only image that bioformats2raw has written into a folder."""
    series = numbered_series(group)
    if len(series) == 1:
        return group[series[0]]
    kind = next((kind for kind in ("plate", "well") if kind in facts), None)
    example = f"{path.name}/A/1/0" if kind == "plate" else f"{path.name}/0"
    one_of = f"give one of them, such as {example}" if series or kind else None
    raise ImageReadError(
        f"the Zarr folder is a {kind} of many images" if kind else "the Zarr group is no OME-Zarr image",
        where=path,
        expected="multiscales metadata (OME-Zarr 0.4 or 0.5), or a single array",
        received=f"images {', '.join(series)}" if series else f"attributes {', '.join(facts) or 'none'}",
        fix=one_of,
    )


def numbered_series(group: Any) -> list[str]:
    """The images that bioformats2raw has written into a group."""
    numbers = sorted((name for name in group.group_keys() if name.isdigit()), key=int)
    return [name for name in numbers if "multiscales" in facts_of(group[name])]


def _own_axes(array: Any) -> str:
    """The names that the array itself gives to its axes, if these are names of axes of an image."""
    names = (
        getattr(array.metadata, "dimension_names", None)
        or array.attrs.asdict().get("_ARRAY_DIMENSIONS")
        or ()
    )
    told = "".join(str(name).upper() for name in names)
    return told if len(told) == len(names) and set(told) <= set("TCZYX") else ""


def _spacing(scales: Any, axes: str, rank: int) -> tuple[tuple[float, ...] | None, tuple[Doubt, ...]]:
    """Size of a pixel per axis of space: the scale of the array times that of the whole image."""
    steps = (
        *scales["datasets"][0].get("coordinateTransformations", ()),
        *scales.get("coordinateTransformations", ()),
    )
    told = [step["scale"] for step in steps if step.get("type") == "scale" and "scale" in step]
    units = [one.get("unit") if isinstance(one, dict) else None for one in scales.get("axes", ())]
    space = [axes.find(name) for name in "ZYX"[-rank:]]
    if not told or any(len(one) != len(axes) for one in told) or min(space) < 0:
        return None, ()
    sizes = [float(told[0][at]) * (float(told[1][at]) if len(told) > 1 else 1.0) for at in space]
    if min(sizes) <= 0:
        return None, ()
    known = [one for at in space if (one := micrometres(units[at])) is not None]
    if len(known) < rank:
        stated = (
            f"{' x '.join(f'{side:g}' for side in sizes)} of unit {', '.join(str(units[at]) for at in space)}"
        )
        doubt = Doubt("the unit of the pixel size is missing or unknown", "no size", stated, grave=False)
        return None, () if set(sizes) == {1.0} else (doubt,)
    per = 1000 if rank == 3 else 1
    return tuple(side * one / per for side, one in zip(sizes, known, strict=True)), ()


def check_stored(path: Path, array: Any, folder: Path) -> None:
    """Raise for arrays or pieces without pixels, too many tiny ones, and an array that is hardly there."""
    pieces, pixels = array.chunks, prod(map(int, array.shape))
    if min(pieces, default=1) < 1:
        raise ImageReadError(
            "the pieces of the array have no pixels", where=path, received=f"chunks {pieces}"
        )
    if pixels < 1:  # the chunks of a long side would be looked for all the same
        raise ImageReadError("the array has no pixels", where=path, received=f"shape {array.shape}")
    piece = prod(pieces)
    if piece < SMALLEST_PIECE and pixels > MOST_PIECES * piece:
        raise TooLargeError(
            "the array is stored in too many tiny pieces",
            where=path,
            expected=f"pieces of at least {SMALLEST_PIECE} pixels, or at most {MOST_PIECES:,}",
            received=f"{-(-pixels // piece):,} pieces of {piece} pixels",
            fix="save it in larger chunks, such as 512 x 512",
        )
    check_filled(path, pixels, array.dtype.itemsize, lambda needed: _stored_bytes(folder, needed))


def _stored_bytes(folder: Path, needed: int) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            total += os.path.getsize(os.path.join(parent, file))
            if total >= needed:
                return total
    return total


def reader_of(array: Any, path: Path) -> Callable[[tuple[slice | int, ...]], Any]:
    """What reads an index of an array. Raises ImageReadError where missing chunks have no fill value."""
    if array.fill_value is None and array.nchunks_initialized < array.nchunks:
        raise ImageReadError(
            "chunks of the array are missing, and it does not say what they stand for",
            where=path,
            expected=f"{array.nchunks} chunks, or a fill_value",
            received=f"{array.nchunks_initialized} chunks, fill_value null",
            fix="copy or export it again",
        )
    blosc = "Blosc" in str(array.compressors) and array.shards is None
    return partial(_whole_chunks, array, path) if blosc else array.__getitem__


def _whole_chunks(array: Any, path: Path, index: tuple[slice | int, ...]) -> Any:
    """Values of a Zarr array whose chunks are compared with the lengths that Blosc wrote into them before
    they are read: the library itself decodes a truncated one to whatever memory holds, and one that says it
    is long into as much memory.
    """
    sides = zip(index, array.shape, strict=True)
    part: Slices = tuple(
        slice(*(i if isinstance(i, slice) else slice(i, i + 1)).indices(n)) for i, n in sides
    )
    most = prod(array.chunks) * LARGEST_SAMPLE
    folder = Path(array.store.root) / array.store_path.path
    for place, _ in touched(part, array.chunks):
        file = folder / array.metadata.encode_chunk_key(place)
        if file.is_file():
            with open(file, "rb") as chunk_file:
                start = chunk_file.read(16)
            unpacked, packed = (int.from_bytes(start[at : at + 4], "little") for at in (4, 12))
            if packed != file.stat().st_size or unpacked > most:
                raise ImageReadError(
                    "a chunk of the array is truncated or damaged",
                    where=path,
                    received=file.relative_to(path).as_posix(),
                    fix="copy or export it again",
                )
    return array[index]
