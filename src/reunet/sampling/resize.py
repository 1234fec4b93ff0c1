"""Bring an image or a volume to another number of pixels, a case to another spacing."""

from dataclasses import replace

import cv2
import numpy as np

from reunet.contracts.results import Prediction
from reunet.datasets.cache import find, key_of, mapped, publish
from reunet.datasets.case_arrays import CaseArrays
from reunet.sampling.boxes import resized

LINEAR, CUBIC, AREA, NEAREST = cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_NEAREST

AT_ONCE = 4
"""Channels that OpenCV takes the mean of an area of."""


def size_at(
    size: tuple[int, ...], spacing: tuple[float, ...] | None, target: tuple[float, ...] | None
) -> tuple[int, ...]:
    """The size at which an image of `size` has the spacing `target`, as in a plan, at least 1 per axis.

    spacing: its own, 1 where an image states none. `size` itself for a volume without a `target` or that
    states no spacing; the target of an image is 1 then.
    """
    if len(size) == 2:
        spacing, target = spacing or (1.0, 1.0), target or (1.0, 1.0)
    if spacing is None or target is None:
        return size
    return tuple(max(1, round(n * a / b)) for n, a, b in zip(size, spacing, target, strict=True))


def size_within(size: tuple[int, ...], longest: int) -> tuple[int, ...]:
    """The size at which the longer side of an image of `size` has `longest` pixels, at least 1 per axis."""
    return tuple(max(1, round(n * longest / max(size))) for n in size)


def resize(array: np.ndarray, size: tuple[int, ...], interpolation: int = LINEAR) -> np.ndarray:
    """`array` (*space, C) float32 at `size`; first and last pixel cover the same ground as before.

    interpolation: LINEAR, CUBIC or, for an image that gets smaller, AREA, the mean of what a pixel covers.
    Beyond the edge the image goes on as its last pixel.
    """
    if array.shape[:-1] == size:
        return array
    channels = array.shape[-1]
    if interpolation == AREA and channels > AT_ONCE:
        some = (array[..., first : first + AT_ONCE] for first in range(0, channels, AT_ONCE))
        return np.concatenate([resize(part, size, AREA) for part in some], axis=-1)
    if len(size) == 2:
        flat = cv2.resize(array, (size[1], size[0]), interpolation=interpolation)
        return flat.reshape(*size, array.shape[-1])
    slices = np.stack([resize(one, size[1:], interpolation) for one in array])
    across = slices.reshape(len(slices), -1)  # one row per slice: the rows are what is left to resize
    across = cv2.resize(across, (across.shape[1], size[0]), interpolation=interpolation)
    return across.reshape(*size, array.shape[-1])


def resampled(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Pixels (*space, C) of any real dtype at `size` as float32: cubic, or by area where an image shrinks."""
    return resize(image.astype(np.float32), size, way_of(image.shape[:-1], size))


def way_of(size: tuple[int, ...], to: tuple[int, ...]) -> int:
    """How pixels get from one size to another: by area where an image shrinks, else cubic."""
    return AREA if _shrinks(size, to) else CUBIC


def _shrinks(size: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(size) == 2 and all(b < a for a, b in zip(size, to, strict=True))


def resize_labels(labels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """`labels` (*space) uint8 at `size`: at every pixel the value whose resized mask is largest."""
    if labels.shape == size:
        return labels
    result, largest = np.zeros(size, np.uint8), np.full(size, -1.0, np.float32)
    way = AREA if _shrinks(labels.shape, size) else LINEAR
    for value in np.unique(labels):
        share = resize((labels == value).astype(np.float32)[..., None], size, way)[..., 0]
        result[share > largest] = value
        np.maximum(largest, share, out=largest)
    return result


def at_size(case: CaseArrays, size: tuple[int, ...], spacing: tuple[float, ...] | None = None) -> CaseArrays:
    """The case with `size` pixels, which are of `spacing`, through the cache; itself where it has them.

    Labels by votes.
    """
    if size == case.image.shape[:-1]:
        return case
    key = key_of(case.key, "at", spacing or size)
    found = find(key) if case.key else None
    if found is None:
        labels, objects = case.labels, case.objects
        made = {"image": resampled(case.image, size)}
        if labels is not None:
            made["labels"] = resize_labels(np.asarray(labels), size)
        if objects is not None:
            made["objects"] = resize_ids(np.asarray(objects), size)
        if case.told is not None:
            made["known"] = resize_ids(mapped(case.told), size)
        found = publish(key, made, {}) if case.key else (made, {})
    arrays, beside = found[0], case.beside
    if beside.boxes is not None:
        factors = [new / old for new, old in zip(size, case.image.shape[:-1], strict=True)]
        beside = replace(beside, boxes=resized(beside.boxes, (factors[0], factors[1])))
    indices, ids, told = (arrays.get(name) for name in ("labels", "objects", "known"))
    image = arrays["image"]
    return replace(case, pixels=image, indices=indices, ids=ids, told=told, spacing=spacing, beside=beside)


def resize_ids(objects: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Objects (*space) int32, or what is known (bool), at `size`: the value in the middle of each pixel."""
    axes = [(np.arange(new) + 0.5) * old / new for new, old in zip(size, objects.shape, strict=True)]
    return objects[np.ix_(*(axis.astype(np.intp) for axis in axes))]


def at_scale(image: np.ndarray, known: Prediction, factor: float) -> tuple[np.ndarray, Prediction]:
    """An image (H, W, C), and what is known of it, `factor` times as large, to be drawn.

    Resized before anything is drawn, so that contours are crisp whatever the size. Labels, objects and boxes
    alone are kept.
    """
    if factor == 1:
        return image, known
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    pixels = image if image.dtype in (np.uint8, np.uint16) else image.astype(np.float32)
    labels, ids, boxes = known.labels, known.instances, known.boxes
    return resize(pixels, (height, width), AREA if factor < 1 else NEAREST), Prediction(
        labels=None if labels is None else resize_ids(labels, (height, width)),
        instances=None if ids is None else resize_ids(ids, (height, width)),
        boxes=None if boxes is None else resized(boxes, (factor, factor)),
    )
