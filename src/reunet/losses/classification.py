"""Cross-entropy of whole images."""

from typing import Any

import keras
from keras import ops

from reunet.contracts.labels import IGNORE
from reunet.losses.maps import check_maps


class ClassificationLoss(keras.losses.Loss):
    """Mean over labelled images of weight[label] times the cross-entropy with a smoothed label.

    weights: one per class, empty for 1. smoothing: the part of a label that is spread evenly
    over all classes (Szegedy et al. 2016, arXiv 1512.00567, section 7).

    Called with labels (B,), class indices or IGNORE, and logits (B, classes); raises TrainingError for other
    shapes and another number of weights.
    """

    def __init__(self, weights: tuple[float, ...] = (), smoothing: float = 0.0, **kwargs: Any) -> None:
        super().__init__(name="classification_loss", **kwargs)
        self.weights, self.smoothing = weights, smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        check_maps(tuple(y_true.shape), tuple(y_pred.shape[:-1]))
        labels, logits = ops.cast(y_true, "int32"), ops.cast(y_pred, "float32")
        labelled = ops.not_equal(labels, IGNORE)
        classes = logits.shape[-1]
        truth = ops.one_hot(ops.where(labelled, labels, 0), classes, dtype="float32")
        counted = ops.cast(labelled, "float32")
        weight = counted
        if self.weights:
            check_maps((len(self.weights),), (classes,))
            weight = counted * ops.sum(truth * ops.convert_to_tensor(self.weights, "float32"), axis=-1)
        smooth = truth * (1.0 - self.smoothing) + self.smoothing / classes
        loss = -ops.sum(smooth * ops.log_softmax(logits, axis=-1), axis=-1)
        return ops.sum(weight * loss) / ops.maximum(ops.sum(counted), 1.0)
