"""What a run thinks of an image and of its mirror image: where the two differ, or it is unsure, it may be
wrong.

The second opinion costs one more prediction; a network that is sure of what it sees says the same of both
(test-time augmentation as uncertainty: Wang et al. 2019, arXiv 1807.07356).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reunet.contracts.labels import majority_class
from reunet.contracts.results import Prediction
from reunet.inference.predictor import Predictor
from reunet.metrics.box_matching import box_iou
from reunet.metrics.object_overlap import object_overlap
from reunet.tasks.base import Maps
from reunet.tasks.instances.properties import bounding_boxes

SURE = 0.75
"""Probability below which a pixel is one that the network is unsure of."""

MOST_REGIONS, LEAST_AREA = 20, 16


@dataclass(frozen=True)
class Doubt:
    """Something predicted that may be wrong. kind: object, box or region. number: id of the object, or place
    of the box in the prediction. box: y0, x0, y1, x1. confidence: the network's, agreement: IoU with the most
    similar one of the mirrored view; both in 0..1.
    """

    kind: str
    number: int
    box: tuple[float, ...]
    class_name: str
    confidence: float
    agreement: float

    @property
    def doubt(self) -> float:
        """0..1, 1 for what is most likely wrong."""
        return 1.0 - self.confidence * self.agreement


@dataclass(frozen=True)
class Opinions:
    """prediction: of the image as it is. score: 0..1, how much is in doubt. facts: by name, numbers that say
    why. doubts: the worst first.
    """

    prediction: Prediction
    score: float
    facts: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()


def opinions(
    predictor: Predictor,
    image: np.ndarray,
    *,
    where: object = "image",
    spacing: tuple[float, ...] | None = None,
) -> Opinions:
    """Predict an image (*space, C) and its mirror image, and compare. Raises as calling the predictor
    does.
    """
    work, axis = predictor.work, predictor.rank - 1
    mirrored = np.flip(np.asarray(image), axis)
    seen = [predictor.maps(one, where=where, spacing=spacing) for one in (image, mirrored)]
    first = work.decode(seen[0], predictor.calibration)
    second = work.decode(Maps(work.flipped(seen[1].heads, (axis,)), seen[1].size), predictor.calibration)
    names, labels = predictor.plan.labels.names, predictor.plan.labels
    told: dict[str, float] = {}
    doubts: list[Doubt] = []
    parts = [_unsure_pixels(seen[0], told)]
    if first.instances is not None and second.instances is not None:
        kinds = majority_class(first.instances, first.labels, labels)
        doubts += _objects(first, second.instances, [names[i] for i in kinds], told)
    elif first.labels is not None and second.labels is not None:
        parts.append(_changed_pixels(first.labels, second.labels, labels.foreground, told))
        doubts += _regions(first, names)
    if first.boxes is not None and second.boxes is not None:
        doubts += _boxes(first, second, names, told)
    if (classes := first.category_probabilities) is not None:
        others = second.category_probabilities
        parts.append(1.0 - float(np.max(classes if others is None else (classes + others) / 2)))
        told["class_probability"] = float(np.max(classes))
    if (doubts and first.labels is None) or first.instances is not None or first.boxes is not None:
        parts.append(_mean_doubt(doubts, told))
    known = [part for part in parts if part is not None]
    score = float(np.mean(known)) if known else 0.0
    return Opinions(first, score, told, tuple(sorted(doubts, key=lambda one: -one.doubt)))


def _mean_doubt(doubts: list[Doubt], told: Mapping[str, float]) -> float | None:
    """Of all things found in either view; None where nothing is."""
    only = told.get("only_mirrored", 0.0)
    count = len(doubts) + only
    return (sum(one.doubt for one in doubts) + only) / count if count else None


def _unsure_pixels(maps: Maps, told: dict[str, float]) -> float | None:
    """Of the pixels that may show something, the share that the network is unsure of."""
    name = next((one for one in ("semantic", "foreground") if one in maps.heads), None)
    if name is None or maps.heads[name].ndim < 3:
        return None
    heads = maps.heads[name]
    best, background = heads.max(axis=-1), heads[..., 0]
    unsure = best < SURE
    something = unsure | (background < SURE)
    told["unsure_pixels"] = float(unsure.mean())
    return float(unsure.sum() / max(1, something.sum())) * min(1.0, 100 * float(something.mean()))


def _changed_pixels(
    first: np.ndarray, second: np.ndarray, foreground: tuple[int, ...], told: dict[str, float]
) -> float | None:
    """One less the IoU of the two views, mean over classes that one of them shows."""
    shares = []
    for index in foreground:
        one, other = first == index, second == index
        if (union := int((one | other).sum())) > 0:
            shares.append(1.0 - float((one & other).sum()) / union)
    told["changed_pixels"] = float((first != second).mean())
    return float(np.mean(shares)) if shares else None


def _objects(
    first: Prediction, mirrored: np.ndarray, names: list[str], told: dict[str, float]
) -> list[Doubt]:
    ids = first.instances
    if ids is None:
        return []
    overlap = object_overlap(ids, mirrored)
    best = np.zeros(int(ids.max(initial=0)) + 1)
    other = np.zeros(len(overlap.predicted_ids))
    for (row, column), iou in zip(overlap.pairs, overlap.iou, strict=True):
        number = overlap.true_ids[row]
        best[number], other[column] = max(best[number], iou), max(other[column], iou)
    told["objects"] = len(overlap.true_ids)
    told["only_mirrored"] = int((other < 0.5).sum())
    told["changed_objects"] = int((best[overlap.true_ids] < 0.5).sum())
    scores, boxes = first.instance_scores, bounding_boxes(ids)
    return [
        Doubt(
            "object",
            int(number),
            tuple(float(side) for side in boxes[number].ravel()),
            names[number],
            1.0 if scores is None else float(scores[number]),
            float(best[number]),
        )
        for number in overlap.true_ids
    ]


def _boxes(
    first: Prediction, second: Prediction, names: tuple[str, ...], told: dict[str, Any]
) -> list[Doubt]:
    found, mirrored = first.boxes, second.boxes
    if found is None or mirrored is None:
        return []
    table = box_iou(found.corners, mirrored.corners) * (found.classes[:, None] == mirrored.classes)
    agreement = table.max(axis=1, initial=0.0)
    told["objects"] = len(found)
    told["only_mirrored"] = int((table.max(axis=0, initial=0.0) < 0.5).sum())
    told["changed_objects"] = int((agreement < 0.5).sum())
    sure = found.sureness
    return [
        Doubt("box", i, tuple(corners), names[kind], float(sure[i]), float(agreement[i]))
        for i, (corners, kind) in enumerate(zip(found.corners.tolist(), found.classes.tolist(), strict=True))
    ]


def _regions(first: Prediction, names: tuple[str, ...]) -> list[Doubt]:
    """The largest connected places of an image where the network is unsure."""
    probabilities, labels = first.probabilities, first.labels
    if probabilities is None or labels is None or labels.ndim != 2:
        return []
    import cv2

    best = probabilities.max(axis=-1)
    _, places, facts, _ = cv2.connectedComponentsWithStats((best < SURE).astype(np.uint8), connectivity=8)
    order = (np.argsort(-facts[1:, cv2.CC_STAT_AREA])[:MOST_REGIONS] + 1).tolist()
    found = []
    for number in order:
        x, y, width, height, area = map(int, facts[number])
        if area < LEAST_AREA:
            break
        part = slice(y, y + height), slice(x, x + width)
        inside = places[part] == number
        kind = int(np.bincount(labels[part][inside]).argmax())
        sure = float(best[part][inside].mean())
        name = names[kind] if kind < len(names) else ""
        found.append(Doubt("region", int(number), (y, x, y + height, x + width), name, sure, 1.0))
    return found
