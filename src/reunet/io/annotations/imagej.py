"""Objects as regions of interest that ImageJ's ROI manager opens, along the edges of pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reunet.io.annotations.crops import object_crops
from reunet.io.annotations.polygons import mask_rings
from reunet.storage import atomic_path

_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0  # of java.awt.geom.PathIterator


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
