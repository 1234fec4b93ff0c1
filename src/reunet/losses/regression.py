"""Loss of maps of numbers: distances, offsets, boxes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from reunet.errors import TrainingError


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
