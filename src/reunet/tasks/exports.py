"""What of a task is inside an exported file, written in the operations that the exporter hands in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reunet.contracts.labels import Classes
from reunet.contracts.plan import Calibration
from reunet.contracts.results import Prediction

Tensor = Any


@dataclass(frozen=True)
class Exports:
    """heads: what each says, in words. small: those that stay at the size at which the network sees.

    decisions: axes (`pixels`, or of the whole image `B`, `BC`) and meaning of what is decided, by name; none
    of a task whose results the caller has to decode. decide: it, from the heads and with the operations
    `ops`, as `keras.ops` has them. decided: the same from a prediction.
    """

    heads: Mapping[str, str] = field(default_factory=dict)
    small: frozenset[str] = frozenset()
    decisions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    decide: Callable[[Mapping[str, Tensor], Classes, Calibration, Any], dict[str, Tensor]] = lambda *_: {}
    decided: Callable[[Prediction, Classes], dict[str, np.ndarray | None]] = lambda *_: {}


def most_probable(values: Tensor, ops: Any) -> Tensor:
    """Index of the largest value on the last axis, int32; Keras' argmax has operations that LiteRT lacks."""
    return ops.cast(ops.top_k(values, k=1)[1][..., 0], "int32")
