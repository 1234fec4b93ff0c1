"""Losses of maps of numbers: distances, offsets, boxes, and how near the centres of objects are."""

from typing import Any

import keras
from keras import ops

from reunet.errors import TrainingError

BETA = 4.0
"""How much less a pixel near a centre counts as one that should be empty."""

UNKNOWN = -1.0
"""Stands for nan, which has no maximum."""


class SmoothL1Loss(keras.losses.Loss):
    """Mean of 0.5 d^2 / beta for |d| < beta, else |d| - 0.5 beta (Girshick 2015, Fast R-CNN, equation 3).

    weighted: the last map of the targets is the weight of each pixel, the mean is weighted by it, and weights
    that sum to less than 1 are not divided by.

    stride: per axis, the step between the pixels of the targets that are predicted.

    Called with targets (B, *space, K), nan where nothing counts, or (B, *space, K + 1) with weights, and
    predictions (B, *space / stride, K); gives 0 where nothing counts. Raises TrainingError for other shapes.
    """

    def __init__(
        self, beta: float = 1.0, *, weighted: bool = False, stride: tuple[int, ...] = (), **kwargs: Any
    ) -> None:
        super().__init__(name="smooth_l1_loss", **kwargs)
        self.beta, self.weighted, self.stride = beta, weighted, stride

    def call(self, y_true: Any, y_pred: Any) -> Any:
        maps, y_true = y_pred.shape[-1], thinned(y_true, self.stride)
        check_maps(tuple(y_true.shape), (*y_pred.shape[:-1], maps + self.weighted))
        target, predicted = ops.cast(y_true[..., :maps], "float32"), ops.cast(y_pred, "float32")
        known = ops.logical_not(ops.isnan(target))
        weight = ops.cast(known, "float32")
        if self.weighted:
            weight = weight * ops.cast(y_true[..., maps:], "float32")
        # The target is replaced before the subtraction: a nan there would spoil the gradient, even unused.
        distance = ops.abs(predicted - ops.where(known, target, ops.stop_gradient(predicted)))
        near = ops.minimum(distance, self.beta)
        loss = near * (distance - 0.5 * near) / self.beta
        least = float(maps) if self.weighted else 1.0
        return ops.sum(weight * loss) / ops.maximum(ops.sum(weight), least)


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


def thinned(maps: Any, stride: tuple[int, ...]) -> Any:
    """The pixels of (B, *space, ...) that logits of a coarse level stand for: every `stride`-th per axis."""
    return maps[(slice(None), *(slice(None, None, step) for step in stride))]


def check_maps(target: tuple[int | None, ...], predicted: tuple[int | None, ...]) -> None:
    """Raise TrainingError unless the shapes are the same, as far as they are known."""
    pairs = zip(target, predicted, strict=False)
    if len(target) != len(predicted) or any(a != b for a, b in pairs if a is not None and b is not None):
        raise TrainingError(
            "targets and predictions do not belong together",
            where="loss",
            expected=f"targets of shape {predicted}",
            received=f"targets of shape {target}",
        )
