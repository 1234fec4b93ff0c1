"""A loss that a function of the caller computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from reunet.losses.maps import thinned


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
