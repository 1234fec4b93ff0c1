"""Which of the images in a TIFF is meant: beside it lie previews, labels of the glass, masks of its area."""

import math
import re
from pathlib import Path
from typing import Any

from reunet.errors import ImageReadError
from reunet.io.header import Doubt
from reunet.io.tiff_tags import spacing_of

_SLIDES = frozenset({"svs", "ndpi", "scn", "bif", "philips", "qpi"})
"""Kinds of series, as tifffile calls them, of the scanners of whole slides."""

_REGION = 0.1
"""Share of the pixels of the largest region of a slide that another one has; views of all the glass have
fewer.
"""


def is_slide(series: Any) -> bool:
    """Whether a scanner of whole slides wrote it."""
    return series.kind in _SLIDES


def meant_series(path: Path, file: Any) -> Any:
    """The series of tifffile's that is the image of an open file. Raises ImageReadError for several."""
    if not file.series:
        raise ImageReadError("the TIFF contains no image", where=path)
    first, *others = file.series
    if is_slide(first):
        first = max(file.series, key=_pixels)
        regions = file.series if first.kind == "scn" else ()
        others = [one for one in regions if one is not first and _pixels(one) > _REGION * _pixels(first)]
    elif others:
        others = [one for one in others if not (one.keyframe.is_reduced or _is_mask_of(first, one))]
    if others:
        raise ImageReadError(
            "the slide has several regions" if is_slide(first) else
            "the TIFF contains several images of different size or type",
            where=path,
            expected="one image, or a stack of equal pages",
            received=", ".join(str(one.shape) for one in file.series[:5]),
            fix="save each image as a file of its own",
        )  # fmt: skip
    return first


def contradictions(file: Any, series: Any) -> tuple[Doubt, ...]:
    """Where the OME-XML of a file and its pages disagree."""
    told = re.search(r"<(?:\w+:)?Pixels\b[^>]*", file.ome_metadata) if file.is_ome else None
    if told is None:
        return ()
    sizes = re.findall(r"\b(Size[A-Z])=.([0-9]{1,12})\b", told.group())
    stated = ", ".join(f"{name} {size}" for name, size in sizes) + " (OME-XML)"
    if series.kind != "ome":
        pages = f"{len(file.pages)} pages of {series.keyframe.imagewidth} x {series.keyframe.imagelength}"
        return (Doubt("the OME-XML does not fit the pages of the TIFF", pages, stated, grave=True),)
    held = {page.index for one in file.series for level in one.levels for page in level.pages if page}
    spare = sum(number not in held for number in range(len(file.pages)))
    what = f"the OME-XML leaves out {spare} page(s) of the TIFF"
    return (Doubt(what, stated, f"{len(file.pages)} pages", grave=True),) if spare else ()


def _pixels(series: Any) -> int:
    return math.prod(series.shape)


def _is_mask_of(series: Any, other: Any) -> bool:
    """Whether another series tells where the pixels of the first are to be seen."""
    sides = series.keyframe.imagelength, series.keyframe.imagewidth
    return other.keyframe.is_mask and (other.keyframe.imagelength, other.keyframe.imagewidth) == sides


def pixel_size(file: Any, series: Any) -> tuple[float, float] | None:
    """(y, x) size of the pixels of a series in micrometres, where the file states it."""
    keyframe = series.keyframe
    if series.kind == "svs":
        found = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", keyframe.description)
        return _square(found)
    if series.kind == "bif":
        return _square(re.search(r'ScanRes="([0-9.]+)"', str(keyframe.tags.valueof(700, ""))))
    if series.kind == "philips":
        told = re.search(r'DICOM_PIXEL_SPACING"[^>]*>"([0-9.eE+-]+)" "([0-9.eE+-]+)"', file.philips_metadata)
        return None if told is None else (float(told.group(1)) * 1e3, float(told.group(2)) * 1e3)
    return spacing_of(file, keyframe)


def _square(found: re.Match[str] | None) -> tuple[float, float] | None:
    side = 0.0 if found is None or found.group(1).count(".") > 1 else float(found.group(1))
    return (side, side) if side > 0 else None
