"""Losses of maps of numbers: distances, offsets, boxes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from reunet.errors import TrainingError

FURTHEST = 5.0
"""Logarithms of distances are cut here, as when boxes are decoded; beyond, there is no gradient."""


class SmoothL1Loss(keras.losses.Loss):
    """Mean of 0.5 d^2 / beta for |d| < beta, else |d| - 0.5 beta (Girshick 2015, Fast R-CNN, equation 3).

    Called with targets (B, *space, K), nan where nothing counts, and predictions of the same shape; the mean
    is over what counts, 0 where nothing does. Raises TrainingError for other shapes.
    """

    def __init__(self, beta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(name="smooth_l1_loss", **kwargs)
        self.beta = beta

    def call(self, y_true: Any, y_pred: Any) -> Any:
        check_maps(tuple(y_true.shape), tuple(y_pred.shape))
        target, predicted = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        known = ops.logical_not(ops.isnan(target))
        # The target is replaced before the subtraction: a nan there would spoil the gradient, even unused.
        distance = ops.abs(predicted - ops.where(known, target, ops.stop_gradient(predicted)))
        near = ops.minimum(distance, self.beta)
        loss = near * (distance - 0.5 * near) / self.beta
        counted = ops.cast(known, "float32")
        return ops.sum(counted * loss) / ops.maximum(ops.sum(counted), 1.0)


class BoxLoss(keras.losses.Loss):
    """1 - GIoU (Rezatofighi et al. 2019, arXiv 1902.09630) of boxes given by the logarithms of the distances
    from a pixel to the top, left, bottom and right side.

    Both boxes hold the pixel, so they always overlap (Yu et al. 2016, UnitBox): one is the minimum and the
    other the maximum of distances, and no corner is ever computed. The unit of the distances cancels.

    Called with targets (B, H, W, 5), whose last map is the weight of the pixel, and predictions (B, H, W, 4);
    gives the weighted mean, 0 without weights. Raises TrainingError for other shapes.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(name="box_loss", **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        check_maps(tuple(y_true.shape), (*y_pred.shape[:-1], y_pred.shape[-1] + 1))
        check_maps((5,), tuple(y_true.shape[-1:]))
        target = ops.exp(ops.cast(y_true[..., :4], "float32"))
        predicted = ops.exp(ops.clip(ops.cast(y_pred, "float32"), -FURTHEST, FURTHEST))
        weight = ops.cast(y_true[..., 4], "float32")
        common, hull = _area(ops.minimum(target, predicted)), _area(ops.maximum(target, predicted))
        union = _area(target) + _area(predicted) - common
        loss = 2.0 - common / union - union / hull  # 1 - (IoU - (hull - union) / hull)
        return ops.sum(weight * loss) / ops.maximum(ops.sum(weight), 1.0)


def _area(sides: Any) -> Any:
    """(..., 4) distances to top, left, bottom, right to (...)."""
    return (sides[..., 0] + sides[..., 2]) * (sides[..., 1] + sides[..., 3])


def check_maps(target: tuple[int | None, ...], predicted: tuple[int | None, ...]) -> None:
    """Raise TrainingError unless the shapes are the same, as far as they are known."""
    pairs = zip(target, predicted, strict=False)
    if len(target) != len(predicted) or any(a != b for a, b in pairs if a is not None and b is not None):
        raise TrainingError(
            "targets and predictions do not belong together",
            where="loss",
            expected=f"shape {target}",
            received=f"shape {predicted}",
        )
