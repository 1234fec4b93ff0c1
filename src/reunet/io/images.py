"""Images and volumes from files: the header first, then pixels as (*space, C) in their native sample type."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from reunet.errors import ImageReadError
from reunet.io.channels import chosen_channels
from reunet.io.formats import table
from reunet.io.formats.stored import StoredImage
from reunet.io.formats.table import HEAD, stored_image
from reunet.io.header import (
    Check,
    Doubt,
    ImageHeader,
    apart,
    check_result,
    check_samples,
    check_size,
    explained,
)
from reunet.io.nifti import nifti_header, read_nifti
from reunet.io.nifti_volume import is_nifti
from reunet.io.raster import is_raster, raster_image, read_raster
from reunet.io.tiff import is_tiff, read_tiff, tiff_image
from reunet.io.video import is_video, video_frames, video_header
from reunet.slices import all_of

VOLUME_SUFFIXES = frozenset({".nii", ".nii.gz"})
_PICTURES = ".png .jpg .jpeg .jfif .bmp .gif .webp .jp2 .j2k .jxl .avif .tif .tiff"
SLIDE_SUFFIXES = frozenset({".svs", ".ndpi", ".scn", ".bif", ".qptiff"})
"""Of whole slides, which are TIFF files."""

IMAGE_SUFFIXES = frozenset(_PICTURES.split()) | VOLUME_SUFFIXES | SLIDE_SUFFIXES | table.SUFFIXES
"""Suffixes of files that are taken for images when a folder is searched (compared in lower case)."""


def image_suffix(path: Path) -> str:
    """The suffix in lower case, such as ".png" or ".nii.gz", of what is named like an image, else ""."""
    name = path.name.lower()
    endings = [suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix) and name != suffix]
    return max(endings, key=len, default="")


def composed(name: str) -> str:
    """Composed Unicode, since macOS stores names decomposed."""
    return unicodedata.normalize("NFC", name)


def without_suffix(path: Path) -> Path:
    """The path of an image without the suffix of its file: "a/Series1" of a.lif/Series1, too. A path without
    a name, such as ".", stays as it is.
    """
    if not path.name:
        return path
    bare = path.with_name(path.name[: len(path.name) - len(image_suffix(path))])
    return Path(*(table.without_suffix(part) for part in bare.parent.parts), bare.name)


def read_header(path: Path, axes: str | None = None) -> ImageHeader:
    """Size, channels, sample type and pages of an image file, without decoding it.

    axes: names the axes of a TIFF stack that does not name them itself, such as "ZYX".
    Raises ImageReadError for a file that is missing, damaged or no image, TooLargeError above MAX_PIXELS.
    """
    with _opened(path, axes) as image:
        return image.header


def read_image(path: Path, *, page: int | None = None, axes: str | None = None) -> np.ndarray:
    """One image as (H, W, C), dtype uint8, uint16 or float32, values as stored: C = 1 for grey, 3 for colours
    (red, green, blue), any number for channels of a TIFF.

    A NIfTI file is one volume, (D, H, W, C) with any number of channels, axes as in `reunet.io.nifti`.
    page: which page of a stack, from 0; required when the file has more than one.
    axes: as for `read_header`.
    Bilevel pixels become 0 and 255, palette colours are applied, other colours become RGB, white is high, an
    opaque alpha channel is dropped, an image is turned as its orientation tag says. Other sample types become
    the narrowest of the three that holds them exactly, else float32. Raises ImageReadError, TooLargeError.
    """
    return _read_image(path, page, axes)[1]


def _read_image(
    path: Path, page: int | None, axes: str | None, check: Check | None = None
) -> tuple[ImageHeader, np.ndarray]:
    header, pixels = read_pixels(path, page=page, axes=axes, numbers=False, check=check)
    if header.white_is_zero and header.dtype != "uint8":
        what = f"the file says that its 0 is white, and {header.dtype} has no white to exchange it for"
        doubt = Doubt(what, "the values as they are stored", "inverted values", grave=False)
        header = replace(header, doubts=(*header.doubts, doubt))
    return header, _to_supported_dtype(pixels, path)


def read_channel_files(
    paths: Sequence[Path],
    *,
    page: int | None = None,
    axes: str | None = None,
    channels: Sequence[str] = (),
    check: Check | None = None,
) -> tuple[ImageHeader, np.ndarray]:
    """The header of all files, and one image whose channels lie in several files, one after the other.

    channels: those to read, see `chosen_channels`. check: gets path and header of each file before it is
    decoded. Each file is opened once. Raises as `read_image` does.
    """
    headers, images = zip(*(_read_image(path, page, axes, check) for path in paths), strict=True)
    for path, image in zip(paths, images, strict=True):
        if image.shape[:-1] != images[0].shape[:-1]:
            raise ImageReadError(
                "the channels of one image have different sizes",
                where=path,
                expected=f"{' x '.join(map(str, images[0].shape[:-1]))} as in {paths[0].name}",
                received=" x ".join(map(str, image.shape[:-1])),
            )
    image = images[0] if len(images) == 1 else np.concatenate(images, axis=-1)
    header = _together(headers)
    if channels:
        header, places = chosen_channels(header, channels, paths[0])
        image = np.ascontiguousarray(image[..., places])
    return header, image


def read_channel_headers(
    paths: Sequence[Path], axes: str | None = None, channels: Sequence[str] = ()
) -> ImageHeader:
    """The header that `read_channel_files` gives. Raises as `read_header` does."""
    header = _together([read_header(path, axes) for path in paths])
    return chosen_channels(header, channels, paths[0])[0] if channels else header


def _together(headers: Sequence[ImageHeader]) -> ImageHeader:
    """The first header, with all channels and doubts, and whether the files disagree about size or place."""
    first, doubts = headers[0], dict.fromkeys(doubt for header in headers for doubt in header.doubts)
    for header in headers[1:]:
        if (found := apart(first, header)) is not None:
            kind, used, other = found
            what = "the files of its channels state different " + ("sizes" if kind == "spacing" else "places")
            doubts[Doubt(what, used, other, grave=True)] = None
    if len(headers) == 1:
        return first
    names = tuple(name for header in headers for name in header.channel_names)
    count = sum(header.channels for header in headers)
    return replace(
        first, doubts=tuple(doubts), channels=count, channel_names=names if len(names) == count else ()
    )


def read_pages(
    path: Path, count: int, axes: str | None = None, channels: Sequence[str] = ()
) -> Iterator[np.ndarray]:
    """The `count` pages of a stack or frames of a video, one after the other, each as `read_image` gives it,
    or as `read_channel_files` does.

    Raises ImageReadError, also for a video that ends early.
    """
    if not is_video(path):
        read_page = partial(read_channel_files, (path,), axes=axes, channels=channels)
        yield from (read_page(page=page)[1] for page in range(count))
        return
    read = 0
    for frame in islice(video_frames(path, path), count):
        read += 1
        yield frame
    if read < count:
        raise ImageReadError(
            "the video ends early",
            where=path,
            expected=f"{count} frames",
            received=read,
            fix="it may be truncated or damaged: copy or export it again",
        )


def volume_spacing(path: Path) -> tuple[float, ...] | None:
    """`ImageHeader.voxel` of a file."""
    return read_header(path).voxel


def read_known(path: Path, page: int | None = None, axes: str | None = None) -> np.ndarray | None:
    """Where something is known of an image, (H, W) bool; None for everywhere. Raises ImageReadError."""
    with explained(path), open(path, "rb") as file:
        image = tiff_image(path, file, axes)
        known = image.known(file, page or 0, all_of(image.header.size))
        return None if known.all() else known


def read_palette(path: Path, axes: str | None = None) -> np.ndarray | None:
    """Colour table of a file, (entries, 3) uint8 RGB, None where it has none. Raises ImageReadError."""
    with _opened(path, axes) as image:
        return image.table


def read_pixels(
    path: Path, *, page: int | None, axes: str | None, numbers: bool, check: Check | None = None
) -> tuple[ImageHeader, np.ndarray]:
    """The header, and pixels in the file's sample type, (H, W, C), of a volume (D, H, W, C).

    numbers: values are no brightness but classes or ids, see `Samples.meant`; of a volume in 64 bits where
    they are stored with a scale. check: gets path and header before anything is decoded. The file is opened
    once, unless it is a video.
    """
    with _opened(path, axes) as image:
        _check_page(path, image.header, page)
        if check is not None:
            check(path, image.header)
        check_samples(path, image.header)
        pixels = image.read(page or 0, numbers)
        check_result(path, image.header, pixels, numbers=numbers)
        return image.header, pixels


@dataclass(frozen=True)
class _Opened:
    """A file that is open. read: page and `numbers` to pixels, as of `read_pixels`. table: its colours."""

    header: ImageHeader
    read: Callable[[int, bool], np.ndarray]
    table: np.ndarray | None = None


@contextmanager
def _opened(path: Path, axes: str | None) -> Iterator[_Opened]:
    """An image file of any format, nothing of which is decoded yet. Raises as `read_header` does."""
    with explained(path):
        if is_video(path):
            yield _Opened(
                video_header(path), lambda page, _: next(islice(video_frames(path, path), page, None))
            )
        elif not path.is_file() and (stored := stored_image(path)) is not None:
            yield _of_stored(path, stored, axes)
        else:
            with open(path, "rb") as file:
                yield _of_file(path, file, axes)


def _of_stored(path: Path, image: StoredImage, axes: str | None) -> _Opened:
    size, own = image.header.size, image.header.axes
    check_size(path, *size)
    if axes is not None and image.header.pages > 1 and not set(own) & {"T", "Z"} <= set(axes.upper()):
        fix = "leave --axes out for this file, or give a folder of TIFF stacks of its own to reunet"
        raise ImageReadError(
            "--axes does not fit the file",
            where=path,
            expected=f"{own}, as the file says",
            received=axes,
            fix=fix,
        )
    return _Opened(image.header, lambda page, _: image.read(page, all_of(size)))


def _of_file(path: Path, file: BinaryIO, axes: str | None) -> _Opened:
    """Of an open file, told by how it begins."""
    start = file.read(HEAD)
    file.seek(0)
    if (stored := stored_image(path, start)) is not None:
        return _of_stored(path, stored, axes)
    if is_nifti(start):
        header = nifti_header(path, file)
        return _Opened(
            header, lambda _, numbers: read_nifti(path, file, np.float64 if numbers else np.float32)
        )
    if is_tiff(start):
        tiff = tiff_image(path, file, axes)
        check_size(path, *tiff.header.size)
        read = partial(read_tiff, path, file, tiff)
        return _Opened(tiff.header, lambda page, numbers: read(page, numbers=numbers), tiff.samples.table)
    if is_raster(start):
        raster = raster_image(path, file)
        return _Opened(
            raster.header, lambda _, numbers: read_raster(path, raster, numbers=numbers), raster.samples.table
        )
    raise ImageReadError(
        "not an image file" if start else "the file is empty",
        where=path,
        expected="a file of PNG, JPEG, TIFF, BMP, GIF, WebP, AVIF, JPEG 2000, JPEG XL, NIfTI, "
        + ", ".join(one.name for one in table.FORMATS),
        fix="remove it from the folder, or export the image again",
    )


def _check_page(path: Path, header: ImageHeader, page: int | None) -> None:
    if page is None and header.pages > 1:
        raise ImageReadError(
            f"the file is a stack of {header.pages} pages",
            where=path,
            expected="one image",
            received=f"axes {header.axes}",
            fix="say what the pages are with --axes, such as ZYX (depth), TYX (time) or CYX (channels)",
        )
    if not 0 <= (page or 0) < header.pages:
        raise ImageReadError(
            "the file has no such page",
            where=path,
            expected=f"page 1 to {header.pages}",
            received=f"page {(page or 0) + 1}",
        )


def _to_supported_dtype(image: np.ndarray, path: Path) -> np.ndarray:
    if image.dtype in (np.uint8, np.uint16, np.float32):
        return np.ascontiguousarray(image)
    if image.dtype.kind in "iu":
        low, high = int(image.min()), int(image.max())
        for dtype in (np.uint8, np.uint16):
            if low >= 0 and high <= np.iinfo(dtype).max:
                return image.astype(dtype)
    elif image.dtype.kind != "f":
        raise ImageReadError("unsupported sample type", where=path, received=image.dtype)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which `check` reports
        return image.astype(np.float32)
