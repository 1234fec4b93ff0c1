"""Measure the cases: sizes, intensities and classes of those trained on, channels of all."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reunet.contracts.boxes import Boxes
from reunet.contracts.fingerprint import Fingerprint, ForegroundIntensity, ImageFacts
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.datasets.case_arrays import CaseArrays
from reunet.datasets.cases import Dataset
from reunet.errors import DataError
from reunet.machine import cores
from reunet.planning.frames import measure_frames

COLOURS = 3
"""Channels of an image that may be red, green and blue."""

SAMPLES = 20_000
"""Pixels per image that intensity statistics are taken from."""


@dataclass(frozen=True)
class Measurements:
    """Measurements of one case. samples, foreground: (n, C) raw pixels, of all and of foreground classes.
    class_pixels: (K,). centroids: (K, rank) mean position of each class as a share of each axis.
    thickness: (K,) pixels, nan where a class is absent; of images only.
    """

    samples: np.ndarray
    foreground: np.ndarray
    class_pixels: np.ndarray
    centroids: np.ndarray
    thickness: np.ndarray


def take_fingerprint(dataset: Dataset, train: Sequence[CaseArrays], val: Sequence[CaseArrays]) -> Fingerprint:
    """Fingerprint of the cases that will be trained on, with the channels and content of the held-out ones.

    Raises DataError when nothing of `train` is annotated.
    """
    with ThreadPoolExecutor(cores()) as pool:
        facts = list(pool.map(lambda case: _measure(case, dataset.labels), train))
    pixels = np.sum([fact.class_pixels for fact in facts], axis=0)
    seen = Counter(case.beside.category for case in train if case.beside.category is not None)
    if not pixels.sum() and not seen:
        raise DataError(
            "no training image has a labelled pixel",
            where=dataset.name,
            fix="check the masks and the ignore label",
        )
    cases = (*_image_facts(train, "train"), *_image_facts(val, "val"))
    counts = {case.kind for case in cases}
    sizes = np.array([case.image.shape[:-1] for case in train])
    categories = dataset.categories
    samples = [np.broadcast_to(one.samples, (len(one.samples), max(counts))) for one in facts]
    *depth, vertical, horizontal = _bias(np.stack([fact.centroids for fact in facts]))
    return Fingerprint(
        dataset=dataset.name,
        labels=dataset.labels,
        categories=categories,
        kinds=tuple(sorted(dataset.kinds)),
        n_train=len(train),
        n_val=len(val),
        n_corrected=sum(case.corrected for case in train),
        channels=max(counts),
        mixed_channels=len(counts) > 1,
        dtype=str(np.result_type(*{case.image.dtype for case in train})),
        channel_names=dataset.channel_names,
        read_channels=dataset.cases[0].channels,
        median_size=tuple(map(int, np.median(sizes, axis=0))),
        min_size=tuple(map(int, sizes.min(0))),
        max_size=tuple(map(int, sizes.max(0))),
        **_intensities(samples),
        one_hue=_one_hue(np.concatenate(samples)) if max(counts) == COLOURS and not depth else None,
        foreground=_foreground([fact.foreground for fact in facts]) if depth else None,
        class_fraction=_rounded(pixels / max(1, pixels.sum())),
        category_counts=tuple(seen[i] for i, _ in enumerate(categories.classes if categories else ())),
        thickness=() if depth else _usual(np.stack([fact.thickness for fact in facts])),
        depth_bias=round(float(sum(depth)), 3),
        vertical_bias=round(float(vertical), 3),
        horizontal_bias=round(float(horizontal), 3),
        has_fov=any(case.files.fov is not None for case in dataset.split("train")),
        sequences=tuple(Counter(case.sequence.name for case in train if case.sequence is not None).values()),
        frames=measure_frames(train, dataset.labels.foreground),
        axis=next((case.sequence.axis for case in train if case.sequence is not None), None),
        cases=cases,
    )


def _intensities(samples: Sequence[np.ndarray]) -> dict[str, Any]:
    """Mean and deviation of the pixels of all images, from some of each, (n, C), and between the images."""
    pixels = np.concatenate(samples).astype(np.float64)  # sums of 32-bit floats can be too large for these
    between = np.stack([some.mean(0, dtype=np.float64) for some in samples]).std(0) / np.maximum(
        pixels.std(0), 1e-12
    )
    mean, std = _rounded(pixels.mean(0)), _rounded(pixels.std(0))
    return {"mean": mean, "std": std, "between_image_std": _rounded(between)}


def _one_hue(pixels: np.ndarray) -> float:
    """The length of the mean chroma over the mean length, of pixels (n, 3); 1 without any chroma.

    Chroma is the position in the plane across the grey axis.
    """
    red, green, blue = pixels.astype(np.float64).T
    chroma = (red + green) / 2 - blue + 1j * np.sqrt(3) / 2 * (red - green)
    total = np.abs(chroma).sum()
    return round(float(np.abs(chroma.sum()) / total), 3) if total else 1.0


def _image_facts(cases: Sequence[CaseArrays], split: Literal["train", "val"]) -> list[ImageFacts]:
    return [
        ImageFacts(
            id=case.id,
            split=split,
            size=case.image.shape[:-1],
            kind=case.image.shape[-1],
            content=case.content,
            spacing=case.spacing or case.stated,
            on_map=case.on_map,
        )
        for case in cases
    ]


def _measure(case: CaseArrays, labels: LabelMap) -> Measurements:
    *size, channels = case.image.shape
    pixels = case.image.reshape(-1, channels)
    chosen = np.random.default_rng(0).integers(0, len(pixels), min(SAMPLES, len(pixels)))
    classes = len(labels.classes)
    if case.labels is None and case.beside.boxes is not None:
        return _of_boxes(pixels[np.sort(chosen)], case.beside.boxes, (size[0], size[1]), classes)
    truth = np.full(size, IGNORE, np.uint8) if case.labels is None else np.asarray(case.labels)
    counts = np.bincount(truth.ravel(), minlength=256)[:classes]
    centroids, thickness = np.full((classes, truth.ndim), np.nan), np.full(classes, np.nan)
    for index in np.flatnonzero(counts):
        where = truth == index
        if truth.ndim == 2:
            thickness[index] = _thickness(where)
        for axis, length in enumerate(truth.shape):
            profile = where.sum(axis=tuple(other for other in range(truth.ndim) if other != axis))
            centroids[index, axis] = (profile @ (np.arange(length) + 0.5)) / profile.sum() / length
    inside = np.flatnonzero(np.isin(truth, labels.foreground))
    foreground = pixels[inside[:: max(1, len(inside) // SAMPLES)]]
    return Measurements(pixels[np.sort(chosen)], foreground, counts, centroids, thickness)


def _of_boxes(samples: np.ndarray, boxes: Boxes, size: tuple[int, int], classes: int) -> Measurements:
    """Facts of an image whose objects are boxes; an object is taken for the ellipse in its box."""
    low, high = boxes.corners[:, :2], boxes.corners[:, 2:]
    areas, centers = (high - low).prod(axis=1), (low + high) / 2 / size
    counts, centroids, thickness = np.zeros(classes), np.full((classes, 2), np.nan), np.full(classes, np.nan)
    for index in np.unique(boxes.classes):
        mine = boxes.classes == index
        counts[index], centroids[index] = areas[mine].sum(), centers[mine].mean(axis=0)
        thickness[index] = 2 / 3 * np.median((high - low)[mine].min(axis=1))
    return Measurements(samples, samples[:0], counts, centroids, thickness)


def _thickness(where: np.ndarray) -> float:
    """Pixels across the regions of a mask (H, W): four times the mean distance to their edge.

    Of a ribbon that is its width, of a disc two thirds of its diameter.
    """
    import cv2

    distance = cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, 3)
    inside = np.minimum(distance[where], min(where.shape) / 2)  # no edge anywhere is infinitely far
    return 4.0 * float(inside.mean())


def _usual(thickness: np.ndarray) -> tuple[float | None, ...]:
    """Per class the lower quartile over the images that show it, from (cases, classes)."""
    columns = [column[np.isfinite(column)] for column in thickness.T]
    return tuple(round(float(np.quantile(seen, 0.25)), 1) if len(seen) else None for seen in columns)


def _foreground(pixels: list[np.ndarray]) -> ForegroundIntensity | None:
    values = np.concatenate(pixels).astype(np.float64)
    if not len(values):
        return None
    low, high = np.percentile(values, (0.5, 99.5), axis=0)
    return ForegroundIntensity(
        low=_rounded(low), high=_rounded(high), mean=_rounded(values.mean(0)), std=_rounded(values.std(0))
    )


def _bias(centroids: np.ndarray) -> np.ndarray:
    """How far a class surely lies off the middle per axis, (rank,), from (cases, classes, rank) positions.

    The distance of the mean position from 0.5, less three standard errors, of the class where that is
    largest. A class seen in fewer than five cases says nothing.
    """
    largest = np.zeros(centroids.shape[-1])
    for positions in np.moveaxis(centroids, 1, 0):
        seen = positions[np.isfinite(positions[:, 0])]
        if len(seen) >= 5:
            error = seen.std(0, ddof=1) / np.sqrt(len(seen))
            largest = np.maximum(largest, np.abs(seen.mean(0) - 0.5) - 3 * error)
    return largest


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
