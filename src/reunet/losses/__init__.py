"""Losses on logits, by the name that a head gives (`HeadSpec.loss`).

What their targets leave open, `IGNORE` in labels and nan in maps, does not count.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Plan
from reunet.losses.classification import ClassificationLoss
from reunet.losses.heatmap import CentreLoss
from reunet.losses.regression import SmoothL1Loss
from reunet.losses.segmentation import SegmentationLoss

__all__ = [
    "LOSSES",
    "CentreLoss",
    "ClassificationLoss",
    "SegmentationLoss",
    "SmoothL1Loss",
]


def segmentation(plan: Plan, head: HeadSpec, stride: tuple[int, ...]) -> keras.losses.Loss:
    """The classes of the plan; of another head, all of its channels but the first are foreground."""
    foreground = plan.labels.foreground if head.name == "semantic" else tuple(range(1, head.channels))
    return SegmentationLoss(plan.loss, foreground, stride)


LOSSES: dict[str, Callable[[Plan, HeadSpec, tuple[int, ...]], keras.losses.Loss]] = {
    "segmentation": segmentation,
    "classification": lambda plan, head, stride: ClassificationLoss(plan.loss.category_weights),
    "centre": lambda plan, head, stride: CentreLoss(),
    "smooth_l1": lambda plan, head, stride: SmoothL1Loss(beta=0.1),
    "weighted_smooth_l1": lambda plan, head, stride: SmoothL1Loss(beta=0.2, weighted=True),
}
"""Name to a function of plan, head and the step between the target pixels that the logits stand for."""
