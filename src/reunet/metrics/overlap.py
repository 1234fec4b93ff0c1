"""Overlap of label images: confusion counts, Dice, IoU and pixel error."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reunet.contracts.labels import IGNORE

Counts = NDArray[np.int64]
Scores = NDArray[np.float64]


def confusion(truth: np.ndarray, prediction: np.ndarray, n: int) -> Counts:
    """Count pixels by true and predicted class.

    Parameters
    ----------
    truth: uint8 class indices 0..n-1 of any shape; IGNORE pixels are skipped.
    prediction: uint8 class indices 0..n-1 of the same shape.
    n: number of classes.

    Returns (n, n) int64: rows are the truth, columns the prediction. Raises ValueError for another
    shape, or for a value outside 0..n-1 on a labelled pixel.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {prediction.shape}")
    labelled = truth != IGNORE
    true, predicted = truth[labelled].astype(np.intp), prediction[labelled].astype(np.intp)
    for name, values in (("truth", true), ("prediction", predicted)):
        if values.size and (values.min() < 0 or values.max() >= n):
            raise ValueError(f"{name} has values {values.min()}..{values.max()}, expected 0..{n - 1}")
    return np.bincount(true * n + predicted, minlength=n * n).reshape(n, n).astype(np.int64)


def grouped(counts: np.ndarray, groups: np.ndarray) -> Counts:
    """Pixels outside and inside of groups of classes, from those by class.

    counts: (..., n, n). groups: (n, G) bool, whether a class belongs to a group. Returns (..., G, 2, 2),
    True last: such as dice(...)[..., 1] is of the groups.
    """
    sides = np.stack([~groups, groups]).astype(np.int64)
    return np.einsum("aig,...ij,bjg->...gab", sides, counts, sides, optimize=True)


def dice(counts: np.ndarray) -> Scores:
    """Dice coefficient (F1) per class: 2 TP / (2 TP + FP + FN).

    counts: (..., n, n) confusion counts; returns (..., n). A class that is neither in the truth nor in
    the prediction is nan; one that is in the prediction alone is 0.
    """
    hits, true, predicted = _marginals(counts)
    return divide(2 * hits, true + predicted)


def iou(counts: np.ndarray) -> Scores:
    """Intersection over union (Jaccard index) per class: TP / (TP + FP + FN). Shapes and nan as in `dice`."""
    hits, true, predicted = _marginals(counts)
    return divide(hits, true + predicted - hits)


def precision(counts: np.ndarray) -> Scores:
    """Share of the pixels predicted as a class that belong to it. Shapes as in `dice`; nan if none is."""
    hits, _, predicted = _marginals(counts)
    return divide(hits, predicted)


def recall(counts: np.ndarray) -> Scores:
    """Share of the pixels of a class that were predicted as it (sensitivity). Shapes as in `dice`."""
    hits, true, _ = _marginals(counts)
    return divide(hits, true)


def accuracy(counts: np.ndarray) -> Scores:
    """Share of whole images with the right class. counts: (..., n, n) -> (...); nan without images."""
    return 1 - pixel_error(counts)


def balanced_accuracy(counts: np.ndarray) -> Scores:
    """Mean of the recall of each class that occurs in the truth. Shapes and nan as in `accuracy`."""
    return mean_defined(recall(counts), axis=-1)


def pixel_error(counts: np.ndarray) -> Scores:
    """Share of labelled pixels with a wrong class, nan when there is none. counts: (..., n, n) -> (...)."""
    total = counts.sum(axis=(-2, -1))
    return divide(total - np.trace(counts, axis1=-2, axis2=-1), total)


def mutual_share(pixels: Sequence[np.ndarray], areas: Sequence[np.ndarray]) -> float:
    """The harmonic mean of the shares of two sets of pixels that lie in an area: each in its own.

    pixels, areas: two masks each, of one shape. nan when both sets are empty, 0 when one is.
    """
    inside = [divide((a & b).sum(), a.sum()) for a, b in zip(pixels, areas, strict=True)]
    if np.isnan(inside).all():
        return float("nan")
    one, other = np.nan_to_num(inside)
    return float(2 * one * other / (one + other)) if one + other else 0.0


def mean_defined(values: ArrayLike, axis: int | None = None) -> Scores:
    """Mean over the values that are not nan; nan where there is none."""
    values = np.asarray(values)
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(axis=axis), defined.sum(axis=axis))


def _marginals(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2)


def divide(numerator: np.ndarray, denominator: np.ndarray) -> Scores:
    """The quotient as float64, nan where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=undefined, where=denominator != 0)
    return undefined
