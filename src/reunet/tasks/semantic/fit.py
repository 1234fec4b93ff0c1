"""Numbers taken from held-out images: the score that stopping follows, and the decoding thresholds."""

from collections.abc import Iterable

import numpy as np

from reunet.contracts.labels import IGNORE, LabelMap
from reunet.contracts.plan import Calibration
from reunet.metrics.overlap import confusion, dice, grouped, mean_defined
from reunet.metrics.partitions import Regions, components, rand_scores, regions_from_boundary
from reunet.metrics.ranking import best_threshold, dice_by_threshold
from reunet.tasks.semantic.decode import decode, positive_class
from reunet.tasks.tempering import after, fit_temperature, tempered

THRESHOLDS = np.arange(1, 100) / 100

REGION_IMAGES = 12
"""A watershed per image and threshold is slow: so many held-out images decide the region threshold."""

Arrays = Iterable[tuple[np.ndarray, np.ndarray]]
"""Truth (H, W) uint8 class indices or IGNORE, with probabilities (H, W, classes) float32; per image."""


def validation_score(pairs: Arrays, labels: LabelMap) -> float:
    """Mean over images of the mean Dice of foreground classes, or regions, without thresholds, in 0..1.

    pairs: per image the truth (*space) uint8 class indices or IGNORE, and the probabilities
    (*space, classes) float32. Classes absent from truth and prediction of an image are left out;
    nan when no image has any.
    """
    scores = []
    for truth, probabilities in pairs:
        counts = confusion(truth, decode(probabilities, labels, Calibration()), len(labels.classes))
        inside = dice(grouped(counts, labels.membership))[..., 1]
        scores.append(mean_defined(inside[list(labels.counted)]))
    return float(mean_defined(scores))


TEMPERED_PIXELS, TEMPERED_IN_ALL = 20_000, 200_000
"""Pixels of an image, and of all images, that decide the temperature: the same ones each time."""


def fit_calibration(pairs: Arrays, labels: LabelMap) -> Calibration:
    """Temperature and decoding thresholds from held-out images.

    pixel_temperature: that of the classes of labelled pixels; None of regions, which overlap.
    threshold: with one foreground and one background class, the one of .01, .02, ... .99 with the
    highest mean over images of the foreground Dice; of equals the one nearest to .5.
    region_threshold: with a boundary class, the one with the highest mean V_rand.
    Thresholds are those of tempered probabilities. `pairs` is read once, as in `validation_score`.
    """
    positive, boundary = positive_class(labels), labels.boundary
    curves: list[np.ndarray] = []
    partitions: list[tuple[Regions, np.ndarray]] = []
    pixels: list[tuple[np.ndarray, np.ndarray]] = []
    rng = np.random.default_rng(0)
    for truth, probabilities in pairs:
        labelled = truth != IGNORE
        if not labels.regions and labelled.any():
            some = rng.choice(np.flatnonzero(labelled), min(TEMPERED_PIXELS, int(labelled.sum())), False)
            pixels.append((probabilities.reshape(-1, probabilities.shape[-1])[some], truth.ravel()[some]))
        if positive is not None:
            scores, positives = probabilities[..., positive][labelled], truth[labelled] == positive
            curves.append(dice_by_threshold(scores, positives, THRESHOLDS))
        if boundary is not None and len(partitions) < REGION_IMAGES:
            partitions.append((true_regions(truth, boundary), np.array(probabilities)))
    heat = _heat(pixels) if pixels else None
    cut = best_threshold(np.array(curves), THRESHOLDS) if curves else None
    maps = [(regions, tempered(found, heat)[..., boundary]) for regions, found in partitions]
    return Calibration(
        pixel_temperature=heat,
        threshold=cut if cut is None else after(cut, heat),
        region_threshold=_best_region_threshold(maps) if maps else None,
    )


def _heat(pixels: list[tuple[np.ndarray, np.ndarray]]) -> float:
    probabilities, truth = (np.concatenate(part) for part in zip(*pixels, strict=True))
    step = -(-len(truth) // TEMPERED_IN_ALL)
    return fit_temperature(probabilities[::step], truth[::step])


def true_regions(truth: np.ndarray, boundary: int) -> Regions:
    """Regions of a truth image (H, W): components of what is labelled and not boundary; else 0."""
    return components((truth != boundary) & (truth != IGNORE))


def _best_region_threshold(partitions: list[tuple[Regions, np.ndarray]]) -> float | None:
    """Search .1, .2, ... .9, then around the best of them in steps of .02."""

    def curves(thresholds: np.ndarray) -> np.ndarray:
        return np.array(
            [
                [rand_scores(true, regions_from_boundary(probability, cut))[0] for cut in thresholds]
                for true, probability in partitions
            ]
        )

    coarse = np.arange(1, 10) / 10
    scores = curves(coarse)
    best = best_threshold(scores, coarse)
    if best is None:
        return None
    around = np.round(best + np.array([-8, -6, -4, -2, 2, 4, 6, 8]) / 100, 2)
    thresholds = np.concatenate([coarse, around])
    return best_threshold(np.concatenate([scores, curves(around)], axis=1), thresholds)
