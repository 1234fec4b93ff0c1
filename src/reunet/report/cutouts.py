"""Single objects, cut out of their image: which ones are shown, and where."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from reunet.report.content import Exhibit, Gallery, Pictures
from reunet.report.examples import FALSE_ALARM, MISSED
from reunet.tasks.scorer import Kept

Image = TypeVar("Image", bound=Kept)

TRUE, PREDICTED = 0, 1
"""Sides of an image: a missed object is a true one, an invented one is predicted."""

MOST_SHOWN, MOST_PER_IMAGE = 15, 3

SIDE = 192
"""Of the pictures, in pixels."""

LEAST = 24
"""Pixels of the image that are shown at least: a dot alone tells nothing."""


def mistakes(
    images: Sequence[Image],
    badness: Callable[[Image, int], np.ndarray],
    told: Callable[[Image, int, int], tuple[str, Pictures]],
    note: str,
) -> Gallery:
    """The worst objects without a partner, invented ones and missed ones.

    badness: (n,) of the objects of one side of an image, see `worst`. told: of one of them, by image, side
    and position, what is to be said and what draws it.
    """
    exhibits = [
        Exhibit(group, images[number].id, *told(images[number], side, i))
        for group, side in (("false alarms", PREDICTED), ("missed", TRUE))
        for number, i in worst([badness(image, side) for image in images])
    ]
    legend = [(MISSED, "true"), (FALSE_ALARM, "predicted")]
    return Gallery("Worst mistakes", note, exhibits, legend, small=True)


def worst(badness: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Image and position of the objects that are shown, the worst first, few of each image.

    badness: (n,) of the objects of each image, the higher the worse; those with nan are not shown.
    """
    found = []
    for image, values in enumerate(badness):
        order = np.argsort(-values, kind="stable")[:MOST_PER_IMAGE]  # nan come last
        found += [(float(values[i]), image, int(i)) for i in order if not np.isnan(values[i])]
    found.sort(key=lambda one: -one[0])
    return [(image, i) for _, image, i in found[:MOST_SHOWN]]


def window(box: Sequence[float], size: Sequence[int]) -> tuple[slice, slice]:
    """A square around a box y0, x0, y1, x1, twice as large, moved into an image of `size` (H, W).

    Where the image is too small for that, all of that axis.
    """
    side = int(max(LEAST, 2 * (box[2] - box[0]), 2 * (box[3] - box[1])))
    slices = []
    for axis, length in enumerate(size[:2]):
        start = int((box[axis] + box[axis + 2] - side) / 2)
        start = max(0, min(start, length - side))
        slices.append(slice(start, min(start + side, length)))
    return slices[0], slices[1]


def enlarge(*pictures: np.ndarray) -> list[np.ndarray]:
    """Pictures (h, w, 3) uint8, or label images (h, w), of one window at the size that is shown."""
    import cv2

    height, width = pictures[0].shape[:2]
    factor = SIDE / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    smooth = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    ways = [smooth if picture.ndim == 3 else cv2.INTER_NEAREST for picture in pictures]
    return [cv2.resize(p, size, interpolation=way) for p, way in zip(pictures, ways, strict=True)]
