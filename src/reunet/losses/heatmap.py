"""The loss of maps of object centres."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from reunet.losses.regression import check_maps

BETA = 4.0
"""How much less a pixel near a centre counts as one that should be empty."""

UNKNOWN = -1.0
"""Stands for nan, which has no maximum."""


class CentreLoss(keras.losses.Loss):
    """Penalty-reduced focal loss on logits (Zhou et al. 2019, arXiv 1904.07850, equation 1).

    With p = sigmoid(logit): -(1 - p)^2 log p where the target is 1, elsewhere -(1 - target)^4 p^2 log(1 - p),
    summed and divided by the number of ones (at least one). Logarithms are taken of the logits, so no
    probability is ever clipped.

    stride: per axis, the step between the pixels of the targets that the logits stand for. They have the
    largest target from there to the next one, so that no centre is lost.

    Called with targets (B, *space, K) in 0..1, nan where nothing counts, and logits (B, *space / stride, K);
    raises TrainingError for other shapes.
    """

    def __init__(self, stride: tuple[int, ...] = (), **kwargs: Any) -> None:
        super().__init__(name="centre_loss", **kwargs)
        self.stride = stride

    def call(self, y_true: Any, y_pred: Any) -> Any:
        target, logits = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        target = ops.where(ops.isnan(target), UNKNOWN, target)
        if max(self.stride, default=1) > 1:
            target = ops.max_pool(target, self.stride, self.stride)
        check_maps(tuple(target.shape), tuple(logits.shape))
        known = target > UNKNOWN
        target = ops.where(known, target, 0.0)
        positive = ops.cast(target >= 1.0, "float32")
        counted = ops.cast(known, "float32")
        p = ops.sigmoid(logits)
        hit = positive * ops.square(1.0 - p) * ops.log_sigmoid(logits)
        miss = (1.0 - target) ** BETA * ops.square(p) * ops.log_sigmoid(-logits)  # 0 where target is 1
        return -ops.sum(counted * (hit + miss)) / ops.maximum(ops.sum(positive), 1.0)
