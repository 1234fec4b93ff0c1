"""Objects as regions of interest of ImageJ's ROI manager, along the edges of pixels, written and read."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.findings import Findings
from reunet.errors import LabelError
from reunet.io.annotations.annotated_image import ObjectMap, Shape
from reunet.io.annotations.coco_fields import ring_of
from reunet.io.annotations.drawn import number_in, object_map
from reunet.io.annotations.outlines import no_area, object_crops
from reunet.io.annotations.pictures import Pictures, paired
from reunet.io.annotations.polygons import mask_rings
from reunet.io.annotations.sheet import NAMELESS, Sheet, Sheets
from reunet.storage import atomic_path

_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0  # of java.awt.geom.PathIterator
_MOST_BYTES, _MOST_ROIS = 1 << 28, 1 << 18
_ENDING = r"[-_. ]*(?:roi ?set|rois?)"
"""What names of files have after that of the image, before .zip or .roi."""


def write_rois(path: Path, ids: np.ndarray) -> None:
    """Write a zip of ROIs atomically, named by id: polygons, and composites for holes and several parts.

    ids: (H, W); of a stack (N, H, W), an object gets a ROI in every page. Raises StorageError.
    """
    import roifile

    with atomic_path(path) as temporary:
        roifile.roiwrite(temporary, _rois(ids), mode="w")


def _rois(ids: np.ndarray) -> Iterator[Any]:
    for page, plane in enumerate(ids if ids.ndim == 3 else ids[None]):
        for number, corner, mask in object_crops(plane):
            rings = [ring for part in mask_rings(mask, corner) for ring in part]
            roi = _polygon(rings[0]) if len(rings) == 1 else _composite(rings)
            roi.name = f"{number:05d}"
            if ids.ndim == 3:
                roi.position, roi.name = page + 1, f"{page + 1:04d}-{number:05d}"
            yield roi


def _polygon(ring: np.ndarray) -> Any:
    import roifile

    roi = roifile.ImagejRoi.frompoints(ring)
    roi.roitype = roifile.ROI_TYPE.POLYGON
    return roi


def _composite(rings: list[np.ndarray]) -> Any:
    """A path of all rings, which ImageJ fills by the even-odd rule."""
    import roifile

    path: list[float] = []
    for ring in rings:
        operations = np.full((len(ring), 1), _LINE)
        operations[0] = _MOVE
        path += [*np.hstack([operations, ring]).ravel().tolist(), _CLOSE]
    points = np.concatenate(rings)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        shape_roi_size=len(path),
        multi_coordinates=np.array(path, np.float32),
    )


def read_rois(path: Path, size: tuple[int, int], problems: Findings, pages: int = 1) -> list[ObjectMap]:
    """The objects of each page of an image of `size` (height, width) in a zip of ROIs, or in a single one.

    All are of class 0, since ROIs have no classes. Ids are the numbers that names end with, where these are
    different, as `write_rois` writes them. A ROI without a position lies on the only page. Adds an error for
    a damaged file, for lines and points, and for outlines outside of the image or of its pages.
    """
    sheets = [Sheet(path, path, size, problems) for _ in range(pages)]
    with problems.noting("annotations-unreadable", path, "the file of ROIs is"):
        _fill(path, sheets)
    return [object_map(one, {NAMELESS: 0}) for one in sheets]


def read(files: Sequence[Path], pictures: Pictures, problems: Findings) -> Sheets:
    """The objects that the files tell, each of the image of its name; their class is not told."""
    return Sheets(paired(files, pictures, problems, lambda path, sheet: _fill(path, [sheet]), _ENDING))


def _fill(path: Path, sheets: Sequence[Sheet]) -> None:
    """Add the ROIs of a file to the sheets of their pages."""
    pages = len(sheets)
    for name, data in _members(path):
        with sheets[0].about(f"ROI {name}"):
            roi = _parsed(data)
            page = max(roi.position, roi.z_position, roi.t_position) - 1
            if (page < 0 and pages > 1) or page >= pages:
                expected = f"a position from 1 to {pages}"
                raise LabelError("its page is not told", expected=expected, received=page + 1)
            number = number_in(re.split(r"[-_ ]", roi.name or name)[-1])
            sheets[max(page, 0)].add(f"ROI {name}", None, _outline(roi), number=number)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each ROI. Raises LabelError for a zip that is too large unpacked."""
    if not zipfile.is_zipfile(path):
        if path.stat().st_size > _MOST_BYTES:
            raise LabelError("the file is too large", expected=f"at most {_MOST_BYTES:,} bytes")
        yield path.stem, path.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        members = [one for one in archive.infolist() if one.filename.lower().endswith(".roi")]
        unpacked = sum(one.file_size for one in members)
        if len(members) > _MOST_ROIS or unpacked > _MOST_BYTES:
            expected = f"at most {_MOST_ROIS:,} ROIs of {_MOST_BYTES:,} bytes"
            raise LabelError("the zip is too large", expected=expected, received=f"{unpacked:,} bytes")
        if not members:
            raise LabelError("the zip holds no ROIs", expected="files *.roi, as ImageJ's ROI manager saves")
        for one in members:
            yield Path(one.filename).stem[:80], archive.read(one)


def _parsed(data: bytes) -> Any:
    import roifile

    roi = roifile.ImagejRoi.frombytes(data)
    kinds = roifile.ROI_TYPE
    areas = (kinds.POLYGON, kinds.RECT, kinds.OVAL, kinds.FREEHAND, kinds.TRACED)
    is_line = roi.subtype in (roifile.ROI_SUBTYPE.TEXT, roifile.ROI_SUBTYPE.ARROW)
    if roi.roitype not in areas or is_line:
        raise no_area("an outline", roi.roitype.name.lower())
    return roi


def _outline(roi: Any) -> Shape:
    rings = roi.coordinates(multi=True)
    return Shape.of(*(ring_of(np.asarray(ring, np.float64).ravel().tolist()) for ring in rings))
