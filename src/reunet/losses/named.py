"""Losses by the name that a head gives (`HeadSpec.loss`), and those of a plan."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from reunet.contracts.labels import LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Plan
from reunet.contracts.sizes import output_strides, outputs_of
from reunet.losses.classification import ClassificationLoss
from reunet.losses.maps import CentreLoss, SmoothL1Loss, thinned
from reunet.losses.segmentation import RegionLoss, SegmentationLoss

Stride = tuple[int, ...]


class OwnLoss(keras.losses.Loss):
    """The mean of what a function says of targets and logits.

    function: gets targets, such as labels (B, *space) int32 with 255 where nothing is known, and float32
    logits (B, *space, K); gives a number, or one for each pixel or image. stride: per axis, the step between
    the pixels of the targets that the logits stand for.
    """

    def __init__(self, function: Callable[[Any, Any], Any], stride: tuple[int, ...] = ()) -> None:
        super().__init__(name=getattr(function, "__name__", "own_loss"))
        self.function, self.stride = function, stride

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.mean(self.function(thinned(y_true, self.stride), ops.cast(y_pred, "float32")))


def segmentation(plan: Plan, head: HeadSpec, stride: Stride) -> keras.losses.Loss:
    """The classes of the plan; of another head, all of its channels but the first are foreground."""
    own, labels = head.name == "semantic", plan.labels
    counted = labels.foreground if own else tuple(range(1, head.channels))
    table = partial_table(labels) if own and labels.partial else None
    spec = plan.loss if own else plan.loss.model_copy(update={"cl_dice": 0.0, "class_weights": ()})
    return SegmentationLoss(spec, counted, stride, table=table, rank=plan.network.spatial_dims)


def regions(plan: Plan, head: HeadSpec, stride: Stride) -> keras.losses.Loss:
    """The regions of the plan."""
    table, rank = plan.labels.membership.astype(np.float32), plan.network.spatial_dims
    return RegionLoss(plan.loss, plan.labels.counted, stride, table=table, rank=rank, name="region_loss")


def partial_table(labels: LabelMap) -> NDArray[np.float32]:
    """(classes + partial annotations, classes): which classes a label may stand for. After the classes come
    the backgrounds of the partial annotations: background or a class that was not annotated.
    """
    classes = range(len(labels.classes))
    merged = [[i == labels.background or i not in some for i in classes] for some in labels.partial]
    return np.concatenate([np.eye(len(classes)), np.array(merged)]).astype(np.float32)


LOSSES: dict[str, Callable[[Plan, HeadSpec, Stride], keras.losses.Loss]] = {
    "segmentation": segmentation,
    "regions": regions,
    "classification": lambda plan, head, stride: ClassificationLoss(plan.loss.category_weights),
    "centre": lambda plan, head, stride: CentreLoss(stride),
    "smooth_l1": lambda plan, head, stride: SmoothL1Loss(beta=0.1, stride=stride),
    "weighted_smooth_l1": lambda plan, head, stride: SmoothL1Loss(beta=0.2, weighted=True, stride=stride),
}
"""Name to a function of plan, head and the step between the target pixels that the logits stand for."""


def losses_of(plan: Plan, own: Mapping[str, Callable[[Any, Any], Any]] = {}) -> dict[str, keras.losses.Loss]:
    """The loss of every output of a plan's network, by its name, for `keras.Model.compile`.

    Each takes targets as `reunet.dataset` gives them and float32 logits. own: functions for some heads, which
    count instead of the plan's; see `OwnLoss`.
    """
    strides, found = output_strides(plan.network), {}
    for name, (head, level) in outputs_of(plan.network).items():
        stride = strides[level] if head.of == "pixels" else ()
        function = own.get(head.name)
        found[name] = OwnLoss(function, stride) if function else LOSSES[head.loss](plan, head, stride)
    return found
