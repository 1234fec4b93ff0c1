"""Masks: pixel values in files to class indices, and back to a file that carries its own colours."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.findings import some_of
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.errors import LabelError, SizeError
from reunet.io.channels import is_grey
from reunet.io.formats.table import stored_image
from reunet.io.header import Check, Doubt, ImageHeader
from reunet.io.images import read_header, read_pixels
from reunet.io.nifti import write_nifti, write_nifti_at
from reunet.io.numbers import whole_numbers
from reunet.io.pages import write_pages
from reunet.io.raster import write_png
from reunet.io.units import tiff_resolution

Sized = ImageHeader | tuple[int, ...]
"""A size, or the header of the file that has it."""

_UNKNOWN = 254  # marks values that stand for no class; a LabelMap has at most 254 classes, 0..253


def read_raw_mask(path: Path, page: int | None = None, axes: str | None = None) -> np.ndarray:
    """What `read_mask_file` gives, without the header."""
    return read_mask_file(path, page, axes)[1]


def read_mask_file(
    path: Path, page: int | None = None, axes: str | None = None, check: Check | None = None
) -> tuple[ImageHeader, np.ndarray]:
    """The header, and values as stored: (H, W) integers, or (H, W, 3) unsigned for a coloured RGB mask (see
    `is_coloured`); of a volume (D, H, W) signed integers.

    Palette files give their indices, bilevel files 0 and 255, RGB files with three equal channels one
    channel, float files their `whole_numbers`; what a TIFF calls white does not matter. check: gets path and
    header before anything is decoded. Raises LabelError for fractions and for other numbers of channels,
    ImageReadError.
    """
    header, raw = read_pixels(path, page=page, axes=axes, numbers=True, check=check)
    if header.white_is_zero and header.dtype == "uint8":
        what, read, meant = "the bilevel mask says that its 0 is white", "1 as 255", "1 as black"
        header = replace(header, doubts=(*header.doubts, Doubt(what, read, meant, grave=False)))
    if raw.ndim == 4:
        raw = _one_channel(raw, path)
    elif raw.shape[2] == 1 or (raw.shape[2] == 3 and is_grey(raw)):
        raw = raw[..., 0]
    elif raw.shape[2] != 3:
        fix = "save one value per pixel; if these are pages of a stack, say so with --axes, such as ZYX"
        received = f"{raw.shape[2]} channels"
        raise LabelError(
            "the mask has several channels", where=path, expected="1", received=received, fix=fix
        )
    if raw.dtype.kind == "f":
        numbers, is_whole = whole_numbers(raw, header.step)
        if not bool(is_whole.all()):
            stored = f", stored in steps of {header.step:g} (scl_slope)" if header.step else ""
            raise LabelError(
                "the mask has values that are not whole numbers",
                where=path,
                expected="one whole number per class",
                received=f"{int((~is_whole).sum())} such pixels, such as {raw[~is_whole][0]!s}{stored}",
                fix="a probability map is no mask: threshold it, then save it as whole numbers",
            )
        raw = numbers
    return header, np.ascontiguousarray(raw)


def read_layer_files(
    paths: Sequence[Path], page: int | None = None, axes: str | None = None, check: Check | None = None
) -> tuple[ImageHeader, np.ndarray]:
    """The header of the first of several masks of regions, a file for each, and all masks as one: (*space)
    uint8, the sum of 1, 2, 4 ... for those, in order, that are not 0 at a pixel; what files say of values
    does not count. check: as for `read_mask_file`.

    Raises LabelError for other sizes and lossy files, ImageReadError.
    """
    headers, layers = [], []
    for path in paths:
        header, raw = read_mask_file(path, page, axes, check)
        if header.lossy:
            raise lossy_mask(path)
        headers.append(header)
        layers.append((raw.max(axis=-1) if is_coloured(raw) else raw) != 0)
        if layers[-1].shape != layers[0].shape:
            raise LabelError(
                "the masks of two regions have different sizes",
                where=path,
                expected=layers[0].shape,
                received=layers[-1].shape,
            )
    together = sum(layer.astype(np.uint8) << bit for bit, layer in enumerate(layers))
    return replace(headers[0], palette=False, value_names=()), np.asarray(together, np.uint8)


def is_coloured(raw: np.ndarray) -> bool:
    """Whether the values of a raw mask are colours (H, W, 3) rather than whole numbers (*space)."""
    return raw.ndim == 3 and raw.dtype.kind == "u"


def _one_channel(voxels: np.ndarray, path: Path) -> np.ndarray:
    """(D, H, W) signed integers or floats from the voxels of a mask."""
    if voxels.shape[-1] != 1 or voxels.dtype.kind not in "iuf":
        raise LabelError(
            "the mask does not have one value per voxel",
            where=path,
            expected="one channel of whole numbers",
            received=f"{voxels.shape[-1]} channels of {voxels.dtype}",
            fix="save one number per voxel, the class",
        )
    values = voxels[..., 0]
    if values.dtype.kind == "u":
        return values.astype(np.int32 if values.dtype.itemsize <= 2 else np.int64)
    return values


def encode_mask(raw: np.ndarray, labels: LabelMap, where: object) -> np.ndarray:
    """Stored values to (*space) uint8 class indices with IGNORE for unlabelled pixels.

    raw: (*space) integers or (H, W, 3) uint8 colours, as `read_raw_mask` gives them.
    Raises LabelError listing every value that stands for no class, and how many pixels have it.
    """
    if labels.encoding == "rgb":
        colours = raw if is_coloured(raw) else np.repeat(raw[..., None], 3, axis=-1)
        values = pack_colours(colours)
    elif is_coloured(raw):
        raise LabelError(
            "the mask is a colour image, the class list needs one value per pixel",
            where=where,
            fix="say which colour is which class with --colors FILE (lines: name,red,green,blue)",
        )
    else:
        values = raw
    indices = _look_up(values, mask_values(labels))
    if bool((indices == _UNKNOWN).any()):
        raise _unexpected(values[indices == _UNKNOWN], labels, where)
    return indices


def read_mask(path: Path, labels: LabelMap, page: int | None = None, axes: str | None = None) -> np.ndarray:
    """A mask file as (*space) uint8 class indices. Raises LabelError, ImageReadError."""
    header, raw = read_mask_file(path, page, axes)
    raw, known = without_nodata(header, raw)
    try:
        indices = encode_mask(raw, labels, path)
        return indices if known is None else np.where(known, indices, np.uint8(IGNORE))
    except LabelError as cause:
        if not header.lossy:
            raise
        raise lossy_mask(path, cause) from cause


def read_fov(path: Path, page: int | None, axes: str | None, image: Sized) -> np.ndarray:
    """Field of view: (*space) bool, True inside. A file with one page serves every page of a stack.

    image: its header, or its size. Raises ImageReadError, LabelError.
    """
    has_pages = page is not None and read_header(path, axes).pages > 1

    def check(path: Path, header: ImageHeader) -> None:
        check_shape(path, header, image, "field of view")

    header, raw = read_mask_file(path, page if has_pages else None, axes, check)
    return inside_of(path, header, raw)


def inside_of(path: Path, header: ImageHeader, raw: np.ndarray) -> np.ndarray:
    """(*space) bool, where the values of a mask file are not 0, in any channel. Raises LabelError for a JPEG
    of other values than 0 and 255: its compression has made more of them than there were.
    """
    if header.lossy and not np.isin(raw, (0, 255)).all():
        raise lossy_mask(path)
    return np.asarray((raw.max(axis=-1) if is_coloured(raw) else raw) != 0)


def check_shape(path: Path, received: Sized, image: Sized, what: str = "mask") -> None:
    """Raise SizeError when a mask has another size than its image; nothing is ever resized to fit.

    received, image: their sizes, or headers, which also tell whether a file is turned by its orientation tag:
    the error says so where the other one fits what is not turned.
    """
    size, sides = (one.size if isinstance(one, ImageHeader) else tuple(one) for one in (image, received))
    if sides == size:
        return
    message, fix = f"{what} and image have different sizes", f"find the {what} of this image"
    if isinstance(image, ImageHeader) and sides == image.unturned:
        message = f"the image is turned by its orientation tag (EXIF), and the {what} fits it unturned"
        fix = f"if the {what} was drawn on it unturned, take the tag out of the image; else turn the {what}"
    elif isinstance(received, ImageHeader) and received.unturned == size:
        message = f"the {what} is turned by its orientation tag (EXIF), and fits the image unturned"
        fix = f"take the tag out of the {what}"
    raise SizeError(
        message,
        where=path,
        expected=f"{_shown(size)} ({'depth x ' * (len(size) == 3)}height x width) as the image",
        received=_shown(sides),
        fix=f"{fix}; nothing is resized or turned silently",
    )


def check_page(path: Path, received: ImageHeader, image: ImageHeader, what: str) -> None:
    """As `check_shape`, of a page of a stack that is held against a volume too; raises SizeError."""
    is_page = received.pages == image.size[0] and len(received.size) < len(image.size)
    check_shape(path, received, image.size[1:] if is_page else image, what)


def _shown(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def lossy_mask(path: Path, cause: LabelError | None = None) -> LabelError:
    """The error for a mask whose values JPEG compression has changed."""
    return LabelError(
        "the mask is a JPEG: its compression changed the class values",
        where=path,
        expected="a lossless file: PNG or TIFF",
        received=cause.received if cause is not None else None,
        fix="export the masks again as PNG from where they were drawn (converting the JPEG keeps the damage)",
    )


def mask_values(labels: LabelMap) -> dict[int, int]:
    """Value in a mask file (a packed colour for `rgb`) -> class index or IGNORE."""
    if labels.encoding == "rgb":
        table = {int(pack_colours(np.array(entry.color))): i for i, entry in enumerate(labels.classes)}
        if labels.ignore_color is not None:
            table[int(pack_colours(np.array(labels.ignore_color)))] = IGNORE
        return table
    if labels.encoding == "binary_255":
        table = {0: 0, 255: 1}
    else:
        table = {entry.id: i for i, entry in enumerate(labels.classes)}
    if labels.ignore is not None:
        table[labels.ignore] = IGNORE
    return table


def pack_colours(colours: np.ndarray) -> np.ndarray:
    """(..., 3) RGB to (...) integers 0xRRGGBB."""
    wide = colours.astype(np.int64)
    return np.asarray((wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2])


def write_mask(
    path: Path,
    indices: np.ndarray,
    labels: LabelMap,
    like: Path | None = None,
    spacing: Sequence[float] | None = None,
    **tags: Any,
) -> None:
    """Write class indices atomically; pixel VALUES in the file are class ids, the palette their colours.

    indices: (H, W) uint8 class indices, or (N, H, W) for a stack (TIFF only). `.png` needs ids below 256.
    like: the volume that (D, H, W) indices belong to; the mask gets its geometry, and no colours.
    spacing: size (y, x) of a pixel in micrometres, which PNG and TIFF then state. tags: of tifffile, which a
    TIFF gets. IGNORE pixels become the ignore value of the class list. Raises LabelError, StorageError.
    """
    dtype = labels.to_ids(np.zeros(1, np.uint8)).dtype
    values = partial(to_values, labels=labels, path=path)
    write_values(path, indices, values, dtype, like, labels, spacing, **tags)


def write_values(
    path: Path,
    pages: np.ndarray,
    values: Callable[[np.ndarray], np.ndarray],
    dtype: np.dtype,
    like: Path | None,
    labels: LabelMap | None = None,
    spacing: Sequence[float] | None = None,
    **tags: Any,
) -> None:
    """Write what `values` makes of `pages`, ids of `dtype`, atomically as PNG, TIFF or NIfTI.

    pages: (H, W), or (N, H, W), which no PNG holds. like, spacing, tags: as for `write_mask`. labels: the
    classes whose ids they are, for the palette of 8 bits; None of objects, in 16 bits or more. Raises
    LabelError, StorageError.
    """
    if like is not None:
        write_volume(path, values(pages), like)
    elif path.suffix.lower() == ".png":
        widest, most = (np.uint16, 65_535) if labels is None else (np.uint8, 255)
        if dtype != widest or pages.ndim != 2:
            raise LabelError(
                "a PNG cannot hold these ids",
                where=path,
                expected=f"one page and ids up to {most:,}",
                received=f"{dtype}, shape {pages.shape}",
                fix="write .tif instead",
            )
        write_png(path, values(pages), None if labels is None else palette(labels), spacing)
    else:
        write_pages(
            path, pages, values, dtype, **tiff_colors(labels, dtype), **tiff_resolution(spacing), **tags
        )


def write_volume(path: Path, values: np.ndarray, like: Path) -> None:
    """Write `values` (depth, height, width) atomically as NIfTI, in the place of a volume of any format."""
    stored = stored_image(like)
    if stored is None or stored.header.affine is None:
        write_nifti(path, values, like)
    else:
        write_nifti_at(path, values, stored.header.affine)


def _look_up(values: np.ndarray, table: dict[int, int]) -> np.ndarray:
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low >= 0 and high < 1 << 16:  # the usual case: one array access per pixel
        direct = np.full(high + 1, _UNKNOWN, np.uint8)
        for value, index in table.items():
            if 0 <= value <= high:
                direct[value] = index
        return direct[values]
    known = np.array(sorted(table))
    codes = np.array([table[int(value)] for value in known], np.uint8)
    position = np.clip(np.searchsorted(known, values), 0, len(known) - 1)
    return np.where(known[position] == values, codes[position], np.uint8(_UNKNOWN)).astype(np.uint8)


def _unexpected(values: np.ndarray, labels: LabelMap, where: object) -> LabelError:
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts)
    rgb = labels.encoding == "rgb"
    shown = [f"{_name_value(int(found[i]), rgb)} ({int(counts[i])} pixels)" for i in order]
    return LabelError(
        f"the mask has {len(found)} value(s) that are no class",
        where=where,
        expected=_describe(labels),
        received=some_of(shown, 8),
        fix="correct the mask, or name all values with "
        + (
            "--colors FILE (lines: name,red,green,blue)"
            if rgb
            else "--classes FILE (lines: id,name; 'ignore' is unlabelled)"
        ),
    )


def _name_value(value: int, rgb: bool) -> str:
    return f"({value >> 16}, {value >> 8 & 255}, {value & 255})" if rgb else str(value)


def _describe(labels: LabelMap) -> str:
    rgb, names = labels.encoding == "rgb", dict(enumerate(labels.names)) | {IGNORE: "unlabelled"}
    values = mask_values(labels).items()
    return some_of([f"{_name_value(value, rgb)} {names[i]}" for value, i in values], 12)


def to_values(indices: np.ndarray, labels: LabelMap, path: Path) -> np.ndarray:
    """Class indices as the ids that mask files hold, IGNORE as the ignore value. Raises LabelError."""
    unlabelled = indices == IGNORE
    if not bool(unlabelled.any()):
        return labels.to_ids(indices)
    ignore = unlabelled_value(labels)
    values = labels.to_ids(np.where(unlabelled, 0, indices))
    if not 0 <= ignore <= np.iinfo(values.dtype).max:
        raise LabelError("the mask has unlabelled pixels and no value to write them", where=path)
    values[unlabelled] = ignore
    return values


def unlabelled_value(labels: LabelMap) -> int:
    """What mask files have where nothing is known, -1 where the classes leave no value for it."""
    if labels.ignore is not None:
        return labels.ignore
    return next((value for value in (255, 254) if value not in {entry.id for entry in labels.classes}), -1)


def without_nodata(header: ImageHeader, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """A raw mask with a value of its own where it has no data, and where it has, (H, W) bool.

    None where it has everywhere, and where 0 is called nodata, which masks have for their background.
    """
    if not header.nodata or raw.ndim != 2 or not (lacks := raw == header.nodata).any() or lacks.all():
        return raw, None
    return np.where(lacks, raw[~lacks].min(), raw), ~lacks


def palette(labels: LabelMap) -> np.ndarray:
    """Colours by id, (256, 3) uint8: all 256 entries, so that PNG writers keep 8 bits per pixel."""
    table = np.zeros((256, 3), np.uint8)
    for entry in labels.classes:
        if entry.id < 256:
            table[entry.id] = entry.color
    return table


def tiff_colors(labels: LabelMap | None, dtype: np.dtype) -> dict[str, Any]:
    """Tags of a TIFF whose values are ids of classes: a palette, which only 8 bits have; grey without."""
    if labels is None or dtype != np.uint8:
        return {"photometric": "minisblack"}
    return {"photometric": "palette", "colormap": palette(labels).T.astype(np.uint16) * 257}
