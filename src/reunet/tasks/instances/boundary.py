"""Objects as inside, boundary and distance to the edge; read by a watershed from seeds.

Classes as in Caicedo et al. 2019 (Cytometry A 95:952); the distance, relative to its maximum in the object,
as in Bai and Urtasun 2017 (arXiv 1611.08303). An object in several pieces becomes several objects.
"""

from __future__ import annotations

import cv2
import numpy as np

from reunet.contracts.network import HeadSpec
from reunet.metrics.distance import distance_to_outside
from reunet.tasks.instances.parts import CHUNK, Box, blocks, boxes, components, connected_parts, dense
from reunet.tasks.instances.representation import Instances, Maps, Thresholds, hide_unknown

BACKGROUND, INSIDE, BOUNDARY = 0, 1, 2

BLOCK = {2: 1024, 3: 96}
"""Side in pixels of the blocks in which objects grow, by rank."""

HALO = {2: 96, 3: 24}
"""How far from its seed an object can grow in one block."""

GRID = {
    "foreground": (0.5, 0.4, 0.6),
    "inside": (0.5, 0.7),
    "distance": (0.0, 0.2, 0.35, 0.5),
    "seed": (1, 8),
}

LOSSES = {"instances": "segmentation", "distance": "l1"}


def heads(rank: int) -> tuple[HeadSpec, ...]:
    """Background, inside and boundary; the distance to the edge over its maximum in the object."""
    return (
        HeadSpec(name="instances", channels=3),
        HeadSpec(name="distance", channels=1, activation="linear"),
    )


def targets(objects: np.ndarray, known: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """instances: (*space) uint8 BACKGROUND, INSIDE, BOUNDARY or IGNORE. distance: (*space, 1) float32, 0..1.

    Boundary pixels have something else beside them. Where that leaves an object without an inside, or with
    one in several pieces, only the pixels that touch another object are its boundary; and where that is no
    better, it has none. The edge of the patch is no edge of objects.
    """
    parts = connected_parts(objects)
    edge, touching = _edges(parts)
    inside = (parts > 0) & ~edge
    for boundary in (touching, np.zeros_like(touching)):
        broken = _broken(parts, inside)
        if not broken.any():
            break
        inside |= broken[parts] & ~boundary
    classes = np.where(inside, INSIDE, np.where(parts > 0, BOUNDARY, BACKGROUND)).astype(np.uint8)
    return hide_unknown({"instances": classes, "distance": relative_distance(parts)[..., None]}, known)


def _broken(parts: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Which parts 0..n have no inside or one in several pieces: (n + 1,) bool, False for the background."""
    pieces = connected_parts(np.where(inside, parts, 0))
    owner = np.zeros(int(pieces.max()) + 1, np.int32)
    owner[pieces[inside]] = parts[inside]
    broken = np.bincount(owner[1:], minlength=int(parts.max()) + 1) != 1
    broken[0] = False
    return broken


def relative_distance(parts: np.ndarray) -> np.ndarray:
    """Distance to the edge of the own part over its maximum there, both less the half pixel between the
    middle of an edge pixel and the edge; (*space) float32 in 0..1, 0 outside.
    """
    result = np.zeros(parts.shape, np.float32)
    for number, box in boxes(parts, margin=1):
        own = parts[box] == number
        if own.all():  # fills the patch: no edge to be seen
            result[box] = 1
            continue
        distance = distance_to_outside(own)
        distance -= 0.5
        np.divide(distance, distance.max(), out=result[box], where=own)
    return result


def decode(maps: Maps, thresholds: Thresholds) -> Instances:
    """Objects grown from seeds over the foreground: inside along falling distance, then over the boundary.

    maps: `instances` (*space, 3) probabilities, `distance` (*space, 1). thresholds: `foreground` of the
    probability not to be background; `inside` of that class and `distance` for seeds, which have `seed`
    pixels or more.
    Returns (*space) int32, 1..n. Memory: about 11 bytes per pixel.
    """
    probability, distance = maps["instances"], maps["distance"][..., 0]
    seeds = probability[..., INSIDE] >= np.float32(thresholds["inside"])
    seeds &= distance >= np.float32(thresholds["distance"])
    foreground = probability[..., BACKGROUND] <= np.float32(1 - thresholds["foreground"])
    seeds &= foreground
    labels, count = components(seeds)
    del seeds
    _drop_small(labels, count, round(thresholds["seed"]))
    result = labels.copy()
    for own, wide, part in blocks(labels.shape, BLOCK[labels.ndim], HALO[labels.ndim]):
        if not foreground[own].any():
            continue
        # On the boundary alone all pixels count the same: taken by distance, the thinner of two touching
        # objects, whose relative distance falls more steeply, would take the other's edge.
        landscape = probability[wide][..., BOUNDARY] - probability[wide][..., INSIDE] * distance[wide]
        _grow(labels[wide], foreground[wide], landscape, (result[own], part))
    return dense(result, count)


def _grow(
    seeds: np.ndarray, foreground: np.ndarray, landscape: np.ndarray, into: tuple[np.ndarray, Box]
) -> None:
    """Give the foreground to the seeds by a watershed of the landscape, and write the block's own part."""
    from skimage.segmentation import watershed

    result, part = into
    open_pixels = foreground & (seeds == 0)
    if not open_pixels[part].any() or not seeds.any():
        return
    # Only the rims of the seeds have something to grow into: the queue of the watershed stays short.
    near = _extreme(open_pixels.view(np.uint8), 1, highest=True).view(bool) & foreground
    grown = watershed(landscape, np.where(near, seeds, 0), connectivity=1, mask=near)
    np.copyto(result, grown[part], where=open_pixels[part])


def _drop_small(labels: np.ndarray, count: int, least: int) -> None:
    """Remove in place the seeds of fewer than `least` pixels."""
    if least > 1:
        chunks = np.split(labels.reshape(-1), range(CHUNK, labels.size, CHUNK))
        sizes = np.sum([np.bincount(part, minlength=count + 1) for part in chunks], axis=0)
        for part in chunks:
            part *= (sizes >= least)[part]


def _edges(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Object pixels beside something else, and those beside another object; (*space) bool each."""
    values = parts.astype(np.float32)  # exact up to 2 ** 24 objects
    objects = parts > 0
    highest, lowest = _extreme(values, 1, highest=True), _extreme(values, 1, highest=False)
    lowest_object = _extreme(np.where(objects, values, np.inf).astype(np.float32), 1, highest=False)
    touching = objects & ((highest != values) | (lowest_object != values))
    return touching | (objects & (lowest != values)), touching


def _extreme(values: np.ndarray, connectivity: int, *, highest: bool) -> np.ndarray:
    """The highest or lowest value among each pixel and its neighbours; connectivity 1: those beside it, 2:
    also those at its corners (edges, in a volume).
    """
    from scipy import ndimage

    around = ndimage.generate_binary_structure(values.ndim, connectivity)
    if values.ndim == 2:
        return (cv2.dilate if highest else cv2.erode)(values, around.view(np.uint8))
    return (ndimage.maximum_filter if highest else ndimage.minimum_filter)(
        values, footprint=around, mode="nearest"
    )
