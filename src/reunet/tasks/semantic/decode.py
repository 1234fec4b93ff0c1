"""From class probabilities to one class per pixel, here and inside an exported file."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import Classes, LabelMap
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.tasks.exports import Exports, Tensor, most_probable
from reunet.tasks.tempering import before


def positive_class(labels: LabelMap) -> int | None:
    """Index of the foreground class when there are two classes and one is background, else None."""
    if labels.regions:
        return None
    return labels.foreground[0] if len(labels.classes) == 2 and len(labels.foreground) == 1 else None


def threshold(labels: LabelMap, calibration: Calibration) -> float | None:
    """The foreground probability from which a pixel is foreground; None where the argmax decides."""
    if positive_class(labels) is None:
        return None
    return 0.5 if calibration.threshold is None else calibration.threshold


def network_threshold(labels: LabelMap, calibration: Calibration) -> float | None:
    """The same for the probability that the network gives, before the temperature."""
    cut = threshold(labels, calibration)
    return None if cut is None else before(cut, calibration.pixel_temperature)


def decode(probabilities: np.ndarray, labels: LabelMap, calibration: Calibration) -> NDArray[np.uint8]:
    """Classes from probabilities.

    With one foreground and one background class, foreground is where its probability reaches the
    calibrated threshold (0.5 without one); otherwise the most probable class. Of regions, those of a
    probability of at least 0.5 are there, and `painted` says which class that is.

    probabilities: as the network gives them, (*space, classes) float32, summing to 1; (*space, regions) of
    regions. Returns (*space)
    uint8 class indices.
    """
    if labels.regions:
        return painted(labels)[np.packbits(probabilities >= 0.5, axis=-1, bitorder="little")[..., 0]]
    cut, positive = network_threshold(labels, calibration), positive_class(labels)
    if cut is None or positive is None:
        return probabilities.argmax(axis=-1).astype(np.uint8)
    is_positive = probabilities[..., positive] >= np.float32(cut)
    return np.where(is_positive, np.uint8(positive), np.uint8(1 - positive))


@lru_cache
def painted(labels: LabelMap) -> NDArray[np.uint8]:
    """The class of a pixel by the regions that are there, bit k for region k: (2 ** regions,) uint8.

    That which lies in just these; of several such, or without any, the one that the last region paints.
    """
    codes = labels.membership @ (1 << np.arange(len(labels.regions)))
    table = np.full(1 << len(labels.regions), labels.background or 0, np.uint8)
    for code in range(len(table)):
        if code:
            table[code] = labels.regions[code.bit_length() - 1].paints
        fitting = np.flatnonzero(codes == code)
        if fitting.size and table[code] not in fitting:
            table[code] = fitting[0]
    return table


def decide(
    found: Mapping[str, Tensor], classes: Classes, calibration: Calibration, ops: Any
) -> dict[str, Tensor]:
    """As `decode` decides, in the operations of an exporter."""
    values, labels = found["semantic"], classes.labels
    positive = positive_class(labels)
    if labels.regions:
        bits = ops.convert_to_tensor([1 << k for k in range(len(labels.regions))], "int32")
        code = ops.sum(ops.cast(values >= 0.5, "int32") * bits, axis=-1)
        index = ops.take(ops.convert_to_tensor(painted(labels), "int32"), code, axis=0)
    elif positive is None:
        index = most_probable(values, ops)
    else:
        reached = ops.cast(values[..., positive] >= network_threshold(labels, calibration), "int32")
        index = reached if positive == 1 else 1 - reached
    ids = [entry.id for entry in labels.classes]
    if ids != list(range(len(ids))):
        index = ops.take(ops.convert_to_tensor(ids, "int32"), index, axis=0)
    return {"mask": ops.cast(index, "uint8" if max(ids) < 256 else "uint16")}


def decided(result: Prediction, classes: Classes) -> dict[str, np.ndarray | None]:
    """The values of the mask file."""
    return {"mask": None if result.labels is None else classes.labels.to_ids(result.labels)}


EXPORTS = Exports(
    heads={"semantic": "probability of each class, in the order of `classes`, not calibrated"},
    decisions={"mask": ("pixels", "id of the class, as `reunet predict` writes it")},
    decide=decide,
    decided=decided,
)
