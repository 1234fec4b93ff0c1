"""Images that a file stores plane by plane, as microscopes write them: axes, channels, names."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from reunet.errors import ImageReadError
from reunet.io.formats.stored import StoredImage
from reunet.io.header import ImageHeader, page_places
from reunet.io.samples import MAX_CHANNELS
from reunet.slices import Slices

Place = dict[str, int]
"""Of a plane, along each axis of the file but those of the plane itself."""

ReadPlanes = Callable[[Sequence[Place], Slices], Sequence[np.ndarray]]
"""From planes and a part of each, (rows, columns), to (h, w) or (h, w, samples) of each."""


def of_planes(
    path: Path,
    sizes: Mapping[str, int],
    dtype: np.dtype,
    read: ReadPlanes,
    *,
    spacing: tuple[float, float] | None = None,
    channel_names: Sequence[str] = (),
    piece: tuple[int, int] | None = None,
) -> StoredImage:
    """An image from its planes.

    sizes: of the file's axes in its order: Y and X, S for the samples of a colour, C, and what counts pages.
    spacing: of a pixel, micrometres; taken for unknown unless both are above 0. channel_names: of C, where
    there is one for each. piece: rows and columns that are decoded at once; the whole plane if None.
    """
    samples, count = sizes.get("S", 1), sizes.get("C", 1)
    axes = "".join(sizes)
    pages = {axes[place]: sizes[axes[place]] for place in page_places(axes)}
    if min(sizes.values()) < 1 or samples * count > MAX_CHANNELS:
        expected = f"at least a pixel, at most {MAX_CHANNELS} channels"
        raise ImageReadError("the file is no image", where=path, expected=expected, received=dict(sizes))
    names = tuple(name.strip() for name in channel_names)
    size = sizes["Y"], sizes["X"]
    header = ImageHeader(
        size=size,
        channels=count * samples,
        dtype=str(dtype.newbyteorder("=")),
        pages=prod(pages.values()),
        axes=axes.replace("S", "" if "C" in sizes else "C"),
        stack=tuple(pages.items()),
        spacing=spacing if spacing and min(spacing) > 0 else None,
        channel_names=names if samples == 1 and len(names) == count and all(names) else (),
    )

    def part_of(page: int, part: Slices) -> np.ndarray:
        at = dict(zip(pages, map(int, np.unravel_index(page, tuple(pages.values()))), strict=True))
        places = [at | {"C": channel} for channel in range(count)]
        planes = [one if one.ndim == 3 else one[..., None] for one in read(places, part)]
        return np.concatenate(planes, axis=-1).astype(header.dtype, copy=False)

    return StoredImage(header, piece or size, part_of)


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names that files may have, each once: other characters become "_", a repeated name gets a number."""
    found: list[str] = []
    for number, name in enumerate(names):
        usable = re.sub(r"[^\w\-+() ]+", "_", name).strip(" _") or f"image{number}"
        taken = {one.casefold() for one in found}
        if usable.casefold() in taken:
            usable = f"{usable}_{number}"
        found.append(usable)
    return tuple(found)
