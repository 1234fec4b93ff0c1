"""What is known of each object: where it is, how large, of which shape and brightness."""

from collections.abc import Iterator

import numpy as np

from reunet.tasks.confidence import log_odds, sizes

PIXELS = 2**22
"""About so many pixels are measured at a time."""

Columns = dict[str, np.ndarray]


def object_table(instances: np.ndarray, image: np.ndarray, *, classes: np.ndarray | None = None) -> Columns:
    """Measures of all objects, one array entry per object, in ascending order of id.

    instances: (*space) int32, ids >= 1, gaps allowed. image: (*space, C). classes: (max id + 1,) uint8
    by id.

    Columns: id; class (where given); area in pixels or voxels;
    centroid_y, centroid_x (and centroid_z): means of the array indices; box_y0 ... box_x1: edges, so that
    pixel 0 alone is 0, 1; images only: perimeter in pixels (Benkrid and Crookes 2000) and eccentricity, 0..1,
    of the ellipse of equal second moments; mean_0, mean_1, ... of the image's channels.
    """
    rank, count = instances.ndim, int(instances.max(initial=0)) + 1
    axes, channels = "zyx"[-rank:], image.shape[-1]
    sums = np.zeros((1 + rank + rank * (rank + 1) // 2 + channels, count))
    for part, ids, places in _slabs(instances):
        values = [None, *places]
        values += [places[i] * places[j] for i in range(rank) for j in range(i, rank)]
        colours = image[part][ids > 0].T
        ids = ids[ids > 0]
        for row, value in zip(sums, [*values, *colours], strict=True):
            row += np.bincount(ids, weights=value, minlength=count)
    present = np.flatnonzero(sums[0])
    area, moments, means = (
        sums[0, present],
        sums[1 : len(sums) - channels, present],
        sums[-channels:, present],
    )
    centroid, second = moments[:rank] / area, moments[rank:] / area

    table: Columns = {"id": present}
    if classes is not None:
        table["class"] = classes[present]
    table["area"] = area.astype(np.int64)
    table |= {f"centroid_{axis}": values for axis, values in zip(axes, centroid, strict=True)}
    corners = bounding_boxes(instances)[present]
    table |= {f"box_{axis}{side}": corners[:, side, i] for side in (0, 1) for i, axis in enumerate(axes)}
    if rank == 2:
        table["perimeter"] = perimeters(instances)[present]
        table["eccentricity"] = _eccentricity(centroid, second)
    return table | {f"mean_{channel}": values / area for channel, values in enumerate(means)}


LONG = 0.7
"""A direction of at least this length is a sure one; the true ones have length 1."""

CLOSE = 2.0
"""Pixels from the centre of an object; closer ones say less of which way leads there."""


def sureness_facts(instances: np.ndarray, foreground: np.ndarray, flows: np.ndarray) -> Columns:
    """What tells how likely each object is right, (n,) float64 in ascending order of id.

    instances: (*space). foreground: (*space) probability. flows: (*space, rank). `foreground`: the mean
    probability over the object, and `odds` its log-odds; `doubt`: the mean of 4 p (1 - p); `flow`: the share
    of pixels with a long direction; `agreement`: the mean cosine between the direction at a pixel and that
    to the object's centre, low where one covers two or is a piece of one; and its size in pixels. None of
    them depends on the other objects of the image: sections of it tell the same.
    """
    rank, count = instances.ndim, int(instances.max(initial=0)) + 1
    sums, agreed = np.zeros((4 + rank, count)), np.zeros((2, count))
    for part, ids, places in _slabs(instances):
        inside = ids > 0
        own, p = ids[inside], foreground[part][inside]
        is_long = np.linalg.norm(flows[part][inside], axis=1) > LONG
        for row, weights in zip(sums, (None, p, 4 * p * (1 - p), is_long, *places), strict=True):
            row += np.bincount(own, weights, count)
    centres = sums[4:] / np.maximum(sums[0], 1)
    for part, ids, places in _slabs(instances):
        inside = ids > 0
        own, directions = ids[inside], flows[part][inside]
        way = np.stack([centre[own] - place for centre, place in zip(centres, places, strict=True)], axis=1)
        far, length = np.linalg.norm(way, axis=1), np.linalg.norm(directions, axis=1)
        counts = np.minimum(far, CLOSE)  # next to the centre no direction is the right one
        cosine = (way * directions).sum(axis=1) / np.maximum(far * length, 1e-6)
        agreed += np.bincount(own, counts, count), np.bincount(own, counts * cosine, count)
    present = np.flatnonzero(sums[0])
    area, *others = sums[:4, present]
    means = dict(zip(("foreground", "doubt", "flow"), (total / area for total in others), strict=True))
    weight, total = agreed[:, present]
    agreement = np.divide(total, weight, out=np.ones_like(total), where=weight > 0)
    return {**means, "odds": log_odds(means["foreground"]), "agreement": agreement, **sizes(area)}


def bounding_boxes(instances: np.ndarray) -> np.ndarray:
    """First and last + 1 index per axis: (max id + 1, 2, rank) int64 by id, 0 for ids without pixels."""
    from scipy import ndimage

    found = ndimage.find_objects(instances)
    corners = np.zeros((len(found) + 1, 2, instances.ndim), np.int64)
    for number, box in enumerate(found, 1):
        if box is not None:
            corners[number] = [[side.start for side in box], [side.stop for side in box]]
    return corners


def perimeters(instances: np.ndarray) -> np.ndarray:
    """Length of each object's edge in an image (H, W): (max id + 1,) float64 pixels by id.

    Edge pixels have another id above, below, left or right; each counts 1, sqrt(2) or (1 + sqrt(2)) / 2 by
    which of its neighbours are edge pixels of the same object (Benkrid and Crookes 2000).
    """
    count = int(instances.max(initial=0)) + 1
    total, weights = np.zeros(count), _perimeter_weights()
    rows = max(PIXELS // max(instances.shape[1], 1), 1)
    for start in range(0, instances.shape[0], rows):
        stop = min(start + rows, instances.shape[0])
        first, last = max(start - 2, 0), min(stop + 2, instances.shape[0])
        missing = (2 - (start - first), 2 - (last - stop))
        ids = np.pad(instances[first:last], (missing, (2, 2)))
        width = ids.shape[1]
        flat = ids.reshape(-1)
        places = np.flatnonzero(ids[1:-1]) + width
        edge = np.zeros(flat.size, bool)
        edge[places] = np.any(
            [flat[places + step] != flat[places] for step in (-width, -1, 1, width)], axis=0
        )
        places = np.flatnonzero(edge)
        places = places[(places >= 2 * width) & (places < flat.size - 2 * width)]
        own, code = flat[places], np.ones(len(places), np.int64)
        for steps, value in (
            ((-width, -1, 1, width), 2),
            ((-width - 1, 1 - width, width - 1, width + 1), 10),
        ):
            for step in steps:
                code += value * (edge[places + step] & (flat[places + step] == own))
        total += np.bincount(own, weights[code], minlength=count)
    return total


def _perimeter_weights() -> np.ndarray:
    """By 1 + 2 * (edge neighbours above, below, left, right) + 10 * (those at the corners)."""
    weights = np.zeros(50)
    weights[[5, 7, 15, 17, 25, 27]] = 1
    weights[[21, 33]] = np.sqrt(2)
    weights[[13, 23]] = (1 + np.sqrt(2)) / 2
    return weights


def _eccentricity(centroid: np.ndarray, second: np.ndarray) -> np.ndarray:
    """From means of y, x (2, n) and of y * y, y * x, x * x (3, n), before centring."""
    yy, yx, xx = second - centroid[[0, 0, 1]] * centroid[[0, 1, 1]]
    half, root = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    large, small = half + root, np.maximum(half - root, 0)
    is_extended = large > 1e-9  # less is the rounding of a single pixel far from the corner
    return np.sqrt(1 - np.divide(small, large, out=np.ones_like(large), where=is_extended))


def _slabs(instances: np.ndarray) -> Iterator[tuple[slice, np.ndarray, list[np.ndarray]]]:
    """Rows of the first axis at a time: the slice, its ids, the indices of its object pixels."""
    rows = max(PIXELS * instances.shape[0] // max(instances.size, 1), 1)
    for start in range(0, instances.shape[0], rows):
        part = slice(start, start + rows)
        first, *others = np.nonzero(instances[part])
        yield part, instances[part], [axis.astype(np.float64) for axis in (first + start, *others)]
