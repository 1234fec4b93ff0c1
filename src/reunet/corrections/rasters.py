"""Label images written back in the format, sample type and colours of the file that they were in."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.errors import LabelError
from reunet.io.annotations.instances import read_instances
from reunet.io.header import ImageHeader
from reunet.io.images import image_suffix, read_header, read_palette
from reunet.io.masks import encode_mask, mask_values, read_raw_mask
from reunet.io.nifti import write_nifti
from reunet.io.raster import write_png
from reunet.storage import publish_file, publish_folder, scratch_folder

WRITABLE = (".png", ".tif", ".tiff", ".nii", ".nii.gz")
"""Formats that label images are written back in."""


def write_labels(
    path: Path, indices: np.ndarray, labels: LabelMap, page: int | None, axes: str | None
) -> None:
    """Replace a mask, or one `page` of it, by class indices (*space) uint8, in the encoding of the dataset.

    The file keeps its format, colours and, of a volume, its geometry; what was written is read back before it
    takes the place of the old one. Raises LabelError where unlabelled pixels have no value, StorageError.
    """
    values = stored_values(indices, labels, path)

    def is_same(file: Path) -> bool:
        return np.array_equal(encode_mask(read_raw_mask(file, page, axes), labels, path), indices)

    _replace(path, values, page, axes, is_same)


def write_ids(path: Path, ids: np.ndarray, page: int | None, axes: str | None) -> None:
    """Replace a file of object ids, or one `page` of it, as `write_labels` does a mask."""
    _replace(path, ids, page, axes, lambda file: np.array_equal(read_instances(file, page, axes), ids))


def write_new(
    path: Path, values: np.ndarray, image: Path, sibling: Path | None = None, *, least: type = np.uint8
) -> None:
    """Write the label image of a new `image`: PNG of the sample type `least` or a larger one, of a volume
    NIfTI with its geometry.

    values: as mask files hold them, or ids of objects. sibling: a mask whose palette it gets. StorageError.
    """
    low = np.result_type(least, np.min_scalar_type(int(values.max(initial=0))))
    if values.ndim == 3 and not _is_coloured(values):
        write_nifti(path, values.astype(low), image)
        return
    colours = None
    if sibling is not None and not _is_coloured(values):
        colours = _palette(sibling, read_header(sibling), None)
    write_png(path, values.astype(low), colours)


def stored_values(indices: np.ndarray, labels: LabelMap, path: Path) -> np.ndarray:
    """Class indices as the values of mask files: (*space) whole numbers, of colours (H, W, 3) uint8.

    Raises LabelError for unlabelled pixels where no value means that.
    """
    table = {index: value for value, index in reversed(mask_values(labels).items())}
    if IGNORE not in table and bool((indices == IGNORE).any()):
        fix = 'name a value in dataset.json, as "ignore_index": 255, or label all pixels'
        raise LabelError("the dataset has no value for unlabelled pixels", where=path, fix=fix)
    lookup = np.zeros(256, np.int64)
    lookup[list(table)] = list(table.values())
    values = lookup[indices]
    if labels.encoding != "rgb":
        return values
    return np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1).astype(np.uint8)


def write_object_masks(folder: Path, ids: np.ndarray, before: np.ndarray, files: tuple[Path, ...]) -> None:
    """Replace a folder of masks, one per object, in one step. before: the ids as `files` tell them, 1 .. n.

    The file of an object that is what it was is kept. Raises StorageError.
    """

    def fill(temporary: Path) -> None:
        for number in np.unique(ids[ids > 0]).tolist():
            mask = ids == number
            if number <= len(files) and np.array_equal(mask, before == number):
                shutil.copy2(files[number - 1], temporary / files[number - 1].name)
            else:
                write_png(temporary / f"corrected_{number:05d}.png", mask.astype(np.uint8) * np.uint8(255))

    publish_folder(folder, fill)


def _replace(
    path: Path, values: np.ndarray, page: int | None, axes: str | None, is_same: Callable[[Path], bool]
) -> None:
    header, suffix = read_header(path, axes), image_suffix(path)
    with scratch_folder(path.parent) as folder:
        new = folder / path.name
        if suffix == ".png":
            colours = None if _is_coloured(values) else _palette(path, header, axes)
            write_png(new, values.astype(_dtype(values, header)), colours)
        elif suffix in (".tif", ".tiff"):
            _write_tiff(new, path, values, header, page, axes)
        else:
            write_nifti(new, values.astype(_dtype(values, header)), path)
        if not is_same(new):  # such as a header whose scale nobody expected
            fix = "save the edited labels elsewhere, and see what `reunet check` says about this file"
            raise LabelError("the labels could not be written back as they are", where=path, fix=fix)
        publish_file(new, path)


def _write_tiff(
    new: Path, path: Path, values: np.ndarray, header: ImageHeader, page: int | None, axes: str | None
) -> None:
    import tifffile

    is_coloured = _is_coloured(values)
    if page is not None and header.pages > 1:
        others = [read_raw_mask(path, number, axes) for number in range(header.pages)]
        others[page] = values
        if is_coloured:  # a page of greys is read as one channel
            others = [np.broadcast_to(np.atleast_3d(one), values.shape) for one in others]
        values = np.stack(others)
    dtype, tags = _dtype(values, header), dict[str, Any](photometric="minisblack", metadata=None)
    if is_coloured:
        tags["photometric"] = "rgb"
    elif (table := _palette(path, header, axes)) is not None and dtype == np.uint8:
        tags |= {"photometric": "palette", "colormap": table.T.astype(np.uint16) * 257}
    lengths = dict(header.stack)
    if lengths.keys() == {"T", "Z"}:  # or the pages would not say which follows which
        values = values.reshape(lengths["T"], lengths["Z"], *values.shape[1:])
        stored = [axis for axis in header.axes if axis in lengths]
        values = values if stored == ["T", "Z"] else values.swapaxes(0, 1)
        tags["metadata"] = {"axes": "".join([*stored, "YX", "S" * is_coloured])}
    bigtiff = values.size * dtype.itemsize > 2**31
    tifffile.imwrite(new, values.astype(dtype), compression="zlib", bigtiff=bigtiff, **tags)


def _is_coloured(values: np.ndarray) -> bool:
    """Whether these are colours (H, W, 3) rather than whole numbers (*space), as `stored_values` gives
    them.
    """
    return values.ndim == 3 and values.dtype == np.uint8


def _dtype(values: np.ndarray, header: ImageHeader) -> np.dtype[Any]:
    """The sample type of the file, or the smallest that holds the values."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    needed = np.result_type(np.min_scalar_type(low), np.min_scalar_type(high))
    given = np.dtype(header.dtype)
    return given if given.kind != "b" and np.can_cast(needed, given) else needed


def _palette(path: Path, header: ImageHeader, axes: str | None) -> np.ndarray | None:
    """(256, 3) uint8 colours of the file, None where it has none."""
    table = read_palette(path, axes) if header.palette else None
    if table is None:
        return None
    full = np.zeros((256, 3), np.uint8)
    full[: min(256, len(table))] = table[:256]
    return full
