"""From the maps of a detector to boxes."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reunet.contracts.boxes import Boxes
from reunet.contracts.labels import LabelMap
from reunet.contracts.plan import Calibration
from reunet.errors import DataError
from reunet.metrics.box_matching import overlapping
from reunet.tasks.detection.targets import BOX, CENTRE, UNIT

FLOOR = 0.02
"""The lowest score of a box. Mean average precision is taken over all above, users see those above the
thresholds of the run."""

AROUND, PLACES = 0.1, 5
"""A box is the mean of what PLACES x PLACES places around its centre say, up to AROUND of its sides and at
least a pixel away, weighted by how likely a centre is there: one pixel alone is less exact.
"""

DOUBLES = 0.5
"""Of two boxes of a class with at least this IoU only the better one stays (0.5 or more: `overlapping`)."""

MOST, FEWEST, PIXELS_EACH = 200_000, 100, 100
"""Boxes in one image at most, the best ones: one for so many pixels, of a tiny image FEWEST and of a huge one
MOST. A network that has learned little yet sees centres everywhere.
"""

ROWS = 512
"""Rows that are searched at once, which bounds the memory."""

FURTHEST = 5.0
"""Largest logarithm of a distance, in units of UNIT: 2400 pixels."""


def decode(maps: Mapping[str, np.ndarray], labels: LabelMap, floor: float = FLOOR) -> Boxes:
    """The boxes at the local maxima of the centres, cut at the map's edges, doubles included.

    maps: `centre` (H, W, foreground classes) float32 probabilities, `box` (H, W, 4) float32, see `targets`.
    floor: the lowest score. Raises DataError for maps of other shapes.
    """
    centre, box = maps[CENTRE], maps[BOX]
    size = centre.shape[:2]
    if centre.shape != (*size, len(labels.foreground)) or box.shape != (*size, 4):
        raise DataError(
            "these are not the maps of a detector for these classes",
            where="detection",
            expected=f"{CENTRE} (H, W, {len(labels.foreground)}) and {BOX} (H, W, 4)",
            received=f"{CENTRE} {centre.shape} and {BOX} {box.shape}",
        )
    y, x, channel = peaks(centre, floor)
    rows, columns = _around(box, y, x)
    weight = centre[rows, columns, channel[:, None]].astype(np.float64)
    mean = (_told(box, rows, columns) * weight[..., None]).sum(axis=1) / weight.sum(axis=1)[:, None]
    corners = np.clip(mean, 0, size * 2).astype(np.float32)
    classes = np.array(labels.foreground, np.uint8)[channel]
    return Boxes(corners, classes, centre[y, x, channel].astype(np.float32))


def _told(box: np.ndarray, y: np.ndarray, x: np.ndarray) -> NDArray[np.float64]:
    """The corners (..., 4) that the pixels in rows and columns (...) tell."""
    distance = UNIT * np.exp(np.clip(box[y, x].astype(np.float64), -FURTHEST, FURTHEST))
    middle = np.stack([y, x], axis=-1) + 0.5
    return np.concatenate([middle - distance[..., :2], middle + distance[..., 2:]], axis=-1)


def _around(box: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (n, PLACES^2) of the places around centres (n,), within the map."""
    corners = _told(box, y, x)
    steps = np.linspace(-1, 1, PLACES)
    down, along = (np.repeat(steps, PLACES), np.tile(steps, PLACES))
    places = []
    for axis, (middle, step) in enumerate(((y, down), (x, along))):
        reach = np.maximum(AROUND * (corners[:, axis + 2] - corners[:, axis]), 1)
        there = middle[:, None] + np.rint(reach[:, None] * step).astype(np.intp)
        places.append(np.clip(there, 0, box.shape[axis] - 1))
    return places[0], places[1]


def confident(boxes: Boxes, labels: LabelMap, calibration: Calibration) -> Boxes:
    """The boxes whose score reaches the calibrated threshold of their class, 0.5 without one."""
    cuts = thresholds(labels, calibration).astype(np.float32)
    return boxes.chosen(boxes.sureness >= cuts[boxes.classes])


