"""Masks inside an exported file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction
from reunet.tasks.classes import Classes
from reunet.tasks.exports import Exports, Tensor, most_probable
from reunet.tasks.semantic.decode import painted, positive_class, threshold


def decide(
    found: Mapping[str, Tensor], classes: Classes, calibration: Calibration, ops: Any
) -> dict[str, Tensor]:
    """As `reunet.tasks.semantic.decode` decides."""
    values, labels = found["semantic"], classes.labels
    positive = positive_class(labels)
    if labels.regions:
        bits = ops.convert_to_tensor([1 << k for k in range(len(labels.regions))], "int32")
        code = ops.sum(ops.cast(values >= 0.5, "int32") * bits, axis=-1)
        index = ops.take(ops.convert_to_tensor(painted(labels), "int32"), code, axis=0)
    elif positive is None:
        index = most_probable(values, ops)
    else:
        reached = ops.cast(values[..., positive] >= threshold(labels, calibration), "int32")
        index = reached if positive == 1 else 1 - reached
    ids = [entry.id for entry in labels.classes]
    if ids != list(range(len(ids))):
        index = ops.take(ops.convert_to_tensor(ids, "int32"), index, axis=0)
    return {"mask": ops.cast(index, "uint8" if max(ids) < 256 else "uint16")}


def decided(result: Prediction, classes: Classes) -> dict[str, np.ndarray | None]:
    """The values of the mask file."""
    return {"mask": None if result.labels is None else classes.labels.to_ids(result.labels)}


EXPORTS = Exports(
    heads={"semantic": "probability of each class, in the order of `classes`"},
    decisions={"mask": ("pixels", "id of the class, as `reunet predict` writes it")},
    decide=decide,
    decided=decided,
)
