"""Files of DICOM by its package: their datasets, frames, and the groups that describe a frame."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reunet.backend import import_extra
from reunet.errors import ImageReadError, ReunetError
from reunet.io.formats.dicom_codecs import register
from reunet.io.formats.dicom_geometry import Plane, plane_of
from reunet.io.header import check_packing, check_size

UNPACK = "decompress it: gdcmconv --raw IN OUT, or dcmdjpeg or dcmdjpls of DCMTK"


def read_facts(path: Path) -> Any:
    """The dataset of a file, without its pixels. Raises whatever its package does."""
    pydicom = silent("pydicom")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    register()
    return pydicom.dcmread(path, stop_before_pixels=True)


def silent(module: str) -> Any:
    """A module of the package, without its warnings: what it mends in a header does not concern pixels."""
    found = import_extra(module, "dicom")
    warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
    return found


def check_pixels(path: Path, facts: Any) -> None:
    """Raise ImageReadError for no pixels, too few bytes for them, or a compression that nobody here reads."""
    if not facts.get("Rows") or not facts.get("Columns"):
        received = getattr(facts.get("SOPClassUID"), "name", None)
        fix = "remove it from the folder"
        raise ImageReadError("the DICOM file holds no image", where=path, received=received, fix=fix)
    pixels = silent("pydicom.pixels")
    syntax = facts.file_meta.TransferSyntaxUID
    try:
        is_read = pixels.get_decoder(syntax).is_available
    except NotImplementedError:
        is_read = False
    if not is_read:
        raise ImageReadError(
            "the pixels are compressed in a way that no codec here reads",
            where=path,
            expected="no compression, RLE, JPEG, JPEG-LS or JPEG 2000",
            received=f"{syntax.name} ({syntax})",
            fix=UNPACK,
        )
    frames, samples = int(facts.get("NumberOfFrames") or 1), int(facts.get("SamplesPerPixel") or 1)
    check_size(path, int(facts.Rows), int(facts.Columns))
    announced = frames * int(facts.Rows) * int(facts.Columns) * samples * int(facts.BitsAllocated) // 8
    check_packing(path, announced, path.stat().st_size, tight=True)


def group_of(own: Any, shared: Any, name: str) -> Any:
    """A functional group of a frame, its own or the one of all frames; None without any."""
    found = own.get(name) or shared.get(name)
    return found[0] if found else None


def frame_plane(own: Any, shared: Any) -> Plane | None:
    """Where a frame lies, None where that is not said."""
    names = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    place, turn, measures = (group_of(own, shared, name) for name in names)
    if place is None or turn is None or measures is None:
        return None
    return plane_of(place.ImagePositionPatient, turn.ImageOrientationPatient, measures.PixelSpacing)


def pixels_of(file: Path, frames: Sequence[int]) -> Iterable[np.ndarray]:
    """Frames of a file as decoded, colours as RGB. Raises ImageReadError where that fails."""
    pixels = silent("pydicom.pixels")
    try:
        yield from pixels.iter_pixels(file, indices=list(frames))
    except ReunetError:
        raise
    except Exception as cause:
        fix = f"copy or export it again; or {UNPACK}"
        raise ImageReadError("the pixels cannot be decoded", where=file, received=cause, fix=fix) from cause
