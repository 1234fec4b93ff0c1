"""DICOM: a series of slices in a folder, files of one picture or of many frames.

Values are those of the Modality LUT (slope and intercept, such as Hounsfield units), colours RGB, white is
high. Volumes are turned as NIfTI's are. Segmentations are read in `dicom_seg`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reunet.errors import ImageReadError
from reunet.io.formats.dicom_files import check_pixels, frame_plane, group_of, pixels_of, read_facts, silent
from reunet.io.formats.dicom_folder import slices_in
from reunet.io.formats.dicom_geometry import Plane, plane_of, stacked
from reunet.io.formats.stored import StoredImage
from reunet.io.header import ImageHeader
from reunet.io.volume_grid import Grid
from reunet.slices import Slices

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of DICOM-SEG: bits or shares of each segment, and one label map."""

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
DIRECTORY = "1.2.840.10008.1.3.10"


class Slice(NamedTuple):
    """A picture of a volume: the file, the number of its frame, what its samples mean, where it lies."""

    file: Path
    frame: int
    samples: Samples
    plane: Plane


@dataclass(frozen=True)
class Samples:
    """What samples as decoded mean. facts: the dataset. slope, intercept: of the values. channels: 1 or 3."""

    facts: Any
    slope: float
    intercept: float
    channels: int
    dtype: np.dtype

    @classmethod
    def of(cls, facts: Any, rescale: Any = None) -> Samples:
        """rescale: the item that holds slope and intercept, where that is not the dataset itself."""
        told = facts if rescale is None else rescale
        slope = float(1 if (found := told.get("RescaleSlope")) is None else found)
        intercept = float(told.get("RescaleIntercept") or 0)
        bits, signed = int(facts.BitsStored), int(facts.get("PixelRepresentation") or 0)
        ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        if facts.get("PhotometricInterpretation") == "PALETTE COLOR":
            wide = int(facts.RedPaletteColorLookupTableDescriptor[2]) > 8
            return cls(facts, 1.0, 0.0, 3, np.dtype(np.uint16 if wide else np.uint8))
        if facts.get("ModalityLUTSequence"):
            return cls(facts, 1.0, 0.0, 1, np.dtype(np.float32))
        channels, low, high = int(facts.SamplesPerPixel), *(end * slope + intercept for end in ends)
        whole = slope.is_integer() and intercept.is_integer()
        kinds = (np.uint8, np.uint16, np.int16, np.int32) if whole else ()
        fits = (
            one
            for one in kinds
            if min(low, high) >= np.iinfo(one).min and max(low, high) <= np.iinfo(one).max
        )
        return cls(facts, slope, intercept, channels, np.dtype(next(fits, np.float32)))

    def meant(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W) or (H, W, 3) as decoded to (H, W, channels) of `dtype`."""
        kind = self.facts.get("PhotometricInterpretation")
        if kind == "PALETTE COLOR":
            pixels = silent("pydicom.pixels").apply_color_lut(pixels, self.facts)
        elif self.facts.get("ModalityLUTSequence"):
            pixels = silent("pydicom.pixels").apply_modality_lut(pixels, self.facts)
        elif kind == "MONOCHROME1":
            signed = int(self.facts.get("PixelRepresentation") or 0)
            pixels = (-1 if signed else 2 ** int(self.facts.BitsStored) - 1) - pixels.astype(np.int64)
        if (self.slope, self.intercept) != (1.0, 0.0):
            pixels = pixels * self.slope + self.intercept
        return np.atleast_3d(pixels).astype(self.dtype, copy=False)


def describe(path: Path, name: str) -> StoredImage:
    """The volume of a folder or of a file's frames; else a picture, or a stack of them."""
    if path.is_dir():
        return _of_slices(path, _series(path))
    facts = read_facts(path)
    if facts.get("SOPClassUID") in SEGMENTATIONS:
        from reunet.io.formats.dicom_seg import describe_segments

        return describe_segments(path, facts)
    if facts.get("SOPClassUID") == SLIDE:
        what, fix = (
            "the file is a whole slide in DICOM, whose tiles are not put together",
            "convert it to TIFF",
        )
        raise ImageReadError(what, where=path, expected="a picture, or slices of a volume", fix=fix)
    check_pixels(path, facts)
    frames = int(facts.get("NumberOfFrames") or 1)
    if frames > 1 and (slices := _placed_frames(path, facts, frames)):
        return _of_slices(path, slices)
    return _pictures(path, facts, frames)


def _series(folder: Path) -> list[Slice]:
    """The slices in a folder. Raises ImageReadError unless they are of one series."""
    read = [(path, read_facts(path)) for path in slices_in(folder)]
    found = [
        (path, facts) for path, facts in read if facts.file_meta.get("MediaStorageSOPClassUID") != DIRECTORY
    ]
    for what, name in (("studies", "StudyInstanceUID"), ("series", "SeriesInstanceUID")):
        _check_one(folder, what, [str(facts.get(name)) for _, facts in found])
    for path, facts in found:
        check_pixels(path, facts)
    kinds = [(int(one.Rows), int(one.Columns), int(one.SamplesPerPixel)) for _, one in found]
    if len(set(kinds)) > 1:
        shown = [" x ".join(map(str, kind[:2])) for kind, _ in Counter(kinds).most_common(2)]
        received = f"{shown[0]} and {shown[1]}"
        raise ImageReadError(
            "the slices have different sizes", where=folder, expected="one", received=received
        )
    return [Slice(path, 0, Samples.of(facts), _plane(path, facts)) for path, facts in found]