def thresholds(labels: LabelMap, calibration: Calibration) -> NDArray[np.float64]:
    """The score from which a box counts, by class: (classes,) float64."""
    cuts = np.full(len(labels.classes), 0.5)
    if calibration.score_thresholds:
        cuts[list(labels.foreground)] = calibration.score_thresholds
    return cuts


def turned_sides(axes: tuple[int, ...]) -> NDArray[np.intp]:
    """The order of the four distances in the image mirrored along `axes`: opposite sides change places."""
    order = np.arange(4)
    for axis in axes:
        order[[axis, axis + 2]] = order[[axis + 2, axis]]
    return order


def peaks(centre: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and channel of the local maxima (3 x 3) of at least `floor`; of a plateau one pixel.

    centre: (H, W, K) float32. At most `MOST` and one per PIXELS_EACH, the highest.
    """
    most = min(MOST, max(FEWEST, centre[..., 0].size // PIXELS_EACH))
    found = np.zeros((3, 0), np.intp)
    for start in range(0, len(centre), ROWS):
        rows = slice(max(start - 1, 0), start + ROWS + 1)  # a row more on both sides
        for channel in range(centre.shape[2]):
            plane = np.ascontiguousarray(centre[rows, :, channel])
            top = (plane >= floor) & (plane == cv2.dilate(plane, np.ones((3, 3), np.uint8)))
            top[: start - rows.start], top[start - rows.start + ROWS :] = False, False
            y, x = _one_per_plateau(top)
            here = np.stack([y + rows.start, x, np.full(len(y), channel)])
            found = np.concatenate([found, here], axis=1)
        if found.shape[1] > most:
            found = found[:, np.argsort(-centre[tuple(found)], kind="stable")[:most]]
    return found[0], found[1], found[2]


def _one_per_plateau(top: NDArray[np.bool_]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the middle pixel, in reading order, of each connected part."""
    _, parts = cv2.connectedComponents(top.astype(np.uint8), connectivity=8)
    y, x = np.nonzero(top)
    order = np.argsort(parts[y, x], kind="stable")
    _, first, count = np.unique(parts[y, x][order], return_index=True, return_counts=True)
    middle = order[first + count // 2]
    return y[middle], x[middle]


def suppressed(boxes: Boxes, at: float = DOUBLES) -> Boxes:
    """Greedy non-maximum suppression within each class, best first: of two with an IoU of `at` the better
    one stays. boxes: with scores. Exactly the sequential rule, in rounds over the pairs that overlap.
    """
    boxes = boxes.chosen(np.argsort(-boxes.sureness, kind="stable"))
    better, worse, _ = overlapping(boxes, boxes, at)
    better, worse = better[better < worse], worse[better < worse]
    kept, open_ = np.zeros(len(boxes), np.bool_), np.ones(len(boxes), np.bool_)
    while open_.any():
        blocked = np.zeros(len(boxes), np.bool_)
        blocked[worse[open_[better]]] = True  # one that may stay is better than these
        new = open_ & ~blocked
        kept |= new
        open_ &= blocked
        open_[worse[new[better]]] = False
        rest = open_[better] & open_[worse]
        better, worse = better[rest], worse[rest]
    return boxes.chosen(kept)


def best(found: Sequence[Boxes]) -> Boxes:
    """Several lots of boxes with scores as one; the MOST best once there are twice as many."""
    corners, classes = (np.concatenate([getattr(b, name) for b in found]) for name in ("corners", "classes"))
    scores = np.concatenate([b.scores for b in found if b.scores is not None])
    boxes = Boxes(corners, classes, scores, found[0].is_rated)
    if len(boxes) < 2 * MOST:
        return boxes
    return boxes.chosen(np.sort(np.argsort(-scores, kind="stable")[:MOST]))
