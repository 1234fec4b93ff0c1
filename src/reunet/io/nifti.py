"""NIfTI volumes, read with nibabel: stored in any orientation, they come and go in one.

The axes of an array are (depth, height, width): slices from the feet to the head, rows from the front to
the back, columns from the patient's right to the left, as radiologists look at them. Axes are exchanged and
turned around for that, never resampled.
"""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reunet.errors import ImageReadError
from reunet.io.header import ImageHeader, check_size
from reunet.slices import Slices, size_of
from reunet.storage import atomic_path

ORIENTATION = "SPL"
"""Where the three axes of an array lead to: superior, posterior, left."""

_GZIP = b"\x1f\x8b"
_HEADER_SIZES = {348: "Nifti1Header", 540: "Nifti2Header"}
_MILLIMETRES = {"unknown": 1.0, "mm": 1.0, "micron": 1e-3, "meter": 1e3}


def is_nifti(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a NIfTI file, or gzip, which only these are here."""
    return start[:2] == _GZIP or _header_size(start) in _HEADER_SIZES


def nifti_header(path: Path, file: BinaryIO) -> ImageHeader:
    """Header of a NIfTI file; `axes` are where its axes lead to, as in "RAS", and "C" for channels.

    spacing is None where the file does not state it: a size of 0, or 1 of an unknown unit along axes that
    are not tilted, which is what programs write that do not know. Raises ImageReadError, TooLargeError, and
    whatever nibabel does on damaged files.
    """
    header = _raw_header(path, file)
    size, channels = _shape(path, header)
    pixdim = np.array(header["pixdim"][1:4], np.float64)
    stated = bool((np.isfinite(pixdim) & (pixdim > 0)).all())
    if not stated:
        header["pixdim"][1:4] = 1
    unit = header.get_xyzt_units()[0]
    affine = np.array(header.get_best_affine(), np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise ImageReadError(
            "the volume's orientation is not stated usably",
            where=path,
            expected="an affine matrix that can be inverted",
            received=np.array2string(affine[:3], precision=3).replace("\n", ""),
        )
    stated = stated and not (unit == "unknown" and np.isin(np.abs(affine[:3, :3]), (0, 1)).all())
    affine[:3] *= _MILLIMETRES[unit]
    from nibabel.orientations import aff2axcodes, inv_ornt_aff

    axes = "".join(aff2axcodes(affine)) + ("C" if channels > 1 else "")
    turns = _to_array(affine)
    turned = affine @ inv_ornt_aff(turns, size)
    spacing = tuple(float(side) for side in np.linalg.norm(turned[:3, :3], axis=0).round(6))
    return ImageHeader(
        size=tuple(size[stored] for stored in np.argsort(turns[:, 0])),
        channels=channels,
        dtype=str(header.get_data_dtype()),
        axes=axes,
        spacing=spacing if stated else None,
        affine=turned,
    )


def read_nifti(path: Path, file: BinaryIO) -> np.ndarray:
    """Voxels as stored, intensity scaling applied: (depth, height, width, channels), any real dtype."""
    from nibabel.orientations import apply_orientation

    header = _raw_header(path, file)
    size, channels = _shape(path, header)
    nibabel = _nibabel()
    kind = nibabel.Nifti1Image if header.sizeof_hdr == 348 else nibabel.Nifti2Image
    image = kind.from_file_map({"image": nibabel.FileHolder(fileobj=_unpacked(file))}, mmap=False)
    slope, inter = image.dataobj.slope, image.dataobj.inter
    scaled = (slope, inter) != (1, 0)  # NumPy would make float64 of it
    voxels = np.asarray(image.dataobj, np.float32 if scaled else None)
    voxels = voxels.reshape(*size, channels, order="F")
    return np.asarray(apply_orientation(voxels, _to_array(image.affine)))


def lazy_nifti(path: Path) -> tuple[ImageHeader, Callable[[Slices], np.ndarray]]:
    """Header of a volume that is not compressed, and a function that reads a part as `read_nifti` does.

    The axes of the part are depth, height and width.
    """
    from nibabel.orientations import apply_orientation

    with open(path, "rb") as file:
        header = nifti_header(path, file)
        stored, channels = _shape(path, _raw_header(path, file))
    image = _nibabel().load(path, mmap=False)
    if path.stat().st_size < image.dataobj.offset + prod(image.shape) * image.get_data_dtype().itemsize:
        raise ImageReadError("the volume is truncated", where=path, fix="copy or export the file again")
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1, 0)
    turns = _to_array(image.affine)

    def read(part: Slices) -> np.ndarray:
        index = []
        for length, (to, direction) in zip(stored, turns.astype(int), strict=True):
            side = part[to]
            index.append(side if direction > 0 else slice(length - side.stop, length - side.start))
        index += [slice(None)] * (len(image.shape) - 3)
        voxels = np.asarray(image.dataobj[tuple(index[: len(image.shape)])])
        if scaled:
            voxels = voxels.astype(np.float32)
        sides = size_of(tuple(index[:3]))
        voxels = voxels.reshape(*sides, channels, order="F")
        return np.asarray(apply_orientation(voxels, turns))

    return header, read


def write_nifti(path: Path, values: np.ndarray, like: Path) -> None:
    """Write `values` (depth, height, width), such as class ids, atomically where the volume `like` lies.

    The file has the shape, orientation, affine and units of `like`. Raises StorageError.
    """
    from nibabel.orientations import apply_orientation, ornt_transform

    nibabel = _nibabel()
    template = nibabel.load(like)
    identity = np.stack([np.arange(3), np.ones(3)], axis=1)
    stored = apply_orientation(values, ornt_transform(identity, _to_array(template.affine)))
    header = template.header.copy()
    header.extensions.clear()  # they may tell whose volume it was
    header.set_data_dtype(values.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    kind = type(template)
    image = kind(stored.reshape(template.shape[:3], order="F"), template.affine, header)
    with atomic_path(path) as temporary:
        nibabel.save(image, temporary)


def _header_size(start: bytes) -> int:
    sizes = [int.from_bytes(start[:4], order) for order in ("little", "big")]
    return next((size for size in sizes if size in _HEADER_SIZES), 0)


def _unpacked(file: BinaryIO) -> BinaryIO | gzip.GzipFile:
    """The file from its beginning, unpacked where it is compressed."""
    file.seek(0)
    packed = file.read(2) == _GZIP
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if packed else file


def _raw_header(path: Path, file: BinaryIO) -> Any:
    """The header as stored, before nibabel mends it (it makes 1 of missing voxel sizes)."""
    start = _unpacked(file).read(max(_HEADER_SIZES))
    size = _header_size(start)
    if size == 0 or len(start) < size:
        raise ImageReadError(
            "not a NIfTI file",
            where=path,
            expected="a NIfTI header of 348 or 540 bytes",
            fix="remove it from the folder, or export the volume again",
        )
    return getattr(_nibabel(), _HEADER_SIZES[size])(start[:size], check=False)


def _shape(path: Path, header: Any) -> tuple[tuple[int, ...], int]:
    """Size of the three axes as stored, and the number of channels, which is that of all other axes."""
    shape = tuple(int(side) for side in header.get_data_shape())
    size, others = (*shape, 1, 1)[:3], [side for side in shape[3:] if side != 1]
    if len(others) > 1:
        raise ImageReadError(
            "the file has more axes than those of space and channels",
            where=path,
            received=f"shape {shape}",
            fix="save one file per time point",
        )
    check_size(path, *size, *others)
    return size, others[0] if others else 1


def _to_array(affine: np.ndarray) -> np.ndarray:
    """How stored axes are exchanged and turned to become those of an array, as nibabel writes it."""
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    return np.asarray(ornt_transform(io_orientation(affine), axcodes2ornt(ORIENTATION)))


def _nibabel() -> Any:
    import nibabel

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # what it mends, `check` reports
    return nibabel
