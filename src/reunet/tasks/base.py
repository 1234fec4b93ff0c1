"""What every task provides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reunet.contracts.labels import LabelMap
from reunet.contracts.network import HeadSpec
from reunet.contracts.plan import Calibration
from reunet.tasks.semantic.fit import Pairs
from reunet.tasks.semantic.scorer import Scorer


@dataclass(frozen=True)
class Task:
    """The functions of one task.

    heads: the network outputs it needs. decode: probabilities to a result. scorer: collects images
    and gives metrics. fit_calibration, validation_score: from held-out images.
    """

    name: str
    heads: Callable[[LabelMap], tuple[HeadSpec, ...]]
    decode: Callable[[np.ndarray, LabelMap, Calibration], NDArray[np.uint8]]
    scorer: type[Scorer]
    fit_calibration: Callable[[Pairs, LabelMap], Calibration]
    validation_score: Callable[[Pairs, LabelMap], float]
