"""The thresholds of decoding, from held-out images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import TypeVar

import numpy as np

from reunet.metrics.overlap import mean_defined
from reunet.tasks.instances.representation import Instances, Maps, Representation

Truth = TypeVar("Truth")


def fit(
    pairs: Iterable[tuple[Truth, Maps]], kind: Representation, score: Callable[[Truth, Instances], float]
) -> dict[str, float]:
    """The combination of `kind.grid` with the highest mean score over images; of equals the first.

    pairs: per image the true instance map (*space) int32 and the maps of the network; read once. The
    defaults where no image has a score.
    """
    choices = [dict(zip(kind.grid, values, strict=True)) for values in product(*kind.grid.values())]
    scores = np.array([[score(truth, kind.decode(maps, some)) for some in choices] for truth, maps in pairs])
    means = np.asarray(mean_defined(scores.reshape(-1, len(choices)), axis=0))
    return kind.defaults if np.isnan(means).all() else choices[int(np.nanargmax(means))]
