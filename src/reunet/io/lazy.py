"""Images and volumes of which only the part that is asked for is read, behind one small interface.

TIFF, OME-Zarr (versions 2 and 3 of Zarr), NIfTI, NumPy's .npy and HDF5. Whatever the format, a part that is
truncated or damaged raises ImageReadError, when the file is opened or when the part is read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.errors import ImageReadError, TooLargeError
from reunet.io.header import MAX_PIXELS, ImageHeader, explained
from reunet.io.images import image_suffix
from reunet.io.nifti import lazy_nifti
from reunet.io.tiff import open_tiff_page
from reunet.slices import Slices, touched

_UNITS = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6}
"""Micrometres, by the names of OME-Zarr."""

ARRAY_SUFFIXES = frozenset({".zarr", ".npy", ".h5", ".hdf5"})
"""Formats that are read in parts only: they have no header of an image, but the shape of an array."""


@dataclass(frozen=True)
class LazyImage:
    """An image file that is open.

    header: as of other images. chunk: pixels per axis that the file stores in one piece. read: a part
    to its pixels (*part, C), in the sample type of the file.
    """

    header: ImageHeader
    chunk: tuple[int, ...]
    read: Callable[[Slices], np.ndarray]


def is_array(path: Path) -> bool:
    """Whether a path is named like a format that is read in parts only (see ARRAY_SUFFIXES)."""
    return path.suffix.lower() in ARRAY_SUFFIXES


@contextmanager
def open_lazily(path: Path, *, rank: int, page: int = 0, axes: str | None = None) -> Iterator[LazyImage]:
    """An image or volume to be read in parts.

    rank: axes of space, 2 or 3. axes: names those of a file that does not name them, of Z, C, Y and X, such
    as "ZYX"; in .npy and HDF5 the last axis counts as channels where there is one more than those of space.
    Missing chunks of Zarr and HDF5 are the array's fill value, as the formats say; without one (null) they
    are an error. Raises ImageReadError for what is missing, damaged or no image, TooLargeError when a single
    chunk is larger than MAX_PIXELS, BackendError without the package that reads the format.
    """
    kind = image_suffix(path) or path.suffix.lower()
    openers: dict[str, Callable[..., LazyImage]] = {
        ".zarr": _zarr,
        ".npy": _npy,
        ".h5": _hdf5,
        ".hdf5": _hdf5,
        ".nii": _nifti,
        ".nii.gz": _nifti,
    }
    with ExitStack() as stack:
        with explained(path):
            if kind in openers:
                image = openers[kind](path, rank, axes, stack)
            else:
                image = LazyImage(*open_tiff_page(path, page, axes))
        if prod(image.chunk) > MAX_PIXELS:
            raise TooLargeError(
                "the image is stored in pieces that are too large to be decoded",
                where=path,
                expected=f"pieces of at most {MAX_PIXELS:,} pixels",
                received=" x ".join(map(str, image.chunk)),
                fix="save it in smaller chunks or tiles",
            )

        def read(part: Slices) -> np.ndarray:
            with explained(path):
                return image.read(part)

        yield replace(image, read=read)


def lazy_header(path: Path, *, rank: int, axes: str | None = None) -> ImageHeader:
    """Header of a file that can be read in parts. Raises as `open_lazily` does."""
    with open_lazily(path, rank=rank, axes=axes) as image:
        return image.header


def _of_array(
    array: Any,
    path: Path,
    rank: int,
    names: str,
    get: Callable[[tuple[slice | int, ...]], Any],
    spacing: tuple[float, ...] | None = None,
) -> LazyImage:
    """Of anything that has a shape, a dtype and perhaps chunks; `names` are those of its axes, `get` reads an
    index of it.
    """
    shape = tuple(int(side) for side in array.shape)
    space = "ZYX"[-rank:]
    extra = [i for i, name in enumerate(names) if name not in space + "C" and shape[i] != 1]
    if len(names) != len(shape) or not set(space) <= set(names) or extra or min(shape, default=0) < 1:
        raise ImageReadError(
            "the axes of the array are not those of an image" if rank == 2 else "the array is no volume",
            where=path,
            expected=f"axes {', '.join(space)}, perhaps C (channels), and others of length 1",
            received=f"axes {names or 'unknown'}, shape {shape}",
            fix="name the axes with --axes, such as ZYX, or save one image per file",
        )
    if np.dtype(array.dtype).kind not in "buif":
        raise ImageReadError("unsupported sample type", where=path, received=array.dtype)
    channels = shape[names.index("C")] if "C" in names else 1

    def read(part: Slices) -> np.ndarray:
        at = dict(zip(space, part, strict=True))
        pixels = np.asarray(get(tuple(at.get(name, slice(None) if name == "C" else 0) for name in names)))
        kept = [name for name in names if name in space + "C"]
        order = [kept.index(name) for name in space + "C" if name in kept]
        pixels = pixels.transpose(order)
        return pixels if "C" in kept else pixels[..., None]

    header = ImageHeader(
        size=tuple(shape[names.index(name)] for name in space),
        channels=channels,
        dtype=str(np.dtype(array.dtype)),
        axes=names,
        spacing=spacing,
    )
    chunk = getattr(array, "chunks", None) or (1,) * len(shape)
    return LazyImage(header, tuple(chunk[names.index(name)] for name in space), read)


def _axes_of(shape: tuple[int, ...], rank: int, axes: str | None) -> str:
    if axes is not None:
        return axes.upper()
    return "ZYX"[-rank:] + ("C" if len(shape) == rank + 1 else "")


def _npy(path: Path, rank: int, axes: str | None, stack: ExitStack) -> LazyImage:
    def mapped() -> np.ndarray:
        """Anew for each part: pages of a file that stays mapped would count as ours."""
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))

    names = _axes_of(mapped().shape, rank, axes)
    return _of_array(mapped(), path, rank, names, lambda index: np.array(mapped()[index]))


def _hdf5(path: Path, rank: int, axes: str | None, stack: ExitStack) -> LazyImage:
    h5py = import_extra("h5py", "hdf5")
    file = stack.enter_context(h5py.File(path, "r"))
    found: list[Any] = []

    def visit(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and entry.ndim >= rank:
            found.append(entry)

    file.visititems(visit)  # follows no links, so no file outside of this one is opened
    if len(found) != 1:
        raise ImageReadError(
            "the HDF5 file does not hold exactly one image",
            where=path,
            expected=f"one dataset with at least {rank} axes",
            received=", ".join(entry.name for entry in found[:5]) or "none",
            fix="save each image in a file of its own",
        )
    data = found[0]
    if data.external or data.is_virtual:
        raise ImageReadError("the dataset lies in other files", where=path, received=data.name)
    return _of_array(data, path, rank, _axes_of(data.shape, rank, axes), data.__getitem__)


def _zarr(path: Path, rank: int, axes: str | None, stack: ExitStack) -> LazyImage:
    zarr = import_extra("zarr", "zarr")
    group = zarr.open(str(path), mode="r")
    spacing = None
    if isinstance(group, zarr.Group):
        facts = group.attrs.asdict()
        scales = facts.get("ome", facts).get("multiscales")
        if not scales or not scales[0].get("datasets"):
            raise ImageReadError(
                "the Zarr group is no OME-Zarr image",
                where=path,
                expected="multiscales metadata (OME-Zarr 0.4 or 0.5), or a single array",
                received=f"attributes {', '.join(facts) or 'none'}",
            )
        array = group[scales[0]["datasets"][0]["path"]]
        own = "".join(one["name"] if isinstance(one, dict) else one for one in scales[0].get("axes", ()))
        names = axes.upper() if axes else own.upper() or _axes_of(array.shape, rank, None)
        spacing = _zarr_spacing(scales[0], names, rank)
    else:
        array, names = group, _axes_of(group.shape, rank, axes)
    if array.fill_value is None and array.nchunks_initialized < array.nchunks:
        raise ImageReadError(
            "chunks of the array are missing, and it does not say what they stand for",
            where=path,
            expected=f"{array.nchunks} chunks, or a fill_value",
            received=f"{array.nchunks_initialized} chunks, fill_value null",
            fix="copy or export it again",
        )
    blosc = "Blosc" in str(array.compressors) and array.shards is None
    get = partial(_get_whole_chunks, array, path) if blosc else array.__getitem__
    return _of_array(array, path, rank, names, get, spacing)


def _get_whole_chunks(array: Any, path: Path, index: tuple[slice | int, ...]) -> Any:
    """Values of a Zarr array whose chunks are compared with the length that Blosc wrote into them before they
    are read: the library itself decodes a truncated one to whatever memory holds.
    """
    sides = zip(index, array.shape, strict=True)
    part = tuple(slice(*(i if isinstance(i, slice) else slice(i, i + 1)).indices(n)) for i, n in sides)
    folder = Path(array.store.root) / array.store_path.path
    for place, _ in touched(part, array.chunks):
        file = folder / array.metadata.encode_chunk_key(place)
        if file.is_file():
            with open(file, "rb") as chunk_file:
                start = chunk_file.read(16)
            if int.from_bytes(start[12:], "little") != file.stat().st_size:
                raise ImageReadError(
                    "a chunk of the array is truncated",
                    where=path,
                    received=file.relative_to(path).as_posix(),
                    fix="copy or export it again",
                )
    return array[index]


def _zarr_spacing(scales: Any, names: str, rank: int) -> tuple[float, ...] | None:
    """Size of a pixel per axis of space, in the unit of headers: micrometres, and millimetres of volumes."""
    steps = scales["datasets"][0].get("coordinateTransformations", ())
    scale = next((step["scale"] for step in steps if step.get("type") == "scale"), None)
    units = [one.get("unit") if isinstance(one, dict) else None for one in scales.get("axes", ())]
    if scale is None or len(scale) != len(names) or len(units) != len(names):
        return None
    sizes = [
        float(scale[names.index(name)]) * _UNITS.get(str(units[names.index(name)]), 0.0)
        for name in "ZYX"[-rank:]
    ]
    return tuple(side / (1000 if rank == 3 else 1) for side in sizes) if min(sizes) > 0 else None


def _nifti(path: Path, rank: int, axes: str | None, stack: ExitStack) -> LazyImage:
    if rank != 3:
        raise ImageReadError("the file is a volume", where=path, expected="an image")

    def scratch() -> Path:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reunet-")))

    header, read = lazy_nifti(path, scratch)
    return LazyImage(header, (1, 1, 1), read)
