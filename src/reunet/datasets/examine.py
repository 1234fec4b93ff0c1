"""Say everything that is wrong with one case, from what reading it gave."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.options.records import DataOptions
from reunet.datasets.cache import mapped
from reunet.datasets.case_arrays import encode_case
from reunet.datasets.cases import Case
from reunet.datasets.reading import Reading
from reunet.errors import LabelError
from reunet.io.header import ImageHeader
from reunet.io.masks import is_coloured

SAME_PLACE = 0.1
"""Voxels by which the corners of a mask may lie off those of its image: files round their geometry."""


class Examined(Findings):
    """What is wrong with one case, and what looking at it gave.

    header: of its image; None when unreadable. pixels: hash of its decoded image; None when unreadable or
    constant. dtype: of its samples. class_counts: (256,) pixels of each class, or objects where only boxes
    tell the classes. n_objects: where they are told. track_ids: of objects, where ids are told.
    """

    def __init__(self, case: Case, reading: Reading, labels: LabelMap | None, options: DataOptions) -> None:
        super().__init__(reading.problems.root, case.page)
        self += reading.problems
        self.case, self._labels = case, labels
        self.header, self.pixels, self.dtype = reading.header, reading.pixels, reading.dtype
        self.track_ids = reading.ids.get("tracks", reading.ids.get("objects"))
        self.n_objects: int | None = None
        self.class_counts: np.ndarray | None = None
        encoded = self._encoded(reading)
        matches = all(problem.code != "shape-mismatch" for problem in self)
        if "mask" in reading.headers and case.files.mask is not None and self.header is not None and matches:
            allowed = options.allow_geometry_mismatch
            self._geometry(case.files.mask, self.header, reading.headers["mask"], allowed=allowed)
        self._objects(reading)
        if self.header is not None and matches:
            self._classes(encoded)

    def _encoded(self, reading: Reading) -> np.ndarray | None:
        """Class indices; None where none are told, or where values are no classes."""
        mask, header, objects = self.case.files.mask, self.header, self.case.objects
        if self._labels is None or (mask is None and header is None):
            return None
        if objects is not None and header is not None and objects.size != header.size:
            message = "the annotations are for an image of another size"
            sizes = [" x ".join(map(str, size)) for size in (header.size, objects.size)]
            self.error("shape-mismatch", self.case.image, message, f"{sizes[0]} as the image", sizes[1])
            return None
        try:
            encoded = encode_case(self.case, reading, self._labels).get("labels")
        except LabelError as cause:
            wrong_kind = is_coloured(mapped(reading.arrays["mask"])) and self._labels.encoding != "rgb"
            is_lossy = reading.headers["mask"].lossy
            code = "mask-lossy" if is_lossy else "mask-colours" if wrong_kind else "mask-values"
            self.caught(code, mask or self.case.image, cause)
            return None
        return None if encoded is None else mapped(encoded)

    def _objects(self, reading: Reading) -> None:
        fov, objects = self.case.files.fov, self.case.objects
        if fov is not None and "fov" in reading.arrays and not mapped(reading.arrays["fov"]).any():
            self.error("fov-empty", fov, "the field of view is empty", "pixels other than 0", "only 0")
        if "objects" in reading.ids:
            self.n_objects = len(reading.ids["objects"])
        elif objects is not None and self.header is not None and objects.size == self.header.size:
            self.n_objects = len(objects.boxes)

    def _classes(self, encoded: np.ndarray | None) -> None:
        mask, objects, told = self.case.files.mask, self.case.objects, self.case.classes
        if encoded is None:
            if mask is None and objects is not None:
                self.class_counts = np.bincount(objects.boxes.classes, minlength=256)
            return
        counts = self.class_counts = np.bincount(encoded.ravel(), minlength=256)
        if mask is not None and counts[IGNORE] == encoded.size:
            self.warning("mask-unlabelled", mask, "no pixel of the mask is labelled")
        names = () if told is None or mask is None or self._labels is None else self._labels.names
        found = [name for i, name in enumerate(names) if counts[i] and i not in (told or ())]
        if found and mask is not None:
            message = "the mask has classes that `annotated` in dataset.json leaves out for this image"
            expected = ", ".join(names[i] for i in told or ())
            self.error("annotated", mask, message, expected, ", ".join(found))

    def _geometry(self, mask: Path, header: ImageHeader, mask_header: ImageHeader, *, allowed: bool) -> None:
        """Whether mask and image state the same size of a pixel and, as volumes, the same place."""
        add = self.warning if allowed else self.error
        image_spacing, mask_spacing = header.spacing, mask_header.spacing
        if image_spacing and mask_spacing and not np.allclose(image_spacing, mask_spacing, rtol=1e-3):
            message = "mask and image have different pixel sizes"
            fix = "correct the file, or use --allow-geometry-mismatch when only the stated size is wrong"
            add("spacing-mismatch", mask, message, _sizes(image_spacing), _sizes(mask_spacing), fix)
            return
        if header.affine is None or mask_header.affine is None:
            return
        corners = np.array([*product(*((0, side) for side in header.size)), header.size])
        places = [corners @ one[:3, :3].T + one[:3, 3] for one in (header.affine, mask_header.affine)]
        apart = float(np.linalg.norm(places[0] - places[1], axis=1).max())
        if apart > SAME_PLACE * float(np.linalg.norm(header.affine[:3, :3], axis=0).min()):
            turned = header.axes[:3] != mask_header.axes[:3]
            if turned:
                add = self.error  # their axes were turned differently: the voxels would not match
            message = "mask and image lie at different places in the body"
            expected = f"that of the image (orientation {header.axes[:3]})"
            received = f"corners up to {apart:.3g} mm apart (orientation {mask_header.axes[:3]})"
            fix = "write the mask with the geometry of its image"
            if not turned and not allowed:
                fix += ", or use --allow-geometry-mismatch when only the stated place is wrong"
            add("place-mismatch", mask, message, expected, received, fix)


def _sizes(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{side:g}" for side in spacing) + (" mm" if len(spacing) == 3 else " micrometres")
