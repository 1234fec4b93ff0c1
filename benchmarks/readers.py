"""A referee of readers: every file of a folder, read by reunet and by the readers of its format.

A difference of pixels counts as explained only by a sentence that stands in docs/data.md. Prints a JSON line
per file that somebody reads otherwise, or that only others read, and at the end the counts.

    python benchmarks/readers.py FOLDER      such as the test files of Pillow or nibabel, or your own
    python benchmarks/readers.py --matrix    what tifffile, Pillow, nibabel and zarr can write
"""

from __future__ import annotations

import argparse
import io
import json
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import readers_matrix
import records
from PIL import Image, ImageCms, ImageOps

from reunet.errors import ReunetError
from reunet.io.images import image_suffix, read_header, read_image, read_pixels
from reunet.io.lazy import is_array, open_lazily

PAGE = " ".join((records.HERE.parent / "docs" / "data.md").read_text("utf-8").split())
MOST_PAGES = 20
Arrays = list[np.ndarray]


def ours(path: Path) -> dict[str, np.ndarray]:
    """The image and the numbers of a file, (pages, *space, C)."""
    if is_array(path):
        for rank in (3, 2):
            try:
                with open_lazily(path, rank=rank) as lazy:
                    return {"image": lazy.read(tuple(slice(0, n) for n in lazy.header.size))[None]}
            except ReunetError:
                if rank == 2:
                    raise
    header = read_header(path)
    pages = range(header.pages) if header.pages > 1 else [None]
    found = {"image": np.stack([read_image(path, page=page) for page in pages])}
    some = [read_pixels(path, page=page, axes=None, numbers=True)[1] for page in pages]
    return found | {"numbers": np.stack(some)}


def by_pillow(path: Path) -> Arrays:
    """As stored, upright, and with colours. From memory: of a file that it maps, uncompressed TIFF, Pillow 13
    mixes the pixels up when it turns them by 90 degrees.
    """
    with Image.open(io.BytesIO(path.read_bytes())) as opened:
        frames = []
        for number in range(min(getattr(opened, "n_frames", 1), MOST_PAGES)):
            if number:
                opened.seek(number)
            frames.append(ImageOps.exif_transpose(opened).copy())
    converted = [frames]
    if frames[0].mode in ("P", "PA", "CMYK", "YCbCr", "RGBX", "RGBa", "La"):
        converted = [[frame.convert("RGB") for frame in frames], frames]
    if frames[0].mode == "LAB":
        converted.append([_from_lab(frame) for frame in frames])
    return [np.stack([np.asarray(frame) for frame in some]) for some in converted]


def _from_lab(image: Image.Image) -> Image.Image:
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, *profiles, outputMode="RGB") or image


