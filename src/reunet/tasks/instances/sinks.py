"""Pixels that point somewhere become objects: those that end up close together belong together."""

from collections.abc import Callable, Iterator
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from reunet.slices import Slices, all_of, grid, grown, within

Instances = NDArray[np.int32]
"""Instance map (*space): 0 background, objects 1..n."""

CHUNK = 2**22
"""Pixels looked up or counted at a time, as NumPy does both in 64 bits."""

BLOCK = {2: 1024, 3: 128}
"""Side in pixels of the blocks in which pixels are followed, by rank."""

REACH = 32.0
"""Pixels that end further than this from every centre belong to no object."""


def follow(
    displacement: Callable[[Slices], np.ndarray], foreground: np.ndarray, doublings: int
) -> np.ndarray:
    """Where each foreground pixel ends that walks 2 ** doublings steps, each of at most one pixel where
    doublings > 0: (*space) int32 flat indices, -1 elsewhere.

    displacement: of one step, (*block, rank) float32 pixels of a part of the array. Two walks of n steps are
    one of 2 n: the walk is composed with itself, linear in between pixels.
    """
    shape = foreground.shape
    ends = np.full(shape, -1, np.int32)
    for own in grid(all_of(shape), (BLOCK[len(shape)],) * len(shape)):
        if not foreground[own].any():
            continue
        wide = grown(own, 2**doublings if doublings else 0, shape)
        walk = displacement(wide)
        for _ in range(doublings):
            walk = walk + read_between(walk, walk)
        inside, walk = foreground[own], walk[within(own, wide)]
        places = []
        for axis, length in enumerate(shape):
            position = np.nonzero(inside)[axis] + own[axis].start + np.rint(walk[inside][:, axis])
            places.append(np.clip(position, 0, length - 1).astype(np.int64))
        ends[own][inside] = np.ravel_multi_index(tuple(places), shape)
    return ends


def jump(ends: np.ndarray) -> None:
    """Go on from where each pixel ended, in place: as many steps again. Outside the foreground they stay."""
    flat = ends.reshape(-1)
    before = flat.copy()
    for part in np.split(flat, range(CHUNK, flat.size, CHUNK)):
        further = before[part]
        np.copyto(part, further, where=(part >= 0) & (further >= 0))


def gather(ends: np.ndarray, radius: int, votes: float) -> Instances:
    """Objects from where pixels end, in place of `ends`.

    ends: (*space) int32 flat indices of the pixel where each ends, -1 outside of objects. Centres are the
    local maxima, within `radius` pixels, of the smoothed number of pixels that end there, at least `votes` of
    them in the 3 x 3 (x 3) around. Each pixel goes to the centre nearest to its end, or to none if REACH is
    not enough. Pieces of an object that do not touch are objects, where they have `votes` pixels. Returns
    (*space) int32, 1..n.
    """
    from scipy import ndimage
    from scipy.spatial import cKDTree

    shape, flat = ends.shape, ends.reshape(-1)
    counts = _counted(flat).reshape(shape)
    hit = np.flatnonzero(counts)
    if not len(hit):
        return np.zeros(shape, np.int32)
    enough = counts.copy()
    for axis in range(len(shape)):
        ndimage.correlate1d(enough, [1, 1, 1], axis, output=enough, mode="constant")
    peaks = enough >= max(votes, 1)
    peaks &= counts > 0
    del enough
    ndimage.gaussian_filter(counts, sqrt(radius // 2 / 2), output=counts, mode="constant")
    peaks &= counts == ndimage.maximum_filter(counts, 2 * radius + 1, mode="constant")
    del counts
    # Equal maxima within the radius are one centre.
    reach = 2 * ((radius - 1) // 2) + 1
    labels = components(ndimage.maximum_filter(peaks, reach) if reach > 1 else peaks)
    centres = np.flatnonzero(labels)
    if not len(centres):
        return np.zeros(shape, np.int32)
    numbers = np.append(labels.reshape(-1)[centres], 0)
    tree = cKDTree(np.stack(np.unravel_index(centres, shape), axis=1))
    _, nearest = tree.query(np.stack(np.unravel_index(hit, shape), axis=1), distance_upper_bound=REACH)
    table = labels.reshape(-1)
    table[...] = 0
    table[hit] = numbers[nearest]
    for part in np.split(flat, range(CHUNK, flat.size, CHUNK)):
        part[...] = np.where(part >= 0, table[part], 0)
    del labels, table, hit, nearest
    return _in_pieces(ends, round(votes))


def _in_pieces(objects: np.ndarray, least: int) -> Instances:
    """The connected parts of objects that have at least `least` pixels, 1..n in the order of the objects."""
    parts = connected_parts(objects)
    sizes = np.bincount(parts.reshape(-1))
    sizes[0] = 0
    kept = np.flatnonzero(sizes >= max(least, 1))
    if not len(kept):
        return np.zeros(objects.shape, np.int32)
    owner = np.zeros(len(sizes), objects.dtype)
    owner[parts] = objects
    numbers = np.zeros(len(sizes), np.int32)
    numbers[kept[np.argsort(owner[kept], kind="stable")]] = np.arange(1, len(kept) + 1)
    return numbers[parts]


def _counted(flat: np.ndarray) -> np.ndarray:
    """How many pixels end at each pixel, float32."""
    counts = np.zeros(flat.size, np.float32)
    for part in np.split(flat, range(CHUNK, flat.size, CHUNK)):
        ends = part[part >= 0]
        if len(ends):
            found = np.bincount(ends - ends.min())
            counts[ends.min() : ends.min() + len(found)] += found
    return counts


def read_between(field: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """`field` (*space, rank) at each pixel plus its `displacement`, linear between pixels."""
    axes = [np.arange(side, dtype=np.float32) for side in field.shape[:-1]]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    places = [axis + displacement[..., i] for i, axis in enumerate(grid)]
    if len(axes) == 2:
        return cv2.remap(field, places[1], places[0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    from scipy import ndimage

    channels = np.moveaxis(field, -1, 0)
    return np.stack([ndimage.map_coordinates(c, places, order=1, mode="nearest") for c in channels], axis=-1)


def connected_parts(objects: np.ndarray) -> NDArray[np.int32]:
    """Number the connected parts of all objects 1..n: (*space) int32; an object in several pieces becomes
    several parts. Pixels that meet at a corner (voxels: at an edge) are connected: thin diagonals hold.
    """
    from skimage.measure import label

    return np.asarray(label(objects, background=0, connectivity=2), np.int32)


def components(mask: np.ndarray) -> NDArray[np.int32]:
    """Connected components of a bool array (*space), as `connected_parts` sees them: numbers 1..n."""
    if mask.ndim == 2:
        return np.asarray(cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)[1])
    return connected_parts(mask)


def boxes(parts: np.ndarray) -> Iterator[tuple[int, Slices]]:
    """Number and bounding box of each object that is there."""
    from scipy import ndimage

    for number, box in enumerate(ndimage.find_objects(parts), 1):
        if box is not None:
            yield number, box
