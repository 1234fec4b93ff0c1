"""Say everything that is wrong with one case, from what reading it gave."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings
from reunet.contracts.labels import IGNORE, LabelMap, majority_class
from reunet.contracts.options.records import DataOptions
from reunet.datasets.apart import tell_apart
from reunet.datasets.cache import mapped
from reunet.datasets.case_arrays import encode_case
from reunet.datasets.cases import Case
from reunet.datasets.palettes import used_in
from reunet.datasets.reading import Reading
from reunet.errors import LabelError, MeaningError, SizeError
from reunet.io.header import ImageHeader, apart
from reunet.io.masks import is_coloured

_MICROMETRES = (
    "write the resolution into it; else `reunet predict` has to be told a level of each slide (--level 0)"
)


class Examined(Findings):
    """What is wrong with one case, and what looking at it gave.

    header: of its image; None when unreadable. pixels: hash of its decoded image; None when unreadable or
    constant. dtype: of its samples. values: the lowest and the highest. pixel_counts: (256,) pixels of each
    class; class_counts: the same, or objects where only boxes tell the classes. object_counts: (256,) objects
    of each class, where they are told. track_ids: of objects, where ids are told. used: the values of its
    mask. only_turned: whether what annotates it fits only as orientation tags turn the files; None where they
    turn none, or all alike.
    """

    def __init__(self, case: Case, reading: Reading, labels: LabelMap | None, options: DataOptions) -> None:
        super().__init__(reading.problems.root, case.page)
        self += reading.problems
        self.case, self._labels = case, labels
        self.header, self.pixels, self.dtype = reading.header, reading.pixels, reading.dtype
        self.track_ids = reading.ids.get("tracks", reading.ids.get("objects"))
        self.object_counts: np.ndarray | None = None
        self.class_counts: np.ndarray | None = None
        self.used = None if case.files.mask is None else used_in(case.files.mask, reading, colours=False)
        self.pixel_counts: np.ndarray | None = None
        self.values = _ends(mapped(reading.arrays["image"])) if "image" in reading.arrays else None
        encoded = self._encoded(reading)
        matches = all(problem.code != "shape-mismatch" for problem in self)
        self._headers(reading.headers, options.allow_geometry_mismatch, compare=matches)
        self.only_turned = self._fits_only_turned(reading) if matches else None
        self._objects(reading, encoded if matches else None)
        if self.header is not None and matches:
            self._classes(encoded)

    def _headers(self, headers: Mapping[str, ImageHeader], allowed: bool, *, compare: bool) -> None:
        """What the files state of the size and place of their pixels, twice or differently."""
        files = self.case.files
        for role, file in {
            "image": files.image,
            "mask": files.mask,
            "ids": files.instances,
            "fov": files.fov,
        }.items():
            if file is None or role not in headers:
                continue
            for doubt in headers[role].doubts:
                add = self.error if doubt.grave and not allowed else self.warning
                fix = "write into the header what is right"
                if doubt.grave and not allowed:
                    fix += f", or use --allow-geometry-mismatch if that is {doubt.used}"
                add("header-contradiction", file, doubt.what, doubt.used, doubt.other, fix)
            if role == "image" and headers[role].slide and headers[role].spacing is None:
                message = "the slide does not say how many micrometres its pixels have"
                expected, fix = "MPP in its description, or a resolution per centimetre", _MICROMETRES
                self.warning("slide-without-micrometres", file, message, expected, "", fix)
            if compare and role != "image" and self.header is not None:
                name = {"ids": "instances", "fov": "field of view"}.get(role, role)
                self._geometry(name, file, self.header, headers[role], allowed)

    def _encoded(self, reading: Reading) -> np.ndarray | None:
        """Class indices; None where none are told, or where values are no classes."""
        mask = self.case.files.mask
        if self._labels is None or (mask is None and self.header is None):
            return None
        try:
            encoded = encode_case(self.case, reading, self._labels).get("labels")
        except MeaningError:  # the masks are held against each other and the class list together
            return None
        except SizeError as cause:
            self.caught("shape-mismatch", self.case.image, cause)
            return None
        except LabelError as cause:
            wrong_kind = is_coloured(mapped(reading.arrays["mask"])) and self._labels.encoding != "rgb"
            is_lossy = reading.headers["mask"].lossy
            code = "mask-lossy" if is_lossy else "mask-colours" if wrong_kind else "mask-values"
            self.caught(code, mask or self.case.image, cause)
            return None
        return None if encoded is None else mapped(encoded)

    def _fits_only_turned(self, reading: Reading) -> bool | None:
        """`only_turned`, from the sizes of label images and from where shapes and boxes lie."""
        image, told = self.header, self.case.objects
        if image is None:
            return None
        drawn = [reading.headers[role] for role in ("mask", "ids") if role in reading.headers]
        if self.case.files.object_masks:
            drawn.append(replace(image, orientation=1))
        found = [image.unturned != one.unturned for one in drawn if one.orientation != image.orientation]
        if told is not None and image.orientation != 1 and len(told.boxes):
            found.append(bool((told.boxes.corners[:, 2:].max(axis=0) > image.unturned).any()))
        return all(found) if found else None

    def _objects(self, reading: Reading, encoded: np.ndarray | None) -> None:
        fov, objects = self.case.files.fov, self.case.objects
        if fov is not None and "fov" in reading.arrays and not mapped(reading.arrays["fov"]).any():
            self.error("fov-empty", fov, "the field of view is empty", "pixels other than 0", "only 0")
        if objects is not None and self.header is not None and objects.size == self.header.size:
            self.object_counts = np.bincount(objects.boxes.classes, minlength=256)
        elif "objects" in reading.ids:
            there, kinds = np.array(reading.ids["objects"], np.int64), np.zeros(0, np.uint8)
            if self._labels is not None:
                ids = np.searchsorted([0, *there], mapped(reading.arrays["ids"]))
                kinds = majority_class(ids, encoded, self._labels)[1:]
            self.object_counts = np.bincount(kinds, minlength=256)
        raw = mapped(reading.arrays["ids"]) if "ids" in reading.arrays else None
        if self._labels is not None and (raw is None or encoded is None or raw.shape == encoded.shape):
            tell_apart(self.case, raw, encoded, self._labels, self)

    def _classes(self, encoded: np.ndarray | None) -> None:
        mask, objects, told = self.case.files.mask, self.case.objects, self.case.classes
        if encoded is None:
            if mask is None and objects is not None:
                self.class_counts = np.bincount(objects.boxes.classes, minlength=256)
            return
        counts = self.class_counts = self.pixel_counts = np.bincount(encoded.ravel(), minlength=256)
        if mask is not None and counts[IGNORE] == encoded.size:
            self.warning("mask-unlabelled", mask, "no pixel of the mask is labelled")
        names = () if told is None or mask is None or self._labels is None else self._labels.names
        found = [name for i, name in enumerate(names) if counts[i] and i not in (told or ())]
        if found and mask is not None:
            message = "the mask has classes that `annotated` in dataset.json leaves out for this image"
            expected = ", ".join(names[i] for i in told or ())
            self.error("annotated", mask, message, expected, ", ".join(found))

    def _geometry(
        self, name: str, file: Path, header: ImageHeader, other: ImageHeader, allowed: bool
    ) -> None:
        """Whether another file states the size of a pixel and the place that the image states."""
        if (found := apart(header, other)) is None:
            return
        kind, *told = found
        add = self.warning if allowed and kind != "turned" else self.error
        if kind == "spacing":
            message = f"{name} and image have different pixel sizes"
            fix = "correct the file, or use --allow-geometry-mismatch when only the stated size is wrong"
            add("spacing-mismatch", file, message, *told, fix)
            return
        if kind == "crs":
            message = f"{name} and image are in different coordinate reference systems"
            warp = f"gdalwarp -t_srs {told[0]}" if told[0].startswith("EPSG:") else "gdalwarp"
            fix = f"bring the {name} onto the grid of its image ({warp}), or use --allow-geometry-mismatch"
            add("crs-mismatch", file, message, *told, f"{fix} when only the stated system is wrong")
            return
        where = "in the body" if header.map is None else "on the map"
        message = f"{name} and image lie at different places {where}"
        fix = f"write the {name} with the geometry of its image"
        if kind == "place" and not allowed:  # else the axes were turned differently: voxels would not match
            fix += ", or use --allow-geometry-mismatch when only the stated place is wrong"
        add("place-mismatch", file, message, *told, fix)


def _ends(image: np.ndarray) -> tuple[float, float]:
    return image.min().item(), image.max().item()