def by_tifffile(path: Path) -> Arrays:
    """The first series, its samples and channels last."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        pixels, axes = series.asarray(), series.axes
    for channel in "CS":
        if channel in axes:
            pixels = np.moveaxis(pixels, axes.index(channel), -1)
            axes = axes.replace(channel, "")
    return [pixels]


def by_imageio(path: Path) -> Arrays:
    """As its own choice of plugin reads it."""
    import imageio.v3

    pixels = np.asarray(imageio.v3.imread(path))
    return [pixels, np.moveaxis(pixels, 0, -1)] if pixels.ndim == 3 else [pixels]


def by_nibabel(path: Path) -> Arrays:
    """From the feet to the head, from front to back and from right to left."""
    import nibabel

    image = nibabel.as_closest_canonical(nibabel.load(path))
    values = np.asarray(image.get_fdata(dtype=np.float64))
    values = values if values.ndim > 3 else values[..., None]
    return [values.swapaxes(0, 2)[:, ::-1, ::-1]]


def by_zarr(path: Path) -> Arrays:
    """The array, or the first one of a group."""
    import zarr

    found = zarr.open(str(path), mode="r")
    array = found if isinstance(found, zarr.Array) else found["0"]
    return [np.asarray(array[:])]


READERS: dict[str, Callable[[Path], Arrays]] = {
    "Pillow": by_pillow,
    "tifffile": by_tifffile,
    "imageio": by_imageio,
    "nibabel": by_nibabel,
    "zarr": by_zarr,
}


def readers_of(path: Path) -> Iterable[str]:
    """Who reads a format, as its suffix names it."""
    kind = image_suffix(path)
    if kind in (".nii", ".nii.gz"):
        return ("nibabel",)
    if path.suffix == ".zarr":
        return ("zarr",)
    return ("tifffile", "Pillow", "imageio") if kind in (".tif", ".tiff") else ("Pillow", "imageio")


Change = Callable[[np.ndarray], Iterator[np.ndarray]]


def _turned(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """In each of the seven ways."""
    for first in range(max(0, pixels.ndim - 3), pixels.ndim - 1):
        for exchange, rows, columns in list(product((False, True), repeat=3))[1:]:
            turned = pixels.swapaxes(first, first + 1) if exchange else pixels
            turned = np.flip(turned, first) if rows else turned
            yield np.flip(turned, first + 1) if columns else turned


def _opaque(pixels: np.ndarray) -> Iterator[np.ndarray]:
    most = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1
    if pixels.ndim > 2 and pixels.shape[-1] in (2, 4) and bool((pixels[..., -1] == most).all()):
        yield pixels[..., :-1]


def _grey(pixels: np.ndarray) -> Iterator[np.ndarray]:
    if pixels.ndim > 2 and pixels.shape[-1] == 3 and bool((pixels == pixels[..., :1]).all()):
        yield pixels[..., :1]


def _scaled(pixels: np.ndarray) -> Iterator[np.ndarray]:
    whole = pixels.astype(np.float64)
    for factor in (17, 85, 2, 4, 8, 16, 32, 64, 128):
        if bool((whole % factor == 0).all()):
            yield whole / factor


def _wide(pixels: np.ndarray) -> Iterator[np.ndarray]:
    yield pixels * 1.0 * (255 if pixels.dtype == bool else 1)
    if pixels.dtype == np.float64:
        yield pixels.astype(np.float32)


def _inverted(pixels: np.ndarray) -> Iterator[np.ndarray]:
    if pixels.dtype.kind in "bu":
        yield ~pixels


def _signed(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Of whoever takes signed integers for unsigned ones, or the other way round."""
    if pixels.dtype.kind in "ui":
        yield pixels.view(pixels.dtype.str.translate(str.maketrans("ui", "iu")))


def _exchanged(pixels: np.ndarray) -> Iterator[np.ndarray]:
    if pixels.dtype.itemsize > 1:
        yield pixels.byteswap()
        yield pixels.byteswap().view(pixels.dtype.str.replace("i", "u"))
    if pixels.dtype == np.int32:
        yield pixels.astype(np.int16).byteswap()


