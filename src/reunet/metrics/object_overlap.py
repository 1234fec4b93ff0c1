"""Which objects of two instance maps share pixels: the table that the scores of objects are computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

CHUNK = 1 << 24
"""Pixels that are counted at a time: a few hundred MB, however large the maps."""


@dataclass(frozen=True)
class ObjectOverlap:
    """Areas of the objects of two instance maps and of their intersections, in pixels.

    true_ids (n,), predicted_ids (m,): ids that occur, ascending, without the background; true_areas,
    predicted_areas: their areas. Only pairs that share pixels are kept: pairs (k, 2) indices into true_ids
    and predicted_ids, in ascending order, and shared (k,) the pixels of their intersection.
    """

    true_ids: Counts
    predicted_ids: Counts
    true_areas: Counts
    predicted_areas: Counts
    pairs: NDArray[np.intp]
    shared: Counts

    @property
    def pair_areas(self) -> tuple[Counts, Counts]:
        """Areas of the true and of the predicted object of each pair, (k,) both."""
        return self.true_areas[self.pairs[:, 0]], self.predicted_areas[self.pairs[:, 1]]

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair, (k,)."""
        true, predicted = self.pair_areas
        return self.shared / (true + predicted - self.shared)

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice coefficient of each pair, (k,)."""
        true, predicted = self.pair_areas
        return 2 * self.shared / (true + predicted)

    def without(self, predicted: Counts) -> ObjectOverlap:
        """The same without the predicted objects of these ids."""
        kept = ~np.isin(self.predicted_ids, predicted)
        pair = kept[self.pairs[:, 1]]
        places = np.cumsum(kept) - 1
        pairs = np.stack([self.pairs[pair, 0], places[self.pairs[pair, 1]]], axis=1)
        ids, areas = self.predicted_ids[kept], self.predicted_areas[kept]
        return ObjectOverlap(self.true_ids, ids, self.true_areas, areas, pairs, self.shared[pair])

    def best(self, side: int, score: np.ndarray) -> NDArray[np.intp]:
        """The pair with the highest score of each object: index into `pairs`, -1 where it has none.

        side: 0 for true objects, returns (n,); 1 for predicted ones, returns (m,). score: (k,), by which
        pairs are compared; of equals the one with the higher IoU, then the one with the lower ids.
        """
        chosen = np.full(len(self.predicted_ids if side else self.true_ids), -1, np.intp)
        order = np.lexsort((-np.arange(len(score)), self.iou, score))
        chosen[self.pairs[order, side]] = order  # of several assignments to one place, the last one stays
        return chosen


def object_overlap(
    truth: np.ndarray, prediction: np.ndarray, known: np.ndarray | None = None
) -> ObjectOverlap:
    """Count the pixels that the objects of two instance maps share.

    Parameters
    ----------
    truth, prediction: (*space) integers, 0 the background, ids below 2**31, not necessarily dense.
    known: (*space) bool; pixels outside are left out of all areas, and objects without a known pixel do not
        exist. None: all are known.

    Raises ValueError for another shape and for negative ids.
    """
    shapes = [truth.shape, prediction.shape, truth.shape if known is None else known.shape]
    if len(set(shapes)) > 1:
        raise ValueError(f"truth, prediction and known have the shapes {shapes}")
    true_flat, predicted_flat = truth.ravel(), prediction.ravel()
    mask = None if known is None else known.ravel()
    parts = (slice(at, at + CHUNK) for at in range(0, max(truth.size, 1), CHUNK))
    tables = [_count(true_flat, predicted_flat, mask, part) for part in parts]
    keys, counts = _sum(*(np.concatenate(part) for part in zip(*tables, strict=True)))
    true, predicted = keys >> 32, keys & 0xFFFFFFFF

    true_ids, row = np.unique(true, return_inverse=True)
    predicted_ids, column = np.unique(predicted, return_inverse=True)
    areas = [np.bincount(i, weights=counts).astype(np.int64) for i in (row, column)]
    first = [int(ids.size > 0 and ids[0] == 0) for ids in (true_ids, predicted_ids)]  # the background, if any
    pair = (true > 0) & (predicted > 0)
    return ObjectOverlap(
        true_ids[first[0] :],
        predicted_ids[first[1] :],
        areas[0][first[0] :],
        areas[1][first[1] :],
        np.stack([row[pair] - first[0], column[pair] - first[1]], axis=1).astype(np.intp),
        counts[pair],
    )


def known_overlap(truth: np.ndarray, prediction: np.ndarray, known: np.ndarray | None) -> ObjectOverlap:
    """The same of the objects that are a fair question.

    Where half of a true object or more is unknown, all of it is. A predicted object of which half or more is
    unknown does not exist, unless it finds a true one: an IoU of at least 0.5 where things are known.
    """
    if known is None or known.all():
        return object_overlap(truth, prediction)
    whole, seen = object_overlap(truth, prediction), object_overlap(truth, prediction, known)
    if (cut := _mostly_unknown(whole, seen, 0)).size:
        seen = object_overlap(truth, prediction, known & ~np.isin(truth, cut))
    found = seen.predicted_ids[seen.pairs[seen.iou >= 0.5, 1]]
    return seen.without(np.setdiff1d(_mostly_unknown(whole, seen, 1), found))


def _mostly_unknown(whole: ObjectOverlap, seen: ObjectOverlap, side: int) -> Counts:
    """Ids of the true (side 0) or predicted objects of which half or more is not seen."""
    ids, areas = (whole.predicted_ids, whole.predicted_areas) if side else (whole.true_ids, whole.true_areas)
    left = np.zeros(len(ids), np.int64)
    told, parts = (seen.predicted_ids, seen.predicted_areas) if side else (seen.true_ids, seen.true_areas)
    left[np.searchsorted(ids, told)] = parts
    return ids[2 * left <= areas]


def _count(
    truth: np.ndarray, prediction: np.ndarray, known: np.ndarray | None, part: slice
) -> tuple[Counts, Counts]:
    """Pairs of ids as truth * 2**32 + prediction, and how many pixels have them."""
    true, predicted = truth[part].astype(np.int64), prediction[part].astype(np.int64)
    for name, ids in (("truth", true), ("prediction", predicted)):
        if ids.min(initial=0) < 0 or ids.max(initial=0) >= 1 << 31:
            raise ValueError(f"{name} has ids {ids.min()}..{ids.max()}, expected 0..{(1 << 31) - 1}")
    keys = (true << 32) | predicted
    if known is not None:
        keys = keys[known[part]]
    begins = np.r_[True, keys[1:] != keys[:-1]][: keys.size]
    starts = np.flatnonzero(begins)  # runs are far fewer to sort than pixels
    return _sum(keys[starts], np.diff(np.r_[starts, keys.size]))


def _sum(keys: Counts, counts: Counts) -> tuple[Counts, Counts]:
    distinct, place = np.unique(keys, return_inverse=True)
    return distinct, np.bincount(place, weights=counts, minlength=len(distinct)).astype(np.int64)
