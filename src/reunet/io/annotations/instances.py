"""Instance label images: every object has a number of its own, 0 is the background."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.findings import Findings, some_of
from reunet.errors import LabelError, ReunetError, SizeError
from reunet.io.header import Check, ImageHeader
from reunet.io.images import read_header
from reunet.io.masks import inside_of, is_coloured, lossy_mask, read_mask_file, write_values

_EXACT_FLOAT = 2**24  # float32 holds every whole number up to here


def read_instances(path: Path, page: int | None = None, axes: str | None = None) -> NDArray[np.int32]:
    """Ids of a PNG, TIFF or NIfTI file, (H, W), or (D, H, W) of a volume or of all pages of a stack.

    page: of a stack, the only one to read. axes: as for `read_header`. Raises ImageReadError, and
    LabelError for colours, JPEG, fractions, negative ids and ids that the sample type cannot hold exactly.
    """
    return read_instances_file(path, page, axes)[1]


def check_instances(ids: np.ndarray, path: Path, problems: Findings) -> None:
    """Add a warning for ids that lie in several places, neighbours across corners being one place.

    ids: (*space) integers, as read from `path`.
    """
    from skimage.measure import label

    places, count = label(ids, background=0, return_num=True)
    owner = np.zeros(count + 1, np.int64)
    owner[places.ravel()] = ids.ravel()
    found, times = np.unique(owner[1:], return_counts=True)
    several = np.flatnonzero(times > 1)
    if len(several):
        shown = some_of([f"{found[i]} ({times[i]} places)" for i in several], 8)
        message = f"{len(several)} id(s) lie in several places"
        fix = "give each object an id of its own, unless it was cut in two by another"
        problems.warning("id-scattered", path, message, "one place per id", shown, fix)


def read_object_masks(
    paths: Sequence[Path], problems: Findings, check: Check | None = None
) -> NDArray[np.int32] | None:
    """Ids 1 .. n of objects with a mask file each, in the order of `paths`; None where none is usable.

    A mask is 0 outside of its object. Pixels of several objects stay with the first. check: as for
    `read_mask_file`. Adds errors for files that cannot be read or differ in size, warnings for masks that are
    empty or overlap.
    """
    ids: NDArray[np.int32] | None = None
    for number, path in enumerate(paths, 1):
        try:
            header, raw = read_mask_file(path, check=check)
            if is_coloured(raw):
                raise LabelError("the mask is a colour image", expected="one value per pixel")
            inside = inside_of(path, header, raw)
        except SizeError as cause:
            problems.caught("shape-mismatch", path, cause)
            continue
        except ReunetError as cause:
            problems.caught("mask-unreadable", path, cause)
            continue
        if ids is None:
            ids = np.zeros(raw.shape, np.int32)
        if raw.shape != ids.shape:
            shapes = [" x ".join(map(str, shape)) for shape in (ids.shape, raw.shape)]
            problems.error("shape-mismatch", path, "the mask differs in size from the others", *shapes)
            continue
        taken = int(np.count_nonzero(ids[inside]))
        if not inside.any():
            problems.warning("object-empty", path, "the mask is empty: no object")
        elif taken:
            message = f"{taken} pixels belong to an earlier object too and stay with it"
            problems.warning("object-overlap", path, message)
        ids[inside & (ids == 0)] = number
    return ids


def write_instances(
    path: Path, ids: np.ndarray, like: Path | None = None, spacing: Sequence[float] | None = None, **tags: Any
) -> None:
    """Write ids atomically: 16-bit PNG or TIFF, above 65,535 ids 32-bit TIFF; the rest as for `write_mask`.

    ids: (H, W), or (D, H, W) for TIFF and NIfTI, whole numbers from 0. Raises LabelError for a PNG that
    cannot hold them, StorageError.
    """
    highest = int(ids.max(initial=0))
    if int(ids.min(initial=0)) < 0 or highest > np.iinfo(np.uint32).max or ids.dtype.kind not in "iu":
        raise LabelError("ids are whole numbers from 0", where=path, received=f"{ids.dtype}, {ids.min()}")
    dtype = np.dtype(np.uint16 if highest <= np.iinfo(np.uint16).max else np.uint32)
    write_values(path, ids, lambda page: page.astype(dtype), dtype, like, spacing=spacing, **tags)


def read_instances_file(
    path: Path, page: int | None, axes: str | None, check: Check | None = None
) -> tuple[ImageHeader, NDArray[np.int32]]:
    """The header, whose size counts the pages that were read, and what `read_instances` gives. check: as for
    `read_mask_file`, of each page.
    """
    if page is None and (pages := read_header(path, axes).pages) > 1:
        found = [read_instances_file(path, number, axes, check) for number in range(pages)]
        ids = np.stack([ids for _, ids in found])
        return replace(found[0][0], size=ids.shape, orientation=1), ids
    header, raw = read_mask_file(path, page, axes, check)
    if header.lossy:
        raise lossy_mask(path)
    if is_coloured(raw):
        if raw.dtype == np.uint8 and (numbers := _numbers_of_colours(raw)) is not None:
            return header, numbers
        fix = "save one number per pixel, the id of its object"
        raise LabelError("the label image is a colour image", where=path, expected="one channel", fix=fix)
    low, high = int(raw.min()), int(raw.max())
    dtype = header.dtype
    limit = _EXACT_FLOAT if "float" in dtype and dtype != "float64" else np.iinfo(np.int32).max
    if low < 0 or high > limit:
        what = "the label image has ids that cannot be used"
        expected = f"0 to {limit:,}" + (
            f", as {dtype} holds no others exactly" if limit == _EXACT_FLOAT else ""
        )
        raise LabelError(what, where=path, expected=expected, received=f"{low} to {high}")
    return header, raw.astype(np.int32)


def _numbers_of_colours(raw: np.ndarray) -> NDArray[np.int32] | None:
    """The numbers that the colours (H, W, 3) uint8 have in the colour map of Pascal VOC, in which CVAT
    writes objects; None for other colours.

    Bit k of a number is the highest free bit of red, green and blue in turn.
    """
    if (raw & 15).any():
        return None  # more than 4095 objects, or a photo
    numbers = np.zeros(raw.shape[:2], np.int32)
    for place in range(4):
        for channel in range(3):
            numbers |= (raw[..., channel].astype(np.int32) >> (7 - place) & 1) << (3 * place + channel)
    return numbers
