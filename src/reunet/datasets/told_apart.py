"""Which files and folders are images and which their masks: by their names, their content, their sizes."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from reunet.datasets.vocabulary import Name, understand
from reunet.errors import ReunetError
from reunet.io.images import read_header, read_pixels
from reunet.io.listing import image_files, images_by_stem

_LOOKED_AT, _MOST_LOOKED_AT, _FILES = 8, 32, 64
"""Files of a folder that are opened to see what it holds; so many folders, and files of all of them."""

_SOME = 0.3
"""Share of the files that are masks where every image lies beside its mask, at least."""

_NOISE, _NEARLY_ALL = 24, 0.97
"""Grey levels by which JPEG changes a mask, and the share of its pixels that it changes by no more."""

_MOST_PIXELS, _ENOUGH = 1 << 24, 1 << 20

_FEW_VALUES, _SAME_NEIGHBOURS = 16, 0.8
"""A mask has few values, or objects of one value each: pixels but 0 are mostly like their neighbour."""

_MOST_COMPARED = 6
"""So many folders may hold images, their masks and other channels; of more, names that count are no sign."""


def names_of(stems: Collection[str]) -> dict[str, Name]:
    """What the names of files say, by the name."""
    return {stem: understand(stem) for stem in stems}


def by_rest(stems: Collection[str]) -> dict[tuple[str, ...], list[str]]:
    """The names that say the same but for words for images and masks."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for stem, name in names_of(stems).items():
        if name.rest:
            found[name.rest].append(stem)
    return found


def masks_among(stems: Collection[str]) -> frozenset[str]:
    """The names of masks in a folder that holds images and masks, told apart by words; empty in any other."""
    names = names_of(stems)
    images = {name.rest for name in names.values() if name.role != "masks"}
    masks = {stem: name for stem, name in names.items() if name.role == "masks"}
    return frozenset(masks if any(name.rest in images and name.rest for name in masks.values()) else ())


def why_no_classes(folders: Sequence[Path]) -> str | None:
    """Why folders may be images and their masks rather than classes; None where nothing says so."""
    files = {folder: images_by_stem(folder) for folder in folders}
    counts = Counter(understand(folder.name).rest for folder in folders)
    named = [one for one in folders if counts[understand(one.name).rest] > 1 and understand(one.name).role]
    if named:
        return f"{', '.join(one.name for one in named)} is called so"
    some = folders[:: -(-len(folders) // _MOST_LOOKED_AT)]
    shares = {folder: share_of_masks(folder, max(2, _FILES // len(some))) for folder in some}
    drawn = [folder for folder, share in shares.items() if share == 1]
    if drawn and len(drawn) < len(some):
        return f"what lies in {', '.join(one.name for one in drawn)} looks like masks"
    if all(1 > share >= _SOME for share in shares.values()):
        return "in each folder some files look like masks of others"
    if len({frozenset(one) for one in files.values()}) == 1:
        return "each folder holds files of the same names"
    for one, other in combinations(folders, 2) if len(folders) <= _MOST_COMPARED else ():
        if _correspond(files[one], files[other]):
            return f"{one.name} and {other.name} hold files of the same names and sizes"
    return None


def _correspond(here: Mapping[str, Path], there: Mapping[str, Path]) -> bool:
    """Whether half of the files of a folder, by their stems, have a partner of name and size in the other."""
    ours, theirs = by_rest(here), by_rest(there)
    common = sorted(ours.keys() & theirs.keys())
    if 2 * len(common) < min(len(ours), len(theirs)) or not common:
        return False
    picked = common[:: max(1, len(common) // _LOOKED_AT)]
    sizes = [(_size(here[ours[key][0]]), _size(there[theirs[key][0]])) for key in picked]
    return all(a == b for a, b in sizes)


def _size(path: Path) -> tuple[int, ...]:
    try:
        return read_header(path).size
    except ReunetError:  # what is wrong is said when the file is read
        return ()


def share_of_masks(folder: Path, most: int = _LOOKED_AT) -> float:
    """The share, 0..1, of the images below a folder that look like masks, of some that are not constant.

    most: so many are opened.
    """
    files = image_files(folder)
    some = np.random.default_rng(0).permutation(len(files))[: min(most, _LOOKED_AT)]
    known = [one for one in (_looks_like_mask(files[i]) for i in some) if one is not None]
    return sum(known) / max(len(known), 1)


def _looks_like_mask(path: Path) -> bool | None:
    try:
        header = read_header(path)
        if np.prod(header.size) > _MOST_PIXELS:
            return None
        pixels = read_pixels(path, page=0, axes=None, numbers=True)[1]
    except ReunetError:  # as above
        return None
    pixels = pixels[:: -(-pixels[..., 0].size // _ENOUGH), ..., :4]
    low, high = pixels.min(), pixels.max()
    if low == high:
        return None
    if header.lossy and np.ptp(pixels, axis=-1).max() < _NOISE:
        return bool(np.mean((pixels - low < _NOISE) | (high - pixels < _NOISE)) > _NEARLY_ALL)
    if pixels.dtype.kind in "ui":
        pixels = pixels.astype(np.int64) @ (65536 ** np.arange(pixels.shape[-1]))  # a colour is one value
    inside = pixels[:, 1:] != 0
    same = float(np.mean((pixels[:, 1:] == pixels[:, :-1])[inside])) if inside.any() else 1.0
    return same > _SAME_NEIGHBOURS or len(np.unique(pixels)) <= _FEW_VALUES
