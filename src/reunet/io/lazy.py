"""Images and volumes of which only the part that is asked for is read, behind one small interface.

TIFF, OME-Zarr (versions 2 and 3 of Zarr), NIfTI, NumPy's .npy and HDF5. Whatever the format, a part that is
truncated or damaged raises ImageReadError, when the file is opened or when the part is read.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.errors import ImageReadError, TooLargeError
from reunet.io.channels import chosen_channels
from reunet.io.formats.table import stored_image
from reunet.io.header import MAX_PIXELS, ImageHeader, check_filled, explained
from reunet.io.images import image_suffix
from reunet.io.nifti import lazy_nifti
from reunet.io.tiff import open_tiff_page
from reunet.io.tissue import Tissue
from reunet.io.zarr_arrays import open_zarr, reader_of
from reunet.slices import Slices

MOST_LEVELS, MOST_ENTRIES = 32, 20_000
"""Groups within groups, and things in them, among which an image is looked for in an HDF5 file."""

ARRAY_SUFFIXES = frozenset({".zarr", ".npy", ".h5", ".hdf5"})
"""Formats that are read in parts only: they have no header of an image, but the shape of an array."""


@dataclass(frozen=True)
class LazyImage:
    """An image file that is open.

    header: as of other images. chunk: pixels per axis that the file stores in one piece. read: a part
    to its pixels (*part, C), in the sample type of the file. known: a part to where something is known of it,
    (*part) bool; None for everywhere. scale: of a slide, the size of its pixels per axis in those of the
    images that a run was trained on; None where one stands for one. tissue: where a slide shows some; None
    for everywhere.
    """

    header: ImageHeader
    chunk: tuple[int, ...]
    read: Callable[[Slices], np.ndarray]
    known: Callable[[Slices], np.ndarray] | None = None
    scale: tuple[float, ...] | None = None
    tissue: Tissue | None = None


def is_array(path: Path) -> bool:
    """Whether a path is named like a format that is read in parts only (see ARRAY_SUFFIXES), or is a folder
    within a Zarr folder, such as one of its images.
    """
    return path.suffix.lower() in ARRAY_SUFFIXES or (path.is_dir() and _is_in_zarr(path))


def _is_in_zarr(path: Path) -> bool:
    return any(parent.suffix.lower() == ".zarr" for parent in path.parents)


@contextmanager
def open_lazily(
    path: Path,
    *,
    rank: int,
    page: int = 0,
    axes: str | None = None,
    channels: Sequence[str] = (),
    level: int = 0,
) -> Iterator[LazyImage]:
    """An image or volume to be read in parts.

    channels: those to read, see `chosen_channels`. level: of the pyramid of a TIFF, 0 for the finest.
    rank: axes of space, 2 or 3. axes: names those of a file that does not name them, of Z, C, Y and X, such
    as "ZYX"; in .npy and HDF5 the last axis counts as channels where there is one more than those of space.
    Missing chunks of Zarr and HDF5 are the array's fill value, as the formats say; without one (null) they
    are an error. Raises ImageReadError for what is missing, damaged or no image, TooLargeError when a single
    chunk is larger than MAX_PIXELS, BackendError without the package that reads the format.
    """
    kind = ".zarr" if _is_in_zarr(path) and path.is_dir() else image_suffix(path) or path.suffix.lower()
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
            elif (stored := stored_image(path)) is not None:
                image = LazyImage(stored.header, stored.chunk, partial(stored.read, page))
            else:
                image = LazyImage(*open_tiff_page(path, page, axes, level))
        if prod(image.chunk) * image.header.channels > MAX_PIXELS:
            raise TooLargeError(
                "the image is stored in pieces that are too large to be decoded",
                where=path,
                expected=f"pieces of at most {MAX_PIXELS:,} pixels",
                received=" x ".join(map(str, (*image.chunk, image.header.channels))),
                fix="save it in smaller chunks or tiles",
            )

        header, places = chosen_channels(image.header, channels, path)

        def read(part: Slices) -> np.ndarray:
            with explained(path):
                return image.read(part)[..., places]

        yield replace(image, header=header, read=read)


def lazy_header(
    path: Path, *, rank: int, axes: str | None = None, channels: Sequence[str] = ()
) -> ImageHeader:
    """Header of a file that can be read in parts. Raises as `open_lazily` does."""
    with open_lazily(path, rank=rank, axes=axes, channels=channels) as image:
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
        if pixels.dtype == bool:
            pixels = pixels * np.uint8(255)  # as in other formats
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
    with open(path, "rb") as file:
        start = file.read(12)
    told = int.from_bytes(start[8:12] if start[6:7] > b"\1" else start[8:10], "little")
    if told > (size := path.stat().st_size):  # NumPy would take so much memory before it reads
        raise ImageReadError(
            "the file ends within its header",
            where=path,
            expected=f"{told:,} bytes or more",
            received=f"{size:,} bytes",
            fix="it is truncated or damaged: copy or export it again",
        )

    def mapped() -> np.ndarray:
        """Anew for each part: pages of a file that stays mapped would count as ours."""
        with np.errstate(over="ignore"):  # of a shape that no file can hold
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))

    names = _axes_of(mapped().shape, rank, axes)
    return _of_array(mapped(), path, rank, names, lambda index: np.array(mapped()[index]))


def _hdf5(path: Path, rank: int, axes: str | None, stack: ExitStack) -> LazyImage:
    h5py = import_extra("h5py", "hdf5")
    file = stack.enter_context(h5py.File(path, "r"))
    found = _datasets(h5py, file, path, rank)
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
    check_filled(path, prod(data.shape), data.dtype.itemsize, lambda _: int(data.id.get_storage_size()))
    return _of_array(data, path, rank, _axes_of(data.shape, rank, axes), data.__getitem__)


def _datasets(h5py: Any, file: Any, path: Path, rank: int) -> list[Any]:
    """The datasets of at least so many axes, each once, level by level, until there are several.

    Links are not followed, so that no file outside of this one is opened. HDF5's own walk takes minutes for
    some thousand levels.
    """
    found: list[Any] = []
    groups, seen, entries = [file], set[int](), 0
    for _ in range(MOST_LEVELS):
        below = []
        for group in groups:
            for name in group:
                entries += 1
                if len(found) > 1 or entries > MOST_ENTRIES:
                    break
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    continue
                entry = group[name]
                if (place := h5py.h5o.get_info(entry.id).addr) in seen:
                    continue
                seen.add(place)
                if isinstance(entry, h5py.Group):
                    below.append(entry)
                elif isinstance(entry, h5py.Dataset) and entry.ndim >= rank:
                    found.append(entry)
        groups = below
        if len(found) > 1 or (not groups and entries <= MOST_ENTRIES):
            return found
    raise ImageReadError(
        "the HDF5 file is nested too deeply, or holds too much, to look for an image in it",
        where=path,
        expected=f"at most {MOST_LEVELS} levels and {MOST_ENTRIES:,} entries",
        fix="save each image in a file of its own",
    )


def _zarr(path: Path, rank: int, axes: str | None, stack: ExitStack) -> LazyImage:
    image = open_zarr(path, rank)
    array = image.array
    names = axes.upper() if axes else image.axes or _axes_of(array.shape, rank, None)
    lazy = _of_array(array, path, rank, names, reader_of(array, path), image.spacing)
    named = image.channel_names if len(image.channel_names) == lazy.header.channels else ()
    return replace(lazy, header=replace(lazy.header, doubts=image.doubts, channel_names=named))


def _nifti(path: Path, rank: int, axes: str | None, stack: ExitStack) -> LazyImage:
    if rank != 3:
        raise ImageReadError("the file is a volume", where=path, expected="an image")

    def scratch() -> Path:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reunet-")))

    header, read = lazy_nifti(path, scratch)
    return LazyImage(header, (1, 1, 1), read)
