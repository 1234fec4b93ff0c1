"""DICOM-SEG: segments, stored frame by frame and without empty ones, as one label map of a volume."""

import re
from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reunet.errors import ImageReadError, LabelError
from reunet.io.formats.dicom_files import check_pixels, frame_plane, group_of, pixels_of
from reunet.io.formats.dicom_geometry import Plane, affine_of, check_parallel
from reunet.io.formats.stored import StoredImage
from reunet.io.header import SAME_PLACE, ImageHeader, check_size
from reunet.io.volume_grid import Grid
from reunet.slices import Slices

_SAYS_NOTHING = re.compile(r"(?i)(segment(ation)?|label|class|roi|region|mask)?[\W_]*\d*")
"""Labels of segments that programs give where nobody wrote one."""

_ANYTHING = ("tissue", "organ", "anatomical structure", "morphologically altered structure")
"""Codes of what a segment shows that are those of every other one."""


class Frame(NamedTuple):
    """A frame: its number, the slice of the grid that it lies in, the segment, 0 of a label map."""

    number: int
    slice: int
    segment: int


def describe_segments(path: Path, facts: Any) -> StoredImage:
    """A label map, (D, H, W, 1): 0, and the number of the segment. What lies around it is 0 too (`fills`).

    Raises ImageReadError, LabelError for shares of segments.
    """
    if facts.get("SegmentationType") == "FRACTIONAL":
        what, fix = "the segmentation holds shares of segments", "export it as BINARY or LABELMAP"
        raise LabelError(what, where=path, expected="BINARY or LABELMAP", received="FRACTIONAL", fix=fix)
    check_pixels(path, facts)
    each: Any = facts.get("PerFrameFunctionalGroupsSequence") or ()
    shared: Any = (facts.get("SharedFunctionalGroupsSequence") or ({},))[0]
    planes = [plane for own in each if (plane := frame_plane(own, shared)) is not None]
    if len(planes) != len(each) or not planes:
        what = "the segmentation does not say where its frames lie"
        raise ImageReadError(
            what, where=path, expected="a place for each frame", received=f"{len(planes)} places"
        )
    grid, at = _grid(path, planes, group_of(each[0], shared, "PixelMeasuresSequence"), facts)
    segments = [_segment(own, shared) for own in each]
    frames = [Frame(i, place, segment) for i, (place, segment) in enumerate(zip(at, segments, strict=True))]
    most = max(int(one.SegmentNumber) for one in facts.SegmentSequence)
    dtype = np.dtype(np.uint8 if most < 256 else np.uint16)
    names = tuple((int(one.SegmentNumber), name) for one in facts.SegmentSequence if (name := _name(one)))
    header = ImageHeader(
        channels=1, dtype=str(dtype), axes="ZYX", fills=True, value_names=names, **grid.header()
    )
    check_size(path, *header.size)
    return StoredImage(header, header.size, partial(_read, path, frames, grid, dtype))


def _name(segment: Any) -> str:
    """What a segment is called: by its label, or the code of what it shows; empty where neither says it, and
    of the background (number 0).
    """
    kinds: Any = segment.get("SegmentedPropertyTypeSequence") or ({},)
    told = segment.get("SegmentLabel"), kinds[0].get("CodeMeaning")
    label, kind = (str(one or "").strip() for one in told)
    if int(segment.SegmentNumber) and not _SAYS_NOTHING.fullmatch(label):
        return label
    return kind if int(segment.SegmentNumber) and kind.lower() not in _ANYTHING else ""


def _segment(own: Any, shared: Any) -> int:
    told = group_of(own, shared, "SegmentIdentificationSequence")
    return 0 if told is None else int(told.ReferencedSegmentNumber)


def _grid(path: Path, planes: Sequence[Plane], measures: Any, facts: Any) -> tuple[Grid, list[int]]:
    """The grid from the first frame's place to the last one's, and the slice of each frame."""
    check_parallel(path, planes)
    heights = np.array([plane.place @ planes[0].normal for plane in planes])
    gaps = np.diff(np.unique(np.round(heights, 3)))
    told = [measures.get(name) for name in ("SpacingBetweenSlices", "SliceThickness")]
    likely = [float(one) for one in told if one] + [gaps.min() / n for n in (1, 2, 3) if len(gaps)] + [1.0]
    step = next((one for one in likely if _off(heights, one) <= SAME_PLACE), likely[0])
    at = np.rint((heights - heights.min()) / step).astype(int)
    if _off(heights, step) > SAME_PLACE:
        raise ImageReadError(
            "the frames are not evenly spaced",
            where=path,
            expected=f"steps of {step:g} mm, or several of them",
            received=f"{gaps.max():g} mm",
            fix="export the segmentation again on the slices of its series",
        )
    low, high = planes[int(heights.argmin())], planes[int(heights.argmax())]
    count = int(at.max()) + 1
    way = (high.place - low.place) / (count - 1) if count > 1 else low.normal * step
    grid = Grid(affine_of(low, way), (count, int(facts.Rows), int(facts.Columns)))
    return grid, at.tolist()


def _off(heights: np.ndarray, step: float) -> float:
    """How far the frames lie from slices with that step, at most, as a share of it."""
    places = (heights - heights.min()) / step
    return float(np.abs(places - np.rint(places)).max())


def _read(
    path: Path, frames: Sequence[Frame], grid: Grid, dtype: np.dtype, page: int, part: Slices
) -> np.ndarray:
    """A part of the label map. Raises LabelError where segments lie over each other."""
    depth, rows, columns = grid.stored(part)
    inside = [one for one in frames if depth.start <= one.slice < depth.stop]
    size = [side.stop - side.start for side in (depth, rows, columns)]
    labels, twice = np.zeros(size, dtype), 0
    for one, pixels in zip(inside, pixels_of(path, [one.number for one in inside]), strict=True):
        found = pixels[rows, columns]
        here = labels[one.slice - depth.start]
        twice += int(np.count_nonzero((found != 0) & (here != 0)))
        np.copyto(here, found if one.segment == 0 else one.segment, where=found != 0, casting="unsafe")
    if twice:
        raise LabelError(
            "segments lie over each other",
            where=path,
            expected="one segment per voxel",
            received=f"{twice:,} of {prod(size):,} voxels with several",
            fix="export them one by one, or without overlap",
        )
    return grid.turned(labels[..., None])
