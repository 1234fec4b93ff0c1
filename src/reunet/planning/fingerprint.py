"""Measure the training cases: sizes, intensities, classes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from reunet.contracts.fingerprint import Fingerprint, ImageFacts
from reunet.contracts.labels import IGNORE, LabelMap
from reunet.datasets.cache import CaseArrays
from reunet.errors import DataError
from reunet.machine import cores

SAMPLES = 20_000
"""Pixels per image that intensity statistics are taken from."""


@dataclass(frozen=True)
class CaseFacts:
    """Measurements of one case; arrays are per channel (C,) or per class (K,)."""

    samples: np.ndarray
    class_pixels: np.ndarray
    centroids: np.ndarray
    thickness: float | None


def take_fingerprint(
    name: str, labels: LabelMap, train: Sequence[CaseArrays], *, n_val: int, has_fov: bool
) -> Fingerprint:
    """Fingerprint of the cases that will be trained on. Raises DataError when no pixel is labelled."""
    with ThreadPoolExecutor(cores()) as pool:
        facts = list(pool.map(lambda case: _measure(case, labels), train))
    pixels = np.sum([fact.class_pixels for fact in facts], axis=0)
    if not pixels.sum():
        raise DataError(
            "no training image has a labelled pixel", where=name, fix="check the masks and the ignore label"
        )
    kinds = {case.image.shape[-1] for case in train}
    samples = np.concatenate([_with_channels(fact.samples, max(kinds)) for fact in facts]).astype(np.float64)
    means = np.stack([_with_channels(fact.samples, max(kinds)).mean(0) for fact in facts])
    std = samples.std(0)
    sizes = np.array([case.image.shape[:2] for case in train])
    low, high = np.percentile(samples, (0.5, 99.5), axis=0)
    bias = _bias(np.stack([fact.centroids for fact in facts]))
    thick = [fact.thickness for fact in facts if fact.thickness is not None]
    foreground = list(labels.foreground)
    return Fingerprint(
        dataset=name,
        labels=labels,
        n_train=len(train),
        n_val=n_val,
        channels=max(kinds),
        mixed_channels=len(kinds) > 1,
        dtype=str(np.result_type(*{case.image.dtype for case in train})),
        median_size=_pair(np.median(sizes, axis=0)),
        min_size=_pair(sizes.min(0)),
        max_size=_pair(sizes.max(0)),
        mean=_rounded(samples.mean(0)),
        std=_rounded(std),
        minimum=_rounded(samples.min(0)),
        maximum=_rounded(samples.max(0)),
        percentile_005=_rounded(low),
        percentile_995=_rounded(high),
        between_image_std=_rounded(means.std(0) / np.maximum(std, 1e-12)),
        class_fraction=_rounded(pixels / pixels.sum()),
        foreground_images=float(np.mean([fact.class_pixels[foreground].sum() > 0 for fact in facts])),
        median_thickness=round(float(np.median(thick)), 2) if thick else None,
        vertical_bias=round(float(bias[0]), 3),
        horizontal_bias=round(float(bias[1]), 3),
        has_fov=has_fov,
        cases=tuple(
            ImageFacts(
                id=case.id,
                size=_pair(np.array(case.image.shape[:2])),
                kind=case.image.shape[-1],
                content=case.content,
            )
            for case in train
        ),
    )


def _measure(case: CaseArrays, labels: LabelMap) -> CaseFacts:
    pixels = case.image.reshape(-1, case.image.shape[-1])
    chosen = np.random.default_rng(0).integers(0, len(pixels), min(SAMPLES, len(pixels)))
    classes = len(labels.classes)
    truth = (
        np.full(case.image.shape[:2], IGNORE, np.uint8) if case.labels is None else np.asarray(case.labels)
    )
    counts = np.bincount(truth.ravel(), minlength=256)[:classes]
    centroids = np.full((classes, 2), np.nan)
    for index in np.flatnonzero(counts):
        where = truth == index
        for axis, length in enumerate(truth.shape):
            profile = where.sum(axis=1 - axis)
            centroids[index, axis] = (profile @ (np.arange(length) + 0.5)) / profile.sum() / length
    return CaseFacts(
        pixels[np.sort(chosen)], counts, centroids, _thickness(np.isin(truth, labels.foreground))
    )


def _thickness(foreground: np.ndarray) -> float | None:
    """Typical width of the foreground in pixels: twice its area over the length of its outline."""
    edges = (foreground[1:] != foreground[:-1]).sum() + (foreground[:, 1:] != foreground[:, :-1]).sum()
    return 2.0 * float(foreground.sum()) / float(edges) if edges else None


def _bias(centroids: np.ndarray) -> np.ndarray:
    """How far a class surely lies off the middle: (2,) for (y, x), from (cases, classes, 2) positions.

    The distance of the mean position from 0.5, less three standard errors, of the class where that is
    largest. A class seen in fewer than five cases says nothing.
    """
    largest = np.zeros(2)
    for positions in np.moveaxis(centroids, 1, 0):
        seen = positions[np.isfinite(positions[:, 0])]
        if len(seen) >= 5:
            error = seen.std(0, ddof=1) / np.sqrt(len(seen))
            largest = np.maximum(largest, np.abs(seen.mean(0) - 0.5) - 3 * error)
    return largest


def _with_channels(samples: np.ndarray, channels: int) -> np.ndarray:
    return np.broadcast_to(samples, (len(samples), channels)) if samples.shape[1] == 1 else samples


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)


def _pair(values: np.ndarray) -> tuple[int, int]:
    return int(values[0]), int(values[1])
