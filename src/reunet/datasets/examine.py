"""Read one case and say everything that is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from reunet.contracts.labels import IGNORE
from reunet.contracts.results import Problem
from reunet.datasets.cache import check_shape, read_fov
from reunet.datasets.cases import Case, DataOptions
from reunet.datasets.layouts import Scan, as_problem
from reunet.datasets.pairs import relative
from reunet.errors import DataError, LabelError, TooLargeError
from reunet.io.images import ImageHeader, read_header, read_image
from reunet.io.masks import encode_mask, lossy_mask, read_raw_mask


@dataclass
class CaseFacts:
    """What reading one case gave. pixels: hash of its decoded image; None when unreadable or constant."""

    case: Case
    problems: list[Problem] = field(default_factory=list)
    pixels: str | None = None
    dtype: str | None = None
    class_pixels: np.ndarray | None = None


def examine(case: Case, scan: Scan, options: DataOptions) -> CaseFacts:
    """Read image, mask and field of view of one case."""
    facts = CaseFacts(case)
    header = _image(facts, scan.root, options)
    encoded = _mask(facts, header, scan, options)
    if case.fov is None:
        inside = None
    else:
        inside = _fov(facts, header, scan.root, options)
    if encoded is not None:
        if inside is not None and inside.shape == encoded.shape:
            encoded[~inside] = IGNORE
        facts.class_pixels = np.bincount(encoded.ravel(), minlength=256)
        if facts.class_pixels[IGNORE] == encoded.size:
            _add(
                facts, "warning", "mask-unlabelled", case.mask, scan.root, "no pixel of the mask is labelled"
            )
    return facts


def _image(facts: CaseFacts, root: Path, options: DataOptions) -> ImageHeader | None:
    case = facts.case
    try:
        header = read_header(case.image, options.axes)
        image = read_image(case.image, page=case.page, axes=options.axes)
    except TooLargeError as cause:
        facts.problems.append(as_problem("image-too-large", relative(case.image, root, case.page), cause))
        return None
    except DataError as cause:
        facts.problems.append(as_problem("image-unreadable", relative(case.image, root, case.page), cause))
        return None
    facts.dtype = str(image.dtype)
    if image.dtype.kind == "f":
        wrong = int(np.count_nonzero(~np.isfinite(image)))
        if wrong:
            _add(
                facts,
                "error",
                "not-finite",
                case.image,
                root,
                "the image has values that are not finite",
                "numbers",
                f"{wrong} NaN or infinite values",
                "replace them, for example by the nearest valid pixel, or remove the image",
            )
            return header
    first = image[:1, :1]
    if bool((image == first).all()):
        _add(facts, "warning", "constant-image", case.image, root, "all pixels of the image are equal")
    else:
        facts.pixels = _pixel_hash(image)
    return header


def _mask(
    facts: CaseFacts, header: ImageHeader | None, scan: Scan, options: DataOptions
) -> np.ndarray | None:
    """Class indices of the mask when everything about it is right, else None."""
    case, labels = facts.case, scan.labels
    if case.mask is None:
        return None
    name = relative(case.mask, scan.root, case.page)
    try:
        mask_header = read_header(case.mask, options.axes)
        raw = read_raw_mask(case.mask, case.page, options.axes)
    except LabelError as cause:
        facts.problems.append(as_problem("mask-fractional", name, cause))
        return None
    except DataError as cause:
        code = "mask-too-large" if isinstance(cause, TooLargeError) else "mask-unreadable"
        facts.problems.append(as_problem(code, name, cause))
        return None
    encoded = None
    try:
        encoded = encode_mask(raw, labels, case.mask) if labels is not None else None
    except LabelError as cause:
        code = (
            "mask-colours"
            if raw.ndim == 3 and labels is not None and labels.encoding != "rgb"
            else "mask-values"
        )
        if mask_header.lossy:
            code, cause = "mask-lossy", lossy_mask(case.mask, cause)
        facts.problems.append(as_problem(code, name, cause))
    if header is None:
        return None
    try:
        check_shape(case.mask, raw.shape[:2], header.size)
    except LabelError as cause:
        facts.problems.append(as_problem("shape-mismatch", name, cause))
        return None
    image_spacing, mask_spacing = header.spacing, mask_header.spacing
    if image_spacing and mask_spacing and not np.allclose(image_spacing, mask_spacing, rtol=1e-3):
        severity: Literal["error", "warning"] = "warning" if options.allow_geometry_mismatch else "error"
        _add(
            facts,
            severity,
            "spacing-mismatch",
            case.mask,
            scan.root,
            "mask and image have different pixel sizes",
            _micrometres(image_spacing),
            _micrometres(mask_spacing),
            "correct the file, or use --allow-geometry-mismatch when only the stated size is wrong",
        )
    return encoded


def _fov(facts: CaseFacts, header: ImageHeader | None, root: Path, options: DataOptions) -> np.ndarray | None:
    case = facts.case
    if case.fov is None or header is None:
        return None
    try:
        inside = read_fov(case.fov, case.page, options.axes, header.size)
    except LabelError as cause:
        facts.problems.append(as_problem("shape-mismatch", relative(case.fov, root, case.page), cause))
        return None
    except DataError as cause:
        facts.problems.append(as_problem("fov-unreadable", relative(case.fov, root, case.page), cause))
        return None
    if not bool(inside.any()):
        _add(
            facts,
            "error",
            "fov-empty",
            case.fov,
            root,
            "the field of view is empty",
            "pixels other than 0",
            "only 0",
        )
    return inside


def _add(
    facts: CaseFacts,
    severity: Literal["error", "warning"],
    code: str,
    file: Path | None,
    root: Path,
    message: str,
    expected: str = "",
    received: str = "",
    fix: str = "",
) -> None:
    name = "" if file is None else relative(file, root, facts.case.page)
    facts.problems.append(Problem(severity, code, name, message, expected, received, fix))


def _pixel_hash(image: np.ndarray) -> str:
    digest = hashlib.sha256(f"{image.shape} {image.dtype}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _micrometres(spacing: tuple[float, float]) -> str:
    return f"{spacing[0]:g} x {spacing[1]:g} micrometres"