def _plane(path: Path, facts: Any) -> Plane:
    place, directions = facts.get("ImagePositionPatient"), facts.get("ImageOrientationPatient")
    if place is None or directions is None or facts.get("PixelSpacing") is None:
        what = "the slice does not say where it lies"
        fix = "remove it from the series: it may be a localizer or a report"
        raise ImageReadError(what, where=path, expected="position, orientation and pixel spacing", fix=fix)
    return plane_of(place, directions, facts.PixelSpacing)


def _check_one(folder: Path, what: str, of_each: Sequence[str]) -> None:
    counts = Counter(of_each)
    if len(counts) > 1:
        shown = [f"{count} slices of ...{uid[-12:]}" for uid, count in counts.most_common(4)]
        raise ImageReadError(
            f"the folder holds slices of {len(counts)} {what}",
            where=folder,
            expected="one series",
            received=", ".join(shown),
            fix="put each series into a folder of its own",
        )


def _placed_frames(path: Path, facts: Any, frames: int) -> list[Slice]:
    """The frames of a file that says where each of them lies; none of others."""
    each: Any = facts.get("PerFrameFunctionalGroupsSequence") or ()
    shared: Any = (facts.get("SharedFunctionalGroupsSequence") or ({},))[0]
    if len(each) != frames:
        return []
    found = []
    for number, own in enumerate(each):
        plane = frame_plane(own, shared)
        if plane is None:
            return []
        rescale = group_of(own, shared, "PixelValueTransformationSequence")
        found.append(Slice(path, number, Samples.of(facts, rescale), plane))
    return found


def volume_of(path: Path) -> tuple[list[Slice], list[int], Grid]:
    """The slices of a series or file as they come, their order from the first one up, and their grid."""
    facts = None if path.is_dir() else read_facts(path)
    slices = _series(path) if facts is None else _placed_frames(path, facts, int(facts.NumberOfFrames))
    return slices, *_stacked(path, slices)


def _stacked(path: Path, slices: Sequence[Slice]) -> tuple[list[int], Grid]:
    facts = slices[0].samples.facts
    return stacked(path, [one.plane for one in slices], (int(facts.Rows), int(facts.Columns)))


def _of_slices(path: Path, slices: Sequence[Slice]) -> StoredImage:
    order, grid = _stacked(path, slices)
    channels = slices[0].samples.channels
    dtype = np.result_type(*{one.samples.dtype for one in slices})
    told = grid.header()
    lossy = any(str(one.samples.facts.get("LossyImageCompression")) == "01" for one in slices[:1])
    axes = "ZYX" + "C" * (channels > 1)
    header = ImageHeader(channels=channels, dtype=str(dtype), axes=axes, lossy=lossy, **told)
    read = partial(_read_slices, [slices[i] for i in order], grid, dtype)
    depth = int(grid.turns[0, 0])
    chunk = tuple(1 if axis == depth else side for axis, side in enumerate(told["size"]))
    return StoredImage(header, chunk, read)


def _read_slices(slices: Sequence[Slice], grid: Grid, dtype: np.dtype, page: int, part: Slices) -> np.ndarray:
    """A part of a volume."""
    depth, rows, columns = grid.stored(part)
    read = (pixels[rows, columns] for pixels in decoded(slices[depth]))
    return grid.turned(np.stack([pixels.astype(dtype, copy=False) for pixels in read]))


def decoded(slices: Iterable[Slice]) -> Iterable[np.ndarray]:
    """The pixels of slices, (rows, columns, channels); frames of one file in one go."""
    for file, some in groupby(slices, lambda one: one.file):
        of_file = list(some)
        frames = pixels_of(file, [one.frame for one in of_file])
        for one, pixels in zip(of_file, frames, strict=True):
            yield one.samples.meant(pixels)


def _pictures(path: Path, facts: Any, frames: int) -> StoredImage:
    """A picture, or frames that do not say where they lie."""
    samples = Samples.of(facts)
    size = (int(facts.Rows), int(facts.Columns))
    told = facts.get("PixelSpacing") or facts.get("ImagerPixelSpacing")
    sides = tuple(1e3 * float(side) for side in told or ())
    header = ImageHeader(
        size=size,
        channels=samples.channels,
        dtype=str(samples.dtype),
        pages=frames,
        axes="T" * (frames > 1) + "YX" + "C" * (samples.channels > 1),
        spacing=sides if len(sides) == 2 and min(sides) > 0 else None,
        lossy=str(facts.get("LossyImageCompression")) == "01",
    )

    def read(page: int, part: Slices) -> np.ndarray:
        (pixels,) = pixels_of(path, [page])
        return np.ascontiguousarray(samples.meant(pixels)[part])

    return StoredImage(header, size, read)
