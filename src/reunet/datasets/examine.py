"""Read one case and say everything that is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from reunet.contracts.findings import Findings
from reunet.contracts.labels import IGNORE
from reunet.contracts.options import DataOptions
from reunet.datasets.cache import check_shape, read_fov, read_ids, read_objects
from reunet.datasets.cases import Case
from reunet.datasets.scan import Scan
from reunet.errors import DataError, LabelError, TooLargeError
from reunet.io.annotations.instances import check_instances, read_instances
from reunet.io.images import ImageHeader, read_channels, read_header
from reunet.io.masks import encode_mask, is_coloured, lossy_mask, read_layer_files, read_raw_mask

SAME_PLACE = 0.1
"""Voxels by which the corners of a mask may lie off those of its image: files round their geometry."""


@dataclass
class CaseFacts:
    """What reading one case gave. header: of its image; None when unreadable. pixels: hash of its decoded
    image; None when unreadable or constant. class_counts: (256,) pixels of each class, or objects where only
    boxes tell the classes. n_objects: where they are told. track_ids: of objects, where tracks are told.
    """

    case: Case
    problems: Findings
    header: ImageHeader | None = None
    pixels: str | None = None
    dtype: str | None = None
    class_counts: np.ndarray | None = None
    n_objects: int | None = None
    track_ids: tuple[int, ...] | None = None


def examine(case: Case, scan: Scan, options: DataOptions) -> CaseFacts:
    """Read image, mask and field of view of one case."""
    facts = CaseFacts(case, Findings(scan.root, case.page))
    header = _image(facts, options)
    encoded = _mask(facts, header, scan, options)
    inside = _fov(facts, header, options)
    derived = _objects(facts, header, scan, options)
    encoded = derived if encoded is None else encoded
    if case.files.mask is None and encoded is not None:
        facts.class_counts = np.bincount(encoded.ravel(), minlength=256)
    elif case.files.mask is None and case.annotation.objects is not None:
        facts.class_counts = np.bincount(case.annotation.objects.boxes.classes, minlength=256)
    if encoded is not None and case.files.mask is not None:
        if inside is not None and inside.shape == encoded.shape:
            encoded[~inside] = IGNORE
        facts.class_counts = np.bincount(encoded.ravel(), minlength=256)
        if facts.class_counts[IGNORE] == encoded.size:
            facts.problems.warning("mask-unlabelled", case.files.mask, "no pixel of the mask is labelled")
        _not_annotated(facts, case.files.mask, scan)
    return facts


def _not_annotated(facts: CaseFacts, mask: Path, scan: Scan) -> None:
    """Pixels of classes that the image is said not to be annotated with."""
    if facts.case.annotation.classes is None or scan.labels is None or facts.class_counts is None:
        return
    names, told = scan.labels.names, facts.case.annotation.classes
    found = [name for i, name in enumerate(names) if facts.class_counts[i] and i not in told]
    if found:
        message = "the mask has classes that `annotated` in dataset.json leaves out for this image"
        expected = ", ".join(names[i] for i in told)
        facts.problems.error("annotated", mask, message, expected, ", ".join(found))


def _image(facts: CaseFacts, options: DataOptions) -> ImageHeader | None:
    case, problems = facts.case, facts.problems
    try:
        header = read_header(case.image, options.axes)
        image = read_channels((case.image, *case.files.channels), page=case.page, axes=options.axes)
    except DataError as cause:
        code = "image-too-large" if isinstance(cause, TooLargeError) else "image-unreadable"
        problems.caught(code, case.image, cause)
        return None
    facts.header, facts.dtype = header, str(image.dtype)
    if image.dtype.kind == "f":
        wrong = int(np.count_nonzero(~np.isfinite(image)))
        if wrong:
            received = f"{wrong} NaN or infinite values"
            fix = "replace them, for example by the nearest valid pixel, or remove the image"
            message = "the image has values that are not finite"
            problems.error("not-finite", case.image, message, "numbers", received, fix)
            return header
    first = image[(slice(0, 1),) * len(header.size)]
    if bool((image == first).all()):
        problems.warning("constant-image", case.image, "all pixels of the image are equal")
    else:
        facts.pixels = _pixel_hash(image)
    return header


def _mask(
    facts: CaseFacts, header: ImageHeader | None, scan: Scan, options: DataOptions
) -> np.ndarray | None:
    """Class indices of the mask when everything about it is right, else None."""
    case, problems, labels = facts.case, facts.problems, scan.labels
    if case.files.mask is None:
        return None
    try:
        mask_header = read_header(case.files.mask, options.axes)
        if case.files.layers:
            raw = read_layer_files((case.files.mask, *case.files.layers), case.page, options.axes)[1]
        else:
            raw = read_raw_mask(case.files.mask, case.page, options.axes)
    except LabelError as cause:
        problems.caught("mask-fractional", case.files.mask, cause)
        return None
    except DataError as cause:
        code = "mask-too-large" if isinstance(cause, TooLargeError) else "mask-unreadable"
        problems.caught(code, case.files.mask, cause)
        return None
    encoded = None
    try:
        encoded = encode_mask(raw, labels, case.files.mask) if labels is not None else None
    except LabelError as cause:
        wrong_kind = is_coloured(raw) and labels is not None and labels.encoding != "rgb"
        code = "mask-colours" if wrong_kind else "mask-values"
        if mask_header.lossy:
            code, cause = "mask-lossy", lossy_mask(case.files.mask, cause)
        problems.caught(code, case.files.mask, cause)
    if header is None:
        return None
    try:
        check_shape(case.files.mask, mask_header.size, header.size)
    except LabelError as cause:
        problems.caught("shape-mismatch", case.files.mask, cause)
        return None
    _geometry(case.files.mask, problems, header, mask_header, options)
    return encoded


def _objects(
    facts: CaseFacts, header: ImageHeader | None, scan: Scan, options: DataOptions
) -> np.ndarray | None:
    """Class indices (*space) that follow from objects with pixels; None without any, or with wrong ones."""
    case, problems = facts.case, facts.problems
    if (
        scan.labels is None
        or header is None
        or not (case.kinds & {"instances", "boxes"} or case.files.markers)
    ):
        return None
    if case.annotation.objects is not None and case.annotation.objects.size != header.size:
        message = "the annotations are for an image of another size"
        sizes = [" x ".join(map(str, size)) for size in (header.size, case.annotation.objects.size)]
        problems.error("shape-mismatch", case.image, message, f"{sizes[0]} as the image", sizes[1])
        return None
    where = case.files.instances or (
        case.files.object_masks[0].parent if case.files.object_masks else case.image
    )
    try:
        ids = read_ids(case, header.size, options.axes, problems)
        if ids is not None:
            check_instances(ids, where, problems)
            facts.n_objects = len(np.unique(ids[ids > 0]))
            _highest_id(case, ids, facts)
        elif case.annotation.objects is not None:
            facts.n_objects = len(case.annotation.objects.boxes)
        if case.sequence is not None and case.sequence.tracks is not None:
            marks = read_instances(case.files.markers, case.page, options.axes) if case.files.markers else ids
            facts.track_ids = None if marks is None else tuple(np.unique(marks).tolist())
        if any(problem.severity == "error" for problem in problems):
            return None
        return read_objects(case, scan.labels, header.size, options.axes)[1]
    except DataError as cause:
        code = "shape-mismatch" if "sizes" in cause.what else "instances-unreadable"
        problems.caught(code, where, cause)
        return None


def _highest_id(case: Case, ids: np.ndarray, facts: CaseFacts) -> None:
    """Warn of a file in which every id that its sample type can hold is taken."""
    dtype = None if case.files.instances is None else read_header(case.files.instances).dtype
    if case.files.instances is not None and dtype in ("uint8", "uint16"):
        limit = int(np.iinfo(dtype).max)
        if facts.n_objects == limit:
            message = f"all ids that {dtype} can hold are taken: further objects may have begun at 0 again"
            expected, received = f"fewer than {limit} objects, or a larger type", f"{limit} ids"
            facts.problems.warning("ids-full", case.files.instances, message, expected, received)


def _geometry(
    mask: Path, problems: Findings, header: ImageHeader, mask_header: ImageHeader, options: DataOptions
) -> None:
    """Whether mask and image state the same size of a pixel and, as volumes, the same place."""
    add = problems.warning if options.allow_geometry_mismatch else problems.error
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
        if header.axes[:3] != mask_header.axes[:3]:
            add = problems.error  # their axes were turned differently: the voxels would not match
        message = "mask and image lie at different places in the body"
        received = f"corners up to {apart:.3g} mm apart (orientation {mask_header.axes[:3]})"
        fix = "write the mask with the geometry of its image"
        if add == problems.error and header.axes[:3] == mask_header.axes[:3]:
            fix += ", or use --allow-geometry-mismatch when only the stated place is wrong"
        add(
            "place-mismatch",
            mask,
            message,
            f"that of the image (orientation {header.axes[:3]})",
            received,
            fix,
        )


def _fov(facts: CaseFacts, header: ImageHeader | None, options: DataOptions) -> np.ndarray | None:
    """(*space) bool, True inside; None when there is no field of view, or none that can be read."""
    case, problems = facts.case, facts.problems
    if case.files.fov is None or header is None:
        return None
    try:
        inside = read_fov(case.files.fov, case.page, options.axes, header.size)
    except DataError as cause:
        problems.caught(
            "shape-mismatch" if isinstance(cause, LabelError) else "fov-unreadable", case.files.fov, cause
        )
        return None
    if not bool(inside.any()):
        message = "the field of view is empty"
        problems.error("fov-empty", case.files.fov, message, "pixels other than 0", "only 0")
    return inside


def _pixel_hash(image: np.ndarray) -> str:
    digest = hashlib.sha256(f"{image.shape} {image.dtype}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _sizes(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{side:g}" for side in spacing) + (" mm" if len(spacing) == 3 else " micrometres")
