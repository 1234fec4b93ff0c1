"""The voxels of a NIfTI file: what its header says of them, and a part of them, turned as arrays are."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reunet.errors import ImageReadError, TooLargeError
from reunet.io.nifti_geometry import affine_of
from reunet.io.volume_grid import Grid
from reunet.slices import Slices

MOST_PACKED = 1032
"""Bytes that a byte of gzip stands for at most."""

AT_ONCE = 2**20
"""Bytes that are unpacked at a time."""

_GZIP = b"\x1f\x8b"
_HEADER_SIZES = {348: "Nifti1Header", 540: "Nifti2Header"}


def is_nifti(start: bytes) -> bool:
    """Whether a file that starts with these bytes is a NIfTI file, or gzip, which only these are here."""
    return start[:2] == _GZIP or _header_size(start) in _HEADER_SIZES


@dataclass(frozen=True)
class Volume:
    """What the header of a file says of its voxels.

    header: as stored, before nibabel mends it. shape: of the file; size: of its axes of space, as stored.
    channels: all other axes, and the colours of a voxel. dtype: of a sample. scale: slope and intercept.
    """

    path: Path
    header: Any
    shape: tuple[int, ...]
    size: tuple[int, ...]
    channels: int
    dtype: np.dtype
    scale: tuple[float, float]
    affine: np.ndarray

    @classmethod
    def of(cls, path: Path, file: BinaryIO) -> Volume:
        """Of an open file. Raises ImageReadError for what cannot be read."""
        header = _raw_header(path, file)
        shape = tuple(int(side) for side in header.get_data_shape())
        others = [side for side in shape[3:] if side != 1]
        if len(others) > 1 or not shape:
            raise ImageReadError(
                "the file has more axes than those of space and channels"
                if shape
                else "the file has no axes",
                where=path,
                received=f"shape {shape}",
                fix="save one file per time point",
            )
        colours = header.get_data_dtype().fields
        dtype = np.dtype(np.uint8) if colours else header.get_data_dtype()
        if dtype.kind not in "iuf":
            raise ImageReadError(
                "unsupported sample type", where=path, expected="real numbers", received=dtype
            )
        affine = affine_of(header)
        if affine is None:
            raise ImageReadError(
                "the volume's orientation is not stated usably",
                where=path,
                expected="an sform or qform that can be inverted",
                received=np.array2string(header.get_sform(), precision=3).replace("\n", ""),
            )
        slope, inter = header.get_slope_inter()
        channels = (others[0] if others else 1) * (3 if colours else 1)
        return cls(
            path,
            header,
            shape,
            (*shape, 1, 1)[:3],
            channels,
            dtype,
            (1.0, 0.0) if slope is None else (float(slope), float(inter)),
            affine,
        )

    @property
    def is_scaled(self) -> bool:
        return self.scale != (1.0, 0.0)

    @property
    def grid(self) -> Grid:
        """Its voxels, as they are stored."""
        return Grid(self.affine, (self.size[0], self.size[1], self.size[2]))

    @property
    def end(self) -> int:
        """Bytes from the begin of the file to the end of its voxels."""
        return int(self.header.get_data_offset()) + prod(self.shape) * self.header.get_data_dtype().itemsize

    def check_length(self, file: BinaryIO) -> None:
        """Raise ImageReadError where the file is too small to hold the voxels, before memory is taken."""
        packed = is_packed(file)
        held = file.seek(0, os.SEEK_END)
        if self.end > held * (MOST_PACKED if packed else 1) or self.header.get_data_offset() < 0:
            raise ImageReadError(
                "the volume is truncated",
                where=self.path,
                expected=f"{self.end:,} bytes" + " before they were compressed" * packed,
                received=f"{held:,} bytes" + " of gzip" * packed,
                fix="copy or export the file again",
            )

    def read(
        self, plain: BinaryIO | gzip.GzipFile, index: Slices, precision: type[np.floating[Any]]
    ) -> np.ndarray:
        """A part, `index` along the stored axes, turned: (depth, height, width, channels)."""
        from nibabel.arrayproxy import ArrayProxy
        from nibabel.orientations import apply_orientation

        stored = ArrayProxy(
            plain, (self.shape, self.header.get_data_dtype(), self.header.get_data_offset()), mmap=False
        )
        whole = all(side == slice(None) for side in index)
        voxels = np.asarray(stored.get_unscaled() if whole else stored[index])
        if whole:
            plain.read(1)  # the end of gzip, where its checksum is compared
        if voxels.dtype.fields:
            voxels = self._colours(voxels)
        voxels = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
        sides = (*voxels.shape, 1, 1)[:3]
        voxels = voxels.reshape(*sides, self.channels, order="F")
        if self.is_scaled:
            voxels = _scaled(voxels, *self.scale, precision)
        return np.asarray(apply_orientation(voxels, self.grid.turns))

    def _colours(self, voxels: np.ndarray) -> np.ndarray:
        """Red, green and blue as a last axis."""
        if "A" in (voxels.dtype.names or ()) and bool((voxels["A"] != 255).any()):
            fix = "save it as RGB or grey"
            raise ImageReadError("the volume has a transparent (alpha) channel", where=self.path, fix=fix)
        return np.stack([voxels[name] for name in "RGB"], axis=-1)

    def unpack(self, file: BinaryIO, plain: Path) -> None:
        """Write the file, which is compressed, to `plain`, as far as its voxels go."""
        free = shutil.disk_usage(plain.parent).free
        if self.end > free:
            raise TooLargeError(
                "there is no room to unpack the volume",
                where=self.path,
                expected=f"{self.end:,} bytes in {plain.parent.parent}",
                received=f"{free:,} bytes free",
                fix="make room, or unpack it yourself where there is some (gunzip)",
            )
        with unpacked(file) as packed, open(plain, "wb") as target:
            for start in range(0, self.end, AT_ONCE):
                target.write(packed.read(min(AT_ONCE, self.end - start)))
            packed.read(1)
        if plain.stat().st_size < self.end:
            raise ImageReadError(
                "the volume is truncated", where=self.path, fix="copy or export the file again"
            )


def _scaled(voxels: np.ndarray, slope: float, inter: float, precision: type[np.floating[Any]]) -> np.ndarray:
    """Slope * voxels + inter, computed in 64 bits, slice after slice: NumPy would keep 64 bits of all."""
    result = np.empty_like(voxels, precision)
    with np.errstate(over="ignore"):  # beyond float32 it becomes infinite, which is found by whoever uses it
        for k in range(voxels.shape[2]):
            result[:, :, k] = voxels[:, :, k].astype(np.float64) * slope + inter
    return result


def _header_size(start: bytes) -> int:
    sizes = [int.from_bytes(start[:4], order) for order in ("little", "big")]
    return next((size for size in sizes if size in _HEADER_SIZES), 0)


def is_packed(file: BinaryIO) -> bool:
    """Whether the file is compressed, whatever its name says."""
    file.seek(0)
    return file.read(2) == _GZIP


@contextmanager
def unpacked(file: BinaryIO) -> Iterator[BinaryIO | gzip.GzipFile]:
    """The file from its beginning, unpacked where it is compressed."""
    packed = is_packed(file)
    file.seek(0)
    yield gzip.GzipFile(fileobj=file) if packed else file


def _raw_header(path: Path, file: BinaryIO) -> Any:
    """The header as stored, before nibabel mends it (it makes 1 of missing voxel sizes)."""
    with unpacked(file) as plain:
        start = plain.read(max(_HEADER_SIZES))
    size = _header_size(start)
    if size == 0 or len(start) < size:
        raise ImageReadError(
            "not a NIfTI file",
            where=path,
            expected="a NIfTI header of 348 or 540 bytes",
            fix="remove it from the folder, or export the volume again",
        )
    header = getattr(with_nibabel(), _HEADER_SIZES[size])(start[:size], check=False)
    if bytes(header["magic"])[:2] != b"n+":
        pair = bytes(header["magic"])[:2] == b"ni"
        raise ImageReadError(
            "the header is that of a pair of files (.hdr and .img)"
            if pair
            else "the file is no NIfTI, but Analyze",
            where=path,
            expected="one .nii or .nii.gz file with header and voxels",
            fix="convert it: nibabel.save(nibabel.load('a.hdr'), 'a.nii.gz')",
        )
    return header


def with_nibabel() -> Any:
    """The package, silent."""
    import nibabel

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # what it mends, `check` reports
    return nibabel