def _coloured(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """YCbCr, CIELab and CMYK of whoever gives them as stored."""
    modes = {3: ("YCbCr", "LAB"), 4: ("CMYK",)}.get(pixels.shape[-1], ())
    if pixels.dtype != np.uint8 or np.squeeze(pixels).ndim != 3:
        return
    stored = np.ascontiguousarray(np.squeeze(pixels))
    for mode in modes:
        image = Image.frombytes(mode, stored.shape[1::-1], stored.tobytes(), "raw", mode)
        yield np.asarray(_from_lab(image) if mode == "LAB" else image.convert("RGB"))


def _shifted(pixels: np.ndarray) -> Iterator[np.ndarray]:
    if pixels.dtype == np.uint8 and pixels.shape[-1] == 3 and np.squeeze(pixels).ndim == 3:
        yield from _coloured(pixels ^ np.array([0, 128, 128], np.uint8))
        yield from _coloured(pixels ^ np.array([0, 0, 128], np.uint8))
        yield from _coloured(pixels ^ np.array([0, 128, 0], np.uint8))


CHANGES: dict[str, Change] = {
    "reunet converts YCbCr as JPEG does it": _coloured,
    "Only what the file calls alpha is": _opaque,
    "An image gets the colours of its palette, a mask keeps the indices": _grey,
    "reunet inverts an image, so that bright is high": _inverted,
    "Bilevel becomes 0 and 255": _wide,
    "reunet uses values as stored": _signed,
    "Pillow 13 exchanges the bytes of compressed big-endian TIFF once too often": _exchanged,
    "Pillow 13 shifts CIELab in separate planes": _shifted,
    "nor 2 to 7 or 9 to 15 bits of a TIFF or a JPEG 2000 to 8 or 16": _scaled,
    "reunet turns an image as its orientation tag says": _turned,
}
"""What another reader leaves out or does, by the sentence that says what reunet does."""

REFUSED = {
    "animated": "TIFF with images of different sizes; animations",
    "several images": "TIFF with images of different sizes; animations",
    "alpha": "an alpha channel that is not opaque everywhere",
    "24 bits per integer": "integers of 24 bits, whose bytes programs order differently",
    "complex|COMPLEX": "complex numbers",
    "truncated|damaged|cannot be (read|decoded)|too small|is empty|no pixels": "damaged, truncated",
    "beyond|again": "damaged, truncated",
    "contradict|not what the header": "files that contradict themselves",
    "are not read|unsupported pixel format|is not read": "other colour spaces",
    "too large": "more than 400 million pixels per page or volume",
    "stack of|axes": "a TIFF stack with named axes",
    "not an image file": "told by content, not by name",
    "more than three|dimensions|fourth": "A fourth axis, or a file per channel (below), are channels",
}
"""Why a file is not read, by what the error says."""


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether values agree, whatever their types and axes of length 1."""
    a, b = np.squeeze(one), np.squeeze(other)
    return a.shape == b.shape and bool(np.array_equal(a * 1.0, b * 1.0, equal_nan=a.dtype.kind in "fc"))


def explained(views: dict[str, np.ndarray], theirs: Arrays, *, lossy: bool) -> list[str] | None:
    """The sentences by which another result becomes one of ours; none where they are equal, None without."""
    variants: list[tuple[np.ndarray, list[str]]] = [(pixels, []) for pixels in theirs]
    most = max(12, 10**8 // max(1, theirs[0].size))
    if (found := _close(views, variants, lossy=lossy)) is not None:
        return found
    for sentence, change in [("", None), *CHANGES.items()]:
        if change is not None:
            more = [(new, [*why, sentence]) for pixels, why in variants for new in change(pixels)]
            variants = [*variants, *more]
            variants = variants[: min(400, most)]
        for pixels, why in variants:
            if any(same(pixels, view) for view in views.values()):
                return why
    for pixels, why in variants:
        deep = [view >> 8 for view in views.values() if view.dtype == np.uint16]
        if pixels.dtype == np.uint8 and any(same(pixels, view) for view in deep):
            return [*why, "It does not scale 16-bit images to 8"]
        named = [view[..., :-1] for view in views.values() if view.shape[-1] in (2, 4)]
        if any(same(pixels, view) for view in named):
            return [*why, "so is a second or fourth sample without a name, which Pillow leaves out"]
    return _close(views, variants, lossy=lossy)


def _close(
    views: dict[str, np.ndarray], variants: list[tuple[np.ndarray, list[str]]], *, lossy: bool
) -> list[str] | None:
    """The sentences of what differs by rounding only."""
    for pixels, why in variants:
        for view in views.values():
            if same(pixels, view):
                return why
            a, b = np.squeeze(pixels), np.squeeze(view)
            if a.shape == b.shape and a.dtype == b.dtype == np.uint8 and (lossy or a.shape[-1:] == (3,)):
                apart = np.abs(a.astype(np.int16) - b)
                if apart.max(initial=0) <= 1 or (lossy and apart.mean() < 4):
                    return [*why, "Lossy files and converted colours differ by a few grey levels"]
    return None


def _is_planar_16(path: Path) -> bool:
    import tifffile

    if image_suffix(path) not in (".tif", ".tiff"):
        return False
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        return bool(page.planarconfig == 2 and page.bitspersample == 16 and page.compression == 1)


def judge(path: Path) -> dict[str, Any]:
    """What became of a file: `ours`, and per reader `equal`, sentences that explain it, or `unexplained`."""
    told: dict[str, Any] = {"file": path.name}
    views: dict[str, np.ndarray] = {}
    lossy = False
    try:
        views = ours(path)
        lossy = not is_array(path) and read_header(path).lossy
        told["ours"] = "read"
    except ReunetError as error:
        text = " ".join(str(error).split())
        told["ours"], told["error"] = "refused", text[:300]
        reason = next((why for said, why in REFUSED.items() if re.search(said, text)), None)
        told["why"] = reason or "unexplained"
    for name in readers_of(path):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = READERS[name](path)
        except Exception as error:  # readers raise every kind of error
            told[name] = f"failed: {type(error).__name__}"
            continue
        if not views:
            told[name] = "read"
            continue
        why = explained(views, theirs, lossy=lossy)
        if why is None and name == "Pillow" and _is_planar_16(path):
            why = ["Pillow 13 takes 16 bits in separate planes for 8"]
        told[name] = "unexplained" if why is None else why or "equal"
        if why is None:
            told[f"{name} found"] = [f"{one.shape} {one.dtype}" for one in theirs]
            told["found"] = [f"{one.shape} {one.dtype}" for one in views.values()]
    return told


def count(lines: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Counts over files, and those that nobody explains as JSON lines on the screen."""
    totals: Counter[str] = Counter()
    why: Counter[str] = Counter()
    for line in lines:
        totals["files"] += 1
        read_by_others = any(line.get(name) == "read" for name in READERS)
        if line["ours"] == "refused":
            totals["refused, and by every reader"] += not read_by_others
            totals["refused, read by another"] += read_by_others
            if read_by_others:
                why[line["why"]] += 1
        outcomes = [line[name] for name in READERS if name in line]
        totals["comparisons equal"] += outcomes.count("equal")
        for outcome in outcomes:
            if isinstance(outcome, list):
                totals["comparisons explained"] += 1
                why.update(outcome)
        bad = outcomes.count("unexplained") + (read_by_others and line.get("why") == "unexplained")
        totals["unexplained"] += bad
        if bad or read_by_others:
            print(json.dumps(line), flush=True)
    for sentence in why:
        if sentence != "unexplained" and sentence not in PAGE:
            raise SystemExit(f"docs/data.md does not say: {sentence}")
    return {**totals, "why": dict(why.most_common())}


def files_of(folder: Path) -> Iterator[Path]:
    """Whatever is named like something that is read."""
    for path in sorted(folder.rglob("*")):
        if image_suffix(path) or (is_array(path) and not is_array(path.parent)):
            yield path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--matrix", action="store_true")
    parser.add_argument("--name", help="what the folder holds, for the result line")
    parser.add_argument("--every", type=int, default=1, help="of the matrix only every n-th file")
    given = parser.parse_args()
    if given.matrix:
        with tempfile.TemporaryDirectory() as place:
            files = readers_matrix.written(Path(place), given.every)
            found = count(judge(path) | {"written": what} for what, path in files)
    else:
        found = count(map(judge, files_of(given.folder)))
    print(json.dumps(found, indent=1))
    matrix = "matrix" if given.every == 1 else f"matrix, one file in {given.every}"
    if name := matrix if given.matrix else given.name:
        records.append("readers", {"files": name}, found)


if __name__ == "__main__":
    main()
