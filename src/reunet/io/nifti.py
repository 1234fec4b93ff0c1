"""NIfTI volumes, read with nibabel: stored in any orientation, they come and go in one.

The axes of an array are (depth, height, width): slices from the feet to the head, rows from the front to
the back, columns from the patient's right to the left, as radiologists look at them. Axes are exchanged and
turned around for that, never resampled.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reunet.io.header import ImageHeader, check_size
from reunet.io.nifti_geometry import doubts_of, states_size
from reunet.io.nifti_volume import Volume, is_packed, unpacked, with_nibabel
from reunet.slices import Slices
from reunet.storage import atomic_path


def nifti_header(path: Path, file: BinaryIO) -> ImageHeader:
    """Header of a NIfTI file; `axes` are where its axes lead to, as in "RAS", and "C" for channels.

    Where it lies is told as in `reunet.io.nifti_geometry`; spacing is None where the file does not state it.
    Raises ImageReadError, TooLargeError, and whatever nibabel does on damaged files.
    """
    return _told(_small(path, file))


def _small(path: Path, file: BinaryIO) -> Volume:
    """A volume that may be decoded in one piece."""
    volume = Volume.of(path, file)
    check_size(path, *volume.size, volume.channels)
    return volume


def _told(volume: Volume) -> ImageHeader:
    from nibabel.orientations import aff2axcodes

    told = volume.grid.header() | {"doubts": doubts_of(volume.header, volume.size)}
    if not states_size(volume.header):
        told["spacing"] = None
    return ImageHeader(
        channels=volume.channels,
        dtype=str(volume.dtype),
        axes="".join(aff2axcodes(volume.affine)) + ("C" if volume.channels > 1 else ""),
        step=abs(volume.scale[0]) if volume.is_scaled and volume.dtype.kind in "iu" else 0.0,
        **told,
    )


def read_nifti(path: Path, file: BinaryIO, precision: type[np.floating[Any]] = np.float32) -> np.ndarray:
    """Voxels as stored, (depth, height, width, channels), any real dtype; scaled ones as `precision`."""
    volume = _small(path, file)
    volume.check_length(file)
    with unpacked(file) as plain:
        return volume.read(plain, (slice(None),) * len(volume.shape), precision)


def lazy_nifti(path: Path, scratch: Callable[[], Path]) -> tuple[ImageHeader, Callable[[Slices], np.ndarray]]:
    """Header of a volume, and a function that reads a part as `read_nifti` does.

    The axes of the part are depth, height and width. scratch: makes a folder, into which a compressed volume
    is unpacked, as gzip has no places to start from.
    """
    with open(path, "rb") as file:
        volume = Volume.of(path, file)
        volume.check_length(file)
        packed = is_packed(file)
        plain = scratch() / "volume.nii" if packed else path
        if packed:
            volume.unpack(file, plain)

    def read(part: Slices) -> np.ndarray:
        index = (*volume.grid.stored(part), *[slice(None)] * (len(volume.shape) - 3))
        with open(plain, "rb") as file:
            return volume.read(file, index[: len(volume.shape)], np.float32)

    return _told(volume), read


def write_nifti_at(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    """Write `values` (depth, height, width) atomically, `affine` as of a header. Raises StorageError."""
    nibabel = with_nibabel()
    image = nibabel.Nifti1Image(values.transpose(2, 1, 0), affine[:, [2, 1, 0, 3]])
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        nibabel.save(image, temporary)


def write_nifti(path: Path, values: np.ndarray, like: Path) -> None:
    """Write `values` (depth, height, width), such as class ids, atomically where the volume `like` lies.

    The file has the shape, orientation, affine and units of `like`. Raises StorageError.
    """
    nibabel = with_nibabel()
    with open(like, "rb") as file:
        template = Volume.of(like, file)
    stored = template.grid.unturned(values)
    header = template.header.copy()
    header.set_data_dtype(values.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    kind = nibabel.Nifti1Image if header.sizeof_hdr == 348 else nibabel.Nifti2Image
    image = kind(stored.reshape(template.shape[:3], order="F"), None, header)
    with atomic_path(path) as temporary:
        nibabel.save(image, temporary)
