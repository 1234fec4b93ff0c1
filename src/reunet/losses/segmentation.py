"""Cross-entropy plus soft Dice for classes of pixels, and for regions that overlap."""

from typing import Any

import keras
import numpy as np
from keras import ops

from reunet.contracts.labels import IGNORE
from reunet.contracts.plan import LossSpec
from reunet.losses.maps import check_maps, thinned
from reunet.losses.overlap import cl_dice, dice

FAR = -1e4
"""The logarithm of a probability that does not count."""


class PixelLoss(keras.losses.Loss):
    """What losses of label images share: labels to truths, the overlaps, and how all are weighed.

    Parameters
    ----------
    spec: the weights. counted: channels that enter Dice and centre line Dice.
    table: (labels, channels) float32 0 or 1, the channels that are, or may be, true where a label stands;
        None for one channel per label.
    stride: per axis, the step between the pixels of the labels that these logits stand for; more than
        1 at the coarse levels of deep supervision. Of the axes the last `rank` are space.

    Called with labels (B, *space), whole numbers or IGNORE, and logits (B, *space / stride, channels); raises
    TrainingError when the shapes do not belong together, instead of broadcasting them.
    """

    def __init__(
        self,
        spec: LossSpec,
        counted: tuple[int, ...],
        stride: tuple[int, ...] = (1, 1),
        *,
        table: np.ndarray | None = None,
        rank: int | None = None,
        name: str = "segmentation_loss",
    ) -> None:
        super().__init__(name=name)
        self.spec, self.counted, self.stride = spec, counted, stride
        self.table, self.rank = table, rank or len(stride)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        labels = thinned(ops.cast(y_true, "int32"), self.stride)
        check_maps(tuple(labels.shape), tuple(y_pred.shape[:-1]))
        logits = ops.cast(y_pred, "float32")
        labelled = ops.not_equal(labels, IGNORE)
        known = ops.where(labelled, labels, 0)
        if self.table is None:
            truth = ops.one_hot(known, logits.shape[-1], dtype="float32")
        else:
            truth = ops.take(ops.convert_to_tensor(self.table, "float32"), known, axis=0)
        weight = ops.cast(labelled, "float32")[..., None]
        loss = self.spec.cross_entropy * self.cross_entropy(truth, logits, weight)
        if self.counted and self.spec.dice + self.spec.cl_dice:
            loss = loss + self._overlaps(*self.chances(truth, logits, weight))
        return loss

    def cross_entropy(self, truth: Any, logits: Any, weight: Any) -> Any:
        """The mean over labelled pixels; truth, logits (B, *space, K), weight (B, *space, 1), 0 or 1."""
        raise NotImplementedError

    def chances(self, truth: Any, logits: Any, weight: Any) -> tuple[Any, Any]:
        """Truth and probabilities, 0 where they do not count."""
        raise NotImplementedError

    def _overlaps(self, truth: Any, probabilities: Any) -> Any:
        if len(self.counted) < truth.shape[-1]:
            truth, probabilities = (ops.take(x, list(self.counted), axis=-1) for x in (truth, probabilities))
        loss: Any = 0.0
        if self.spec.dice:
            loss = self.spec.dice * (1.0 - ops.mean(dice(truth, probabilities)))
        if self.spec.cl_dice:
            along = cl_dice(truth, probabilities, self.spec.thinning, self.rank)
            loss = loss + self.spec.cl_dice * (1.0 - ops.mean(along))
        return loss


class SegmentationLoss(PixelLoss):
    """`cross_entropy * CE + dice * (1 - Dice) + cl_dice * (1 - clDice)` of classes, one at each pixel.

    CE is the mean over the labelled pixels of -log softmax(logits)[label], times `class_weights[label]` where
    there are weights. The overlaps are means over the counted classes. A label that stands for several
    classes, of which the image does not tell one, has the sum of their probabilities (the marginal loss of
    Shi et al. 2021, Medical Image Analysis 70:101979); the overlaps of these classes do not count there.
    """

    def cross_entropy(self, truth: Any, logits: Any, weight: Any) -> Any:
        log_probabilities = ops.log_softmax(logits, axis=-1)
        labelled = ops.maximum(ops.sum(weight), 1.0)
        if self.spec.class_weights:
            weight = weight * ops.sum(
                truth * np.array(self.spec.class_weights, np.float32), axis=-1, keepdims=True
            )
        if self.table is None:
            right = ops.sum(truth * log_probabilities, axis=-1, keepdims=True)
        else:
            right = ops.logsumexp(ops.where(truth > 0, log_probabilities, FAR), axis=-1, keepdims=True)
        return -ops.sum(right * weight) / labelled

    def chances(self, truth: Any, logits: Any, weight: Any) -> tuple[Any, Any]:
        if self.table is not None:
            alone = ops.cast(ops.sum(truth, axis=-1, keepdims=True) < 1.5, "float32")
            weight, truth = weight * (alone + (1.0 - alone) * (1.0 - truth)), truth * alone
        return truth * weight, ops.softmax(logits, axis=-1) * weight


class RegionLoss(PixelLoss):
    """The same of regions, which may overlap: binary cross-entropy and Dice of sigmoid(logits), a channel per
    region (Isensee et al. 2021, arXiv 2011.00848, section 2.2). `table` says in which regions a label lies.
    """

    def cross_entropy(self, truth: Any, logits: Any, weight: Any) -> Any:
        each = ops.relu(logits) - logits * truth + ops.softplus(-ops.abs(logits))
        return ops.sum(each * weight) / ops.maximum(ops.sum(weight) * logits.shape[-1], 1.0)

    def chances(self, truth: Any, logits: Any, weight: Any) -> tuple[Any, Any]:
        return truth * weight, ops.sigmoid(logits) * weight
