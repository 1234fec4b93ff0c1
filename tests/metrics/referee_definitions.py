"""The scores of objects, boxes and lines once more, straight from their definitions: slow, and short."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.optimize import linear_sum_assignment

from .referee_cases import BoxImage

Masks = list[np.ndarray]


def fair_objects(truth: np.ndarray, found: np.ndarray, known: np.ndarray | None) -> tuple[Masks, Masks]:
    """The true and predicted objects that count, by what is known of them."""
    known = np.ones(truth.shape, bool) if known is None else known.copy()
    true = [truth == i for i in np.unique(truth) if i]
    for mask in [mask for mask in true if (mask & known).sum() * 2 <= mask.sum()]:
        known &= ~mask
    seen = [mask & known for mask in true if (mask & known).any()]
    predicted = []
    for mask in [found == i for i in np.unique(found) if i]:
        inside = mask & known
        if inside.any() and (inside.sum() * 2 > mask.sum() or any(iou(inside, one) >= 0.5 for one in seen)):
            predicted.append(inside)
    return seen, predicted


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


class Table:
    """The objects of both sides: their areas, and what each pair shares, counted mask by mask."""

    def __init__(self, true: Masks, found: Masks) -> None:
        self.areas = [np.array([mask.sum() for mask in side], float) for side in (true, found)]
        self.shared = np.array([[(a & b).sum() for b in found] for a in true], float).reshape(
            len(true), len(found)
        )
        self.iou = self.shared / (self.areas[0][:, None] + self.areas[1] - self.shared)

    def turned(self) -> Table:
        """With truth and prediction exchanged."""
        other = Table([], [])
        other.areas, other.shared, other.iou = self.areas[::-1], self.shared.T, self.iou.T
        return other


def matches(table: Table, threshold: float) -> tuple[int, float]:
    """Most pairs from a threshold on, and the highest sum of IoU among these, as StarDist's matching does."""
    weight = np.where(table.iou >= threshold, 1 + table.iou / (2 * max(1, min(table.iou.shape))), 0)
    taken = table.iou[linear_sum_assignment(-weight)]
    taken = taken[taken >= threshold]
    return len(taken), float(taken.sum())


def ratio(above: float, below: float) -> float:
    return above / below if below else float("nan")


def aji(table: Table) -> float:
    """Kumar et al. 2017, algorithm 1."""
    shared = union = 0.0
    used = set()
    for area, ious, common in zip(table.areas[0], table.iou, table.shared, strict=True):
        best = int(ious.argmax()) if ious.size else -1
        if best < 0 or not common[best]:
            union += area
            continue
        shared, union = shared + common[best], union + area + table.areas[1][best] - common[best]
        used.add(best)
    return ratio(shared, union + sum(area for k, area in enumerate(table.areas[1]) if k not in used))


def glands(table: Table) -> tuple[float, float]:
    """Object F1 and object Dice of the GlaS contest."""

    def partners(one: Table) -> list[int | None]:
        """Of each first object the second one that it shares most pixels with, of equals the higher IoU."""
        rows = zip(one.shared, one.iou, strict=True)
        best = [max(range(len(row)), key=lambda k: (row[k], ious[k]), default=None) for row, ious in rows]
        return [k if k is not None and one.shared[i, k] else None for i, k in enumerate(best)]

    sides, hits = [], 0
    for one, is_found in ((table, False), (table.turned(), True)):
        dice = 0.0
        for i, k in enumerate(partners(one)):
            if k is not None:
                dice += one.areas[0][i] * 2 * one.shared[i, k] / (one.areas[0][i] + one.areas[1][k])
                hits += is_found and 2 * one.shared[i, k] > one.areas[1][k]
        sides.append(dice / max(one.areas[0].sum(), 1))
    count = len(table.areas[0]) + len(table.areas[1])
    return ratio(2 * hits, count), sum(sides) / 2 if count else float("nan")


def coco_points(images: list[BoxImage], index: int, threshold: float) -> list[float]:
    """The precision at 101 recalls of one class, box by box, by the rules of COCO's bounding boxes."""
    found = [
        (float(boxes.scores[i]), image, boxes.corners[i].astype(float))
        for image, (_, boxes, _) in enumerate(images)
        for i in np.flatnonzero(boxes.classes == index)
    ]
    free = [[one.astype(float) for one in true.corners[true.classes == index]] for true, _, _ in images]
    total = sum(map(len, free))
    if not total:
        return [float("nan")] * 101
    right, counted, points = 0, 0, []
    for _, image, box in sorted(found, key=lambda one: -one[0]):
        best = max(range(len(free[image])), key=lambda k: (shares(box, free[image][k])[0], k), default=-1)
        if best >= 0 and shares(box, free[image][best])[0] >= threshold:
            free[image].pop(best)
            right += 1
        elif (crowd := images[image][2]) is not None and shares(box, np.array(crowd))[1] >= threshold:
            continue  # neither right nor wrong
        counted += 1
        points.append((right / total, right / counted))
    return [max((p for r, p in points if r >= recall), default=0.0) for recall in np.linspace(0, 1, 101)]


def shares(box: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Intersection over union, and over the area of the first box."""
    sides = [max(0.0, min(box[k + 2], other[k + 2]) - max(box[k], other[k])) for k in (0, 1)]
    own, its = ((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    common = sides[0] * sides[1]
    return common / (own + its - common), common / own


def steps_of(lines: np.ndarray, spacing: tuple[float, ...]) -> Iterator[float]:
    """Lengths of the steps between neighbouring pixels of lines, without those that shorter ones replace."""
    places = set(map(tuple, np.argwhere(lines)))
    for at in places:
        for step in product((-1, 0, 1), repeat=lines.ndim):
            if step > (0,) * lines.ndim and tuple(np.add(at, step)) in places:
                between = {tuple(np.add(at, part)) for part in product(*({0, s} for s in step))}
                if between & places == {at, tuple(np.add(at, step))}:
                    yield float(np.linalg.norm(np.multiply(step, spacing)))
