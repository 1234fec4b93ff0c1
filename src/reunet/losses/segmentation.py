"""Cross-entropy plus soft Dice for semantic segmentation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from reunet.contracts.labels import IGNORE
from reunet.contracts.plan import LossSpec
from reunet.errors import TrainingError

SMOOTH = 1.0
"""Added to numerator and denominator of Dice, in pixels: a class that is absent costs little."""


class SegmentationLoss(keras.losses.Loss):
    """`cross_entropy * CE + dice * (1 - Dice)` on logits; pixels labelled IGNORE count in neither.

    CE is the mean over the labelled pixels of -log softmax(logits)[label]. Dice is the mean over the
    foreground classes of 2 sum(p t) / (sum(p) + sum(t)), sums over the whole batch (Milletari et al. 2016,
    arXiv 1606.04797; over the batch as in nnU-Net, which keeps images without foreground meaningful).

    Parameters
    ----------
    foreground: class indices that enter Dice.
    stride: per axis, the step between the pixels of the labels that these logits stand for; more than
        1 at the coarse levels of deep supervision.

    Called with labels (B, *space), whole numbers, and logits (B, *space / stride, classes); raises
    TrainingError when the shapes do not belong together, instead of broadcasting them.
    """

    def __init__(
        self, spec: LossSpec, foreground: tuple[int, ...], stride: tuple[int, ...] = (1, 1), **kwargs: Any
    ) -> None:
        super().__init__(name="segmentation_loss", **kwargs)
        self.spec, self.foreground, self.stride = spec, foreground, stride

    def call(self, y_true: Any, y_pred: Any) -> Any:
        labels = ops.cast(y_true, "int32")[(slice(None), *(slice(None, None, step) for step in self.stride))]
        check_shapes(tuple(labels.shape), tuple(y_pred.shape))
        logits = ops.cast(y_pred, "float32")
        labelled = ops.not_equal(labels, IGNORE)
        weight = ops.cast(labelled, "float32")[..., None]
        truth = ops.one_hot(ops.where(labelled, labels, 0), logits.shape[-1], dtype="float32") * weight

        log_probabilities = ops.log_softmax(logits, axis=-1)
        pixels = ops.maximum(ops.sum(weight), 1.0)
        loss = self.spec.cross_entropy * -ops.sum(truth * log_probabilities) / pixels
        if self.spec.dice and self.foreground:
            loss = loss + self.spec.dice * (1.0 - self._dice(truth, ops.exp(log_probabilities) * weight))
        return loss

    def _dice(self, truth: Any, probabilities: Any) -> Any:
        everywhere = list(range(len(truth.shape) - 1))
        overlap = ops.sum(truth * probabilities, axis=everywhere)
        total = ops.sum(truth, axis=everywhere) + ops.sum(probabilities, axis=everywhere)
        dice = (2.0 * overlap + SMOOTH) / (total + SMOOTH)
        return ops.mean(ops.take(dice, list(self.foreground)))


def check_shapes(labels: tuple[int | None, ...], logits: tuple[int | None, ...]) -> None:
    """Raise TrainingError unless logits are the labels' shape plus one axis of classes."""
    same_rank = len(logits) == len(labels) + 1
    pairs = zip(labels, logits[:-1], strict=False)
    if not same_rank or any(a != b for a, b in pairs if a is not None and b is not None):
        raise TrainingError(
            "labels and logits do not belong together",
            where="loss",
            expected=f"logits of shape {(*labels, 'classes')}",
            received=f"logits of shape {logits}",
        )
