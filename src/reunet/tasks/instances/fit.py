"""The thresholds of decoding, from held-out images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import TypeVar

import numpy as np

from reunet.metrics.overlap import mean_defined
from reunet.tasks.instances.flows import DEFAULTS, GRID, decode
from reunet.tasks.instances.sinks import Instances

Truth = TypeVar("Truth")


def fit(
    pairs: Iterable[tuple[Truth, Mapping[str, np.ndarray]]], score: Callable[[Truth, Instances], float]
) -> dict[str, float]:
    """The combination of `GRID` with the highest mean score over images; of equals the first.

    pairs: per image its truth and the maps of the network; read once. The defaults where no image has a
    score.
    """
    choices = [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]
    scores = np.array([[score(truth, decode(maps, some)) for some in choices] for truth, maps in pairs])
    means = np.asarray(mean_defined(scores.reshape(-1, len(choices)), axis=0))
    return dict(DEFAULTS) if np.isnan(means).all() else choices[int(np.nanargmax(means))]
