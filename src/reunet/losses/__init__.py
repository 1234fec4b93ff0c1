"""Losses on logits, by the name that a head gives (`HeadSpec.loss`)."""

from __future__ import annotations

from collections.abc import Callable

import keras

from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Plan
from reunet.losses.segmentation import SegmentationLoss

__all__ = ["LOSSES", "SegmentationLoss"]


def _segmentation(plan: Plan, head: HeadSpec, stride: tuple[int, ...]) -> keras.losses.Loss:
    """The classes of the plan; of another head, all of its channels but the first are foreground."""
    foreground = plan.labels.foreground if head.name == "semantic" else tuple(range(1, head.channels))
    return SegmentationLoss(plan.loss, foreground, stride)


LOSSES: dict[str, Callable[[Plan, HeadSpec, tuple[int, ...]], keras.losses.Loss]] = {
    "segmentation": _segmentation,
}
"""Name to a function of plan, head and the step between the target pixels that the logits stand for."""
